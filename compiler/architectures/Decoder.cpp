//===- Decoder.cpp - what the metadata of decoders has in common ------------------------------------------------------===//
#include "compiler/architectures/Decoder.h"
#include <algorithm>
#include <cmath>

using namespace heddle;

constexpr int64_t kVector = 16, kMostHeadDim = 4096; // what kernels take: whole vectors of 16 features

static void requireMultiple(const ModelSource &m, const char *key, int64_t value) {
  if (value % kVector)
    m.refuse(key, "is " + std::to_string(value) + "; only multiples of 16 are supported");
}

/// key_length, or the width shared out to the heads.
static int64_t readHeadDim(const ModelSource &m, int64_t width, int64_t heads) {
  auto given = m.integer("attention.key_length");
  if (!given && width % heads)
    m.refuse("attention.head_count", "is " + std::to_string(heads) + ", which does not divide the embedding_length of " +
                                         std::to_string(width) +
                                         ", and attention.key_length is missing: convert the model again");
  int64_t size = given.value_or(width / heads);
  if (size < kVector || size > kMostHeadDim || size % kVector)
    throw CompileError(m.name() + ": a head size of " + std::to_string(size) +
                       " is not supported, only multiples of 16 up to 4096 (metadata " + m.architecture() + "." +
                       (given ? "attention.key_length" : "embedding_length / attention.head_count") + ")");
  if (auto values = m.integer("attention.value_length"); values && *values != size)
    m.refuse("attention.value_length", "is " + std::to_string(*values) + " where keys have " + std::to_string(size) +
                                           " features: heads whose keys and values differ in size are not supported");
  return size;
}

Decoder heddle::readDecoder(const ModelSource &m) {
  Decoder d{};
  d.layers = m.requiredInteger("block_count", 1, 1024);
  d.width = m.requiredInteger("embedding_length", kVector, 1 << 20);
  d.heads = m.requiredInteger("attention.head_count", 1, 4096);
  d.kvHeads = m.integerWithin("attention.head_count_kv", 1, d.heads).value_or(d.heads);
  if (d.heads % d.kvHeads)
    m.refuse("attention.head_count_kv", "is " + std::to_string(d.kvHeads) + ", which does not divide the head_count of " +
                                            std::to_string(d.heads) + ": convert the model again");
  d.headDim = readHeadDim(m, d.width, d.heads);
  requireMultiple(m, "embedding_length", d.width); // after the head size, which often is why
  d.rotated = m.integerWithin("rope.dimension_count", kVector, d.headDim).value_or(d.headDim);
  requireMultiple(m, "rope.dimension_count", d.rotated);
  d.feedForward = m.requiredInteger("feed_forward_length", 1, 1 << 24);
  m.requiredInteger("context_length", 1, 1 << 27);
  d.vocabulary = m.vocabularySize();
  if (d.vocabulary < 1 || d.vocabulary > INT32_MAX)
    throw CompileError(m.name() + ": metadata tokenizer.ggml.tokens holds " + std::to_string(d.vocabulary) +
                       " tokens: the file is incomplete, convert the model again");
  if (auto tokens = m.integer("vocab_size"); tokens && *tokens != d.vocabulary)
    m.refuse("vocab_size", "is " + std::to_string(*tokens) + " for " + std::to_string(d.vocabulary) +
                               " tokens: the file is inconsistent, convert it again");

  auto eps = m.numberWithin("attention.layer_norm_rms_epsilon", 1e-30, 1);
  if (!eps)
    m.refuse("attention.layer_norm_rms_epsilon", "is missing: convert the model again");
  d.eps = static_cast<float>(*eps);
  d.scale = 1.0f / std::sqrt(static_cast<float>(d.headDim));
  if (auto scale = m.numberWithin("attention.scale", 1e-6, 1e6))
    d.scale = static_cast<float>(*scale);
  d.softCap = static_cast<float>(m.numberWithin("attn_logit_softcapping", 0, 1e6).value_or(0));
  return d;
}

/// The first of several spellings of a key that is there; another one must not contradict it.
static std::optional<double> numberOf(const ModelSource &m, llvm::ArrayRef<const char *> keys, double low, double high) {
  std::optional<double> found;
  const char *from = nullptr;
  for (const char *key : keys)
    if (auto value = m.numberWithin(key, low, high)) {
      if (found && *found != *value)
        m.refuse(key, "contradicts " + m.architecture() + "." + from + ": convert the model again");
      if (!found)
        found = value, from = key;
    }
  return found;
}

/// Llama 3's frequency scaling arrives as one factor per pair.
static std::vector<double> readFactors(const ModelSource &m, int64_t pairs) {
  auto info = m.tensor("rope_freqs.weight");
  if (!info)
    return {};
  if (info->shape != std::vector<int64_t>{pairs})
    throw CompileError(m.name() + ": tensor rope_freqs.weight needs one factor for each of the " + std::to_string(pairs) +
                       " rotated pairs of a head: convert the model again");
  std::vector<float> values = m.vectorValues("rope_freqs.weight");
  for (float value : values)
    if (!(value >= 1e-6f && value <= 1e6f))
      throw CompileError(m.name() + ": tensor rope_freqs.weight holds a factor outside of 1e-6 to 1e6: convert the model again");
  return {values.begin(), values.end()};
}

Rotation heddle::readRotation(const ModelSource &m, const Decoder &d, llvm::ArrayRef<const char *> keys, double otherwise,
                              bool scaled) {
  Rotation r;
  r.base = numberOf(m, keys, 1, 1e300).value_or(otherwise);
  if (scaled) {
    if (m.architecture() == "llama")
      r.factors = readFactors(m, d.rotated / 2);
    auto type = m.text("rope.scaling.type");
    bool linear = !type || *type == "linear";
    if (!linear && *type != "none" && (*type != "llama3" || r.factors.empty()))
      throw CompileError(m.name() + ": RoPE scaling '" + *type +
                         "' is not supported (linear, or factors in rope_freqs.weight): use a model without it");
    auto scale = numberOf(m, {"rope.scaling.factor", "rope.scale_linear"}, 1e-6, 1e6); // the second one is the older
    if (linear)
      r.linearScale = scale.value_or(1);
  }
  double least = r.factors.empty() ? 1 : *std::ranges::min_element(r.factors), context = *m.number("context_length");
  if (context / (r.linearScale * least) >= 1073741824.0) // 2^30, where sines end (docs/arithmetic.md)
    m.refuse("context_length", "turns positions too far for this RoPE scaling: convert the model again");
  return r;
}

std::vector<bool> heddle::readWindowLayers(const ModelSource &m, int64_t layers, int64_t period) {
  constexpr const char *key = "attention.sliding_window_pattern";
  if (auto flags = m.flags(key)) {
    if (static_cast<int64_t>(flags->size()) != layers)
      m.refuse(key, "has " + std::to_string(flags->size()) + " entries for " + std::to_string(layers) +
                        " layers: convert the model again");
    return *flags;
  }
  period = m.integerWithin(key, 0, 1024).value_or(period);
  std::vector<bool> windows(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer)
    windows[static_cast<size_t>(layer)] = period == 0 || layer % period != period - 1;
  return windows;
}
