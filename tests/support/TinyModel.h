//===- TinyModel.h - a model of random weights in any shape and format ----------------------------------------------===//
//
// Small enough for the interpreter, odd enough to break assumptions: 5 heads, heads of 80, one KV head, feed-forward widths
// that are no multiple of 256. Tensor names and metadata are those of llama.cpp's GGUF files.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/quant/Format.h"
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace heddle::test {

struct TinyConfig {
  /// Or "gemma3": QK norms, sandwich norms, sliding windows, tied head; "granite": constants; or "gpt2": learned positions, layer
  /// norms, biases, one product for q, k and v in the file (apart in TinyModel, as in the plan), GELU without a gate, tied head;
  /// or "gpt-oss": experts, sinks, biases, a window in every other layer.
  std::string architecture = "llama";
  int64_t width = 64, layers = 2, heads = 4, kvHeads = 2, headDim = 16, feedForward = 96, vocabulary = 300, context = 2048;
  Format weights = Format::F32;          // of every matrix that `formats` does not name
  std::map<std::string, Format> formats; // by role ("attn_q", "ffn_down", "token_embd", "output") or by whole tensor name
  bool biases = false;                   // of every product of a block; gpt2 and gpt-oss always have them, gemma3 never
  int64_t experts = 0, chosen = 2;       // llama and gpt-oss: a mixture of experts of width feedForward; 0: none
  bool tiedHead = false;                 // no output.weight; gemma3 never has one
  int64_t window = 0;                    // attention.sliding_window; gemma3 needs one
  double ropeBase = 10000, ropeScale = 1;
  std::vector<float> ropeFactors; // llama: rope_freqs.weight [headDim / 2]
  std::vector<float> longFactors; // llama: of LongRoPE, beyond `ropeOriginal` positions; ropeFactors are then those up to it
  double yarnFactor = 0;          // llama: of YaRN, over `ropeOriginal` positions; 0: none
  int64_t ropeOriginal = 0;
  double ropeMagnitude = 1;                                                            // rope.scaling.attn_factor
  double embeddingScale = 1, attentionScale = 0.25, residualScale = 1, logitScale = 1; // granite
  uint64_t seed = 1;
  int64_t bos = 0, eos = 0;
  bool addBos = false;
};

struct WeightData {
  Format format;
  int64_t rows, columns; // a vector has one row
  bool vector;
  std::vector<std::byte> fileBytes; // rows of file blocks
  int64_t experts = 1;              // matrices, or vectors, that stand one after another
};

struct TinyModel {
  TinyConfig config;
  std::map<std::string, WeightData> weights; // by tensor name
};

/// The same model for the same config, on every machine. Throws std::invalid_argument where a format's blocks do not divide a
/// row of the shape.
TinyModel makeTinyModel(const TinyConfig &config);

/// The model as a GGUF v3 file with a byte-level vocabulary (of at least 258 tokens): <|endoftext|>, the 256 bytes, one merged
/// pair, then unused control tokens.
std::vector<std::byte> ggufBytes(const TinyModel &model);
/// Writes it; throws std::runtime_error where that fails.
void writeGguf(const TinyModel &model, const std::filesystem::path &path);

} // namespace heddle::test
