//===- Decoder.cpp - what the metadata of decoders has in common ------------------------------------------------------===//
#include "compiler/architectures/Decoder.h"
#include <algorithm>
#include <cmath>

using namespace heddle;

std::vector<ValueName> heddle::decoderValues(std::vector<ValueName> own) {
  const std::vector<ValueName> common = {
      {"block_count", {"num_hidden_layers"}},
      {"embedding_length", {"hidden_size"}},
      {"feed_forward_length", {"intermediate_size"}},
      {"context_length", {"max_position_embeddings"}, {int64_t{2048}}},
      {"vocab_size", {"vocab_size"}},
      {"attention.head_count", {"num_attention_heads"}},
      {"attention.head_count_kv", {"num_key_value_heads"}},
      {"attention.key_length", {"head_dim"}},
      {"attention.layer_norm_rms_epsilon", {"rms_norm_eps"}, {1e-6}},
      {"rope.freq_base", {"rope_theta", "rope_parameters.rope_theta"}},
      {"rope.scaling.type", {"rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.rope_type", "rope_parameters.type"}},
      {"rope.scaling.factor",
       {"rope_scaling.factor", "rope_parameters.factor"},
       {},
       {"rope.scaling.factor", "rope.scale_linear"}},
      {"rope.scaling.original_context_length",
       {"rope_scaling.original_max_position_embeddings", "rope_parameters.original_max_position_embeddings",
        "original_max_position_embeddings"}},
      {"rope.scaling.low_freq_factor", {"rope_scaling.low_freq_factor", "rope_parameters.low_freq_factor"}},
      {"rope.scaling.high_freq_factor", {"rope_scaling.high_freq_factor", "rope_parameters.high_freq_factor"}},
      {"rope.scaling.attn_factor", {"rope_scaling.attention_factor", "rope_parameters.attention_factor"}},
      {"rope.scaling.yarn_beta_fast", {"rope_scaling.beta_fast", "rope_parameters.beta_fast"}},
      {"rope.scaling.yarn_beta_slow", {"rope_scaling.beta_slow", "rope_parameters.beta_slow"}},
      {"rope.scaling.truncate", {"rope_scaling.truncate", "rope_parameters.truncate"}},
      {"rope.scaling.mscale", {"rope_scaling.mscale", "rope_parameters.mscale"}},
      {"rope.scaling.mscale_all_dim", {"rope_scaling.mscale_all_dim", "rope_parameters.mscale_all_dim"}},
      {"rope.scaling.long_factor", {"rope_scaling.long_factor", "rope_parameters.long_factor"}},
      {"rope.scaling.short_factor", {"rope_scaling.short_factor", "rope_parameters.short_factor"}},
      {"tie_word_embeddings", {"tie_word_embeddings"}, {false}},
  };
  own.insert(own.end(), common.begin(), common.end()); // the first of a name counts
  return own;
}

constexpr int64_t kVector = 16, kMostHeadDim = 4096; // what kernels take: whole vectors of 16 features

static void requireMultiple(const ModelSource &m, const char *key, int64_t value) {
  if (value % kVector)
    m.refuse(key, "is " + std::to_string(value) + "; only multiples of 16 are supported");
}

/// key_length, or the width shared out to the heads.
static int64_t readHeadDim(const ModelSource &m, int64_t width, int64_t heads) {
  auto given = m.integer("attention.key_length");
  if (!given && width % heads)
    m.refuse("attention.head_count", "is " + std::to_string(heads) + ", which does not divide the " +
                                         m.called("embedding_length") + " of " + std::to_string(width) +
                                         ", and attention.key_length is missing: " + m.again());
  int64_t size = given.value_or(width / heads);
  if (size < kVector || size > kMostHeadDim || size % kVector)
    throw CompileError(m.checkpoint().shownKey(given ? m.called("attention.key_length")
                                                     : m.called("embedding_length") + " / " + m.called("attention.head_count")) +
                       ": a head size of " + std::to_string(size) + " is not supported, only multiples of 16 up to 4096");
  if (auto values = m.integer("attention.value_length"); values && *values != size)
    m.refuse("attention.value_length", "is " + std::to_string(*values) + " where keys have " + std::to_string(size) +
                                           " features: heads whose keys and values differ in size are not supported");
  return size;
}

