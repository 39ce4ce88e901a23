//===- Decoder.h - what the metadata of decoders has in common --------------------------------------------------------===//
//
// Read and checked in one place, before anything is built: that numbers agree with each other and that the kernels can take
// them. What a file says wrong is refused here, in its own words.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/graph/GraphBuilder.h"

namespace heddle {

/// Sizes and constants of a decoder, and the shapes of its weights that follow from them.
struct Decoder {
  int64_t layers, width, heads, kvHeads, headDim, rotated, feedForward, vocabulary;
  float eps, scale; // of norms; of q·k before the softmax
  float softCap;    // of scores; 0: none

  Shape embeddings() const { return {{vocabulary, width}, "tokens × embedding_length"}; }
  Shape features() const { return {{width}, "embedding_length"}; }
  Shape headFeatures() const { return {{headDim}, "attention.key_length"}; }
  Shape queries() const { return {{heads * headDim, width}, "heads · head size × embedding_length"}; }
  Shape keys() const { return {{kvHeads * headDim, width}, "KV heads · head size × embedding_length"}; }
  Shape attended() const { return {{width, heads * headDim}, "embedding_length × heads · head size"}; }
  Shape up() const { return {{feedForward, width}, "feed_forward_length × embedding_length"}; }
  Shape down() const { return {{width, feedForward}, "embedding_length × feed_forward_length"}; }
};

/// Throws CompileError, naming the key. `widening`: how much wider feed_forward_length is than embedding_length where the file
/// does not speak of it; 0: it must.
Decoder readDecoder(const ModelSource &model, int64_t widening = 0);

/// A mixture of experts: how many there are, how many of them a token chooses, and how wide each is.
struct Experts {
  int64_t count = 0, chosen = 0, feedForward = 0;
  Shape router(const Decoder &d) const { return {{count, d.width}, "expert_count × embedding_length"}; }
  Shape up(const Decoder &d) const {
    return {{count, feedForward, d.width}, "expert_count × width of an expert × embedding_length"};
  }
  Shape down(const Decoder &d) const {
    return {{count, d.width, feedForward}, "expert_count × embedding_length × width of an expert"};
  }
};
/// Throws CompileError, naming the key. `width` names the key of how wide one is.
Experts readExperts(const ModelSource &model, std::string_view width);

/// Whether products have biases: folders say so under `key`, of GGUF files those have one that bring it. Throws CompileError.
GraphBuilder::Bias readBiases(const ModelSource &model, std::string_view key);

/// What a table of angles may be scaled by: nothing, all positions alike, or also each pair by a factor of its own (Llama 3,
/// YaRN, LongRoPE).
enum class RopeScaling { None, Linear, Factors };

/// `key` names the base, `otherwise` is it where the file does not speak of it. With RopeScaling::None positions are taken as
/// they are. Throws CompileError for scaling of a kind that is not supported, by its name.
Rotation readRotation(const ModelSource &model, const Decoder &decoder, std::string_view key, double otherwise,
                      RopeScaling scaling);

/// What all decoders call their values, and those of one family before them: it may call some otherwise.
std::vector<ValueName> decoderValues(std::vector<ValueName> own = {});

/// For each layer whether it sees only the last `window` positions: from layer_types, a list of one kind per layer, or
/// attention.sliding_window_pattern, which is a period (its last layer sees everything) or a list of one flag per layer, else
/// every `period`-th layer sees everything.
std::vector<bool> readWindowLayers(const ModelSource &model, int64_t layers, int64_t period);

} // namespace heddle
