//===- TinyGguf.cpp - a TinyModel as a GGUF v3 file -----------------------------------------------------------------===//
//
// Written apart from the importer, from the format's description: magic, version, counts; keys and values; tensor infos; data
// aligned to 32 bytes.
//===---------------------------------------------------------------------------------------------------------------===//
#include "tests/support/TinyModel.h"
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace heddle::test {
namespace {

constexpr uint64_t kAlignment = 32;
enum ValueType : uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9 };

class Writer {
public:
  template <class T> void put(T value) {
    const auto *bytes = reinterpret_cast<const std::byte *>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
  }
  void text(const std::string &s) {
    put<uint64_t>(s.size());
    const auto *bytes = reinterpret_cast<const std::byte *>(s.data());
    out.insert(out.end(), bytes, bytes + s.size());
  }
  void key(const std::string &name, ValueType type) {
    ++keys;
    text(name);
    put<uint32_t>(type);
  }
  void number(const std::string &name, int64_t value) { key(name, kU32), put(static_cast<uint32_t>(value)); }
  void real(const std::string &name, double value) { key(name, kF32), put(static_cast<float>(value)); }
  void string(const std::string &name, const std::string &value) { key(name, kString), text(value); }
  void boolean(const std::string &name, bool value) { key(name, kBool), put(static_cast<uint8_t>(value)); }
  void array(const std::string &name, ValueType type, uint64_t count) { key(name, kArray), put<uint32_t>(type), put(count); }
  void align() { out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment); }

  std::vector<std::byte> out;
  uint64_t keys = 0;
};

/// GPT-2's printable stand-in of a byte, as UTF-8.
std::string byteText(int byte) {
  int code = byte, next = 256;
  for (int b = 0; b <= byte; ++b) {
    bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    code = printable ? b : next++;
  }
  if (code < 128)
    return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
}

void writeVocabulary(Writer &w, const TinyConfig &c) {
  if (c.vocabulary < 258)
    throw std::invalid_argument("the byte-level vocabulary needs 258 tokens, not " + std::to_string(c.vocabulary));
  std::vector<std::string> tokens{"<|endoftext|>"};
  for (int b = 0; b < 256; ++b)
    tokens.push_back(byteText(b));
  tokens.push_back(byteText(' ') + "t");
  std::vector<int32_t> kinds(tokens.size(), 1); // normal
  kinds[0] = 3;                                 // control
  while (static_cast<int64_t>(tokens.size()) < c.vocabulary) {
    tokens.push_back("<|unused" + std::to_string(tokens.size() - 258) + "|>");
    kinds.push_back(3);
  }
  w.string("tokenizer.ggml.model", "gpt2");
  w.string("tokenizer.ggml.pre", "gpt-2");
  w.array("tokenizer.ggml.tokens", kString, tokens.size());
  for (const auto &token : tokens)
    w.text(token);
  w.array("tokenizer.ggml.token_type", kI32, kinds.size());
  for (int32_t kind : kinds)
    w.put(kind);
  w.array("tokenizer.ggml.merges", kString, 1);
  w.text(byteText(' ') + " t");
  w.number("tokenizer.ggml.bos_token_id", c.bos);
  w.number("tokenizer.ggml.eos_token_id", c.eos);
  w.boolean("tokenizer.ggml.add_bos_token", c.addBos);
}