Decoder heddle::readDecoder(const ModelSource &m, int64_t widening) {
  Decoder d{};
  d.layers = m.requiredInteger("block_count", 1, 1024);
  d.width = m.requiredInteger("embedding_length", kVector, 1 << 20);
  d.heads = m.requiredInteger("attention.head_count", 1, 4096);
  d.kvHeads = m.integerWithin("attention.head_count_kv", 1, d.heads).value_or(d.heads);
  if (d.heads % d.kvHeads)
    m.refuse("attention.head_count_kv", "is " + std::to_string(d.kvHeads) + ", which does not divide the " +
                                            m.called("attention.head_count") + " of " + std::to_string(d.heads) + ": " +
                                            m.again());
  d.headDim = readHeadDim(m, d.width, d.heads);
  requireMultiple(m, "embedding_length", d.width); // after the head size, which often is why
  d.rotated = m.integerWithin("rope.dimension_count", kVector, d.headDim).value_or(d.headDim);
  requireMultiple(m, "rope.dimension_count", d.rotated);
  d.feedForward =
      widening && !m.integer("feed_forward_length") ? widening * d.width : m.requiredInteger("feed_forward_length", 1, 1 << 24);
  m.requiredInteger("context_length", 1, 1 << 27);
  d.vocabulary = m.vocabularySize();
  if (d.vocabulary < 1 || d.vocabulary > INT32_MAX)
    throw CompileError(m.name() + ": metadata tokenizer.ggml.tokens holds " + std::to_string(d.vocabulary) +
                       " tokens: the file is incomplete, " + m.again());
  if (auto tokens = m.integer("vocab_size"); tokens && *tokens != d.vocabulary)
    m.refuse("vocab_size", "is " + std::to_string(*tokens) + " for " + std::to_string(d.vocabulary) +
                               " tokens: the file is inconsistent, " + m.again());

  auto eps = m.numberWithin("attention.layer_norm_rms_epsilon", 1e-30, 1);
  if (!eps)
    m.refuse("attention.layer_norm_rms_epsilon", "is missing: " + m.again());
  d.eps = static_cast<float>(*eps);
  d.scale = 1.0f / std::sqrt(static_cast<float>(d.headDim));
  if (auto scale = m.numberWithin("attention.scale", 1e-6, 1e6))
    d.scale = static_cast<float>(*scale);
  d.softCap = static_cast<float>(m.numberWithin("attn_logit_softcapping", 0, 1e6).value_or(0));
  return d;
}

Experts heddle::readExperts(const ModelSource &m, std::string_view width) {
  constexpr int64_t kMostExperts = 4096, kMostChosen = 128;
  Experts e;
  e.count = m.requiredInteger("expert_count", 1, kMostExperts);
  constexpr const char *kRouter = "blk.0.ffn_gate_inp.weight";
  if (!m.tensor(kRouter))
    throw CompileError(m.shownTensor(kRouter) + ", which chooses among the " + std::to_string(e.count) +
                       " experts of a mixture, is missing: give the file of the whole model");
  e.chosen = m.requiredInteger("expert_used_count", 1, std::min(e.count, kMostChosen));
  e.feedForward = m.requiredInteger(width, 1, 1 << 24);
  requireMultiple(m, std::string(width).c_str(), e.feedForward);
  return e;
}

GraphBuilder::Bias heddle::readBiases(const ModelSource &m, std::string_view key) {
  if (m.checkpoint().kind() == Checkpoint::Kind::Gguf)
    return GraphBuilder::Bias::IfThere;
  return m.flag(key).value_or(false) ? GraphBuilder::Bias::Needed : GraphBuilder::Bias::None;
}

std::vector<bool> heddle::readWindowLayers(const ModelSource &m, int64_t layers, int64_t period) {
  constexpr const char *kPattern = "attention.sliding_window_pattern", *kKinds = "layer_types";
  for (const char *key : {kKinds, kPattern})
    if (auto flags = m.flags(key)) {
      if (static_cast<int64_t>(flags->size()) != layers)
        m.refuse(key,
                 "has " + std::to_string(flags->size()) + " entries for " + std::to_string(layers) + " layers: " + m.again());
      m.called(kPattern); // the list says more
      return *flags;
    }
  period = m.integerWithin(kPattern, 0, 1024).value_or(period);
  std::vector<bool> windows(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer)
    windows[static_cast<size_t>(layer)] = period == 0 || layer % period != period - 1;
  return windows;
}