void writeMetadata(Writer &w, const TinyConfig &c) {
  const std::string a = c.architecture + ".";
  w.string("general.architecture", c.architecture);
  w.string("general.name", "tiny-" + c.architecture + "-" + std::to_string(c.width) + "x" + std::to_string(c.layers));
  w.number("general.alignment", kAlignment);
  w.number(a + "context_length", c.context);
  w.number(a + "embedding_length", c.width);
  w.number(a + "block_count", c.layers);
  w.number(a + "feed_forward_length", c.feedForward);
  w.number(a + "attention.head_count", c.heads);
  if (c.architecture == "gpt2") {
    w.real(a + "attention.layer_norm_epsilon", 1e-5);
    return;
  }
  w.number(a + "attention.head_count_kv", c.kvHeads);
  w.number(a + "attention.key_length", c.headDim);
  w.number(a + "attention.value_length", c.headDim);
  w.real(a + "attention.layer_norm_rms_epsilon", c.architecture == "gemma3" ? 1e-6 : 1e-5);
  w.real(a + "rope.freq_base", c.ropeBase);
  if (c.architecture != "gemma3" && c.architecture != "gpt-oss")
    w.number(a + "rope.dimension_count", c.headDim);
  if (c.ropeScale != 1)
    w.string(a + "rope.scaling.type", "linear"), w.real(a + "rope.scaling.factor", c.ropeScale);
  if (c.yarnFactor != 0)
    w.string(a + "rope.scaling.type", "yarn"), w.real(a + "rope.scaling.factor", c.yarnFactor);
  if (c.ropeOriginal)
    w.number(a + "rope.scaling.original_context_length", c.ropeOriginal);
  if (c.ropeMagnitude != 1)
    w.real(a + "rope.scaling.attn_factor", c.ropeMagnitude);
  if (c.architecture == "granite") {
    w.real(a + "embedding_scale", c.embeddingScale);
    w.real(a + "attention.scale", c.attentionScale);
    w.real(a + "residual_scale", c.residualScale);
    w.real(a + "logit_scale", c.logitScale);
  }
  if (c.experts) {
    w.number(a + "expert_count", c.experts);
    w.number(a + "expert_used_count", c.chosen);
    if (c.architecture != "llama")
      w.number(a + "expert_feed_forward_length", c.feedForward);
  }
  if (c.window)
    w.number(a + "attention.sliding_window", c.window);
  w.number(a + "vocab_size", c.vocabulary);
}

/// The tensors of the file: GPT-2's have q, k and v in one.
std::map<std::string, WeightData> tensorsOf(const TinyModel &model) {
  std::map<std::string, WeightData> all = model.weights;
  if (model.config.architecture != "gpt2")
    return all;
  for (int64_t layer = 0; layer < model.config.layers; ++layer)
    for (const char *ending : {".weight", ".bias"}) {
      const std::string block = "blk." + std::to_string(layer) + ".attn_";
      WeightData joined = all.extract(block + "q" + ending).mapped();
      for (const char *role : {"k", "v"}) {
        const WeightData part = all.extract(block + role + ending).mapped();
        (part.vector ? joined.columns : joined.rows) += part.vector ? part.columns : part.rows;
        joined.fileBytes.insert(joined.fileBytes.end(), part.fileBytes.begin(), part.fileBytes.end());
      }
      all.emplace(block + "qkv" + ending, std::move(joined));
    }
  return all;
}

} // namespace

std::vector<std::byte> ggufBytes(const TinyModel &model) {
  const std::map<std::string, WeightData> tensors = tensorsOf(model);
  Writer body; // keys first: the header needs their number
  writeMetadata(body, model.config);
  writeVocabulary(body, model.config);

  Writer w;
  for (char c : {'G', 'G', 'U', 'F'})
    w.put(c);
  w.put<uint32_t>(3);
  w.put<uint64_t>(tensors.size());
  w.put<uint64_t>(body.keys);
  w.out.insert(w.out.end(), body.out.begin(), body.out.end());
  uint64_t offset = 0;
  for (const auto &[name, weight] : tensors) {
    w.text(name);
    std::vector<int64_t> dims; // the fastest first
    if (weight.vector)
      dims = {weight.columns / weight.experts};
    else
      dims = {weight.columns, weight.rows / weight.experts};
    if (weight.experts > 1)
      dims.push_back(weight.experts);
    w.put(static_cast<uint32_t>(dims.size()));
    for (int64_t dim : dims)
      w.put(static_cast<uint64_t>(dim));
    w.put<uint32_t>(traits(weight.format).ggmlType);
    w.put<uint64_t>(offset);
    offset = (offset + weight.fileBytes.size() + kAlignment - 1) / kAlignment * kAlignment;
  }
  for (const auto &[name, weight] : tensors) {
    w.align();
    w.out.insert(w.out.end(), weight.fileBytes.begin(), weight.fileBytes.end());
  }
  w.align();
  return std::move(w.out);
}

void writeGguf(const TinyModel &model, const std::filesystem::path &path) {
  auto bytes = ggufBytes(model);
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush())
    throw std::runtime_error("cannot write " + path.string());
}

} // namespace heddle::test
