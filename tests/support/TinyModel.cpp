//===- TinyModel.cpp - names, shapes and random contents of the tensors ---------------------------------------------===//
#include "tests/support/TinyModel.h"
#include "tests/support/RandomBlocks.h"
#include <cstring>
#include <functional>
#include <stdexcept>

namespace heddle::test {
namespace {

class Builder {
public:
  explicit Builder(TinyModel &model) : model_(model), config_(model.config) {}

  void matrix(const std::string &tensor, const std::string &role, int64_t rows, int64_t columns, int64_t experts = 1) {
    auto named = config_.formats.find(tensor), byRole = config_.formats.find(role);
    Format format = named != config_.formats.end()    ? named->second
                    : byRole != config_.formats.end() ? byRole->second
                                                      : config_.weights;
    if (columns % traits(format).blockElements)
      throw std::invalid_argument(tensor + ": rows of " + std::to_string(columns) + " do not divide into blocks of " +
                                  std::string(traits(format).name));
    WeightData data{format, experts * rows, columns, false, {}, experts};
    auto random = generator(tensor);
    for (int64_t r = 0; r < experts * rows; ++r) {
      auto row = randomRow(format, columns, random);
      data.fileBytes.insert(data.fileBytes.end(), row.begin(), row.end());
    }
    model_.weights.emplace(tensor, std::move(data));
  }

  void vector(const std::string &tensor, const std::vector<float> &values, int64_t experts = 1) {
    WeightData data{
        Format::F32, 1, static_cast<int64_t>(values.size()), true, std::vector<std::byte>(values.size() * sizeof(float)),
        experts};
    std::memcpy(data.fileBytes.data(), values.data(), data.fileBytes.size());
    model_.weights.emplace(tensor, std::move(data));
  }
  /// Around 1, as trained norms are.
  void norm(const std::string &tensor, int64_t n) {
    auto random = generator(tensor);
    std::vector<float> values;
    for (int64_t i = 0; i < n; ++i)
      values.push_back(0.75f + static_cast<float>(random() % 1024) / 2048);
    vector(tensor, values);
  }

  /// Around 0, about as large as the products that it is added to.
  void bias(const std::string &tensor, int64_t n, int64_t experts = 1) {
    auto random = generator(tensor);
    std::vector<float> values;
    for (int64_t i = 0; i < experts * n; ++i)
      values.push_back(static_cast<float>(random() % 1024) / 1024 - 0.5f);
    vector(tensor, values, experts);
  }

private:
  /// Each tensor draws from its own generator: changing one format leaves the other tensors' codes as they are.
  std::mt19937_64 generator(const std::string &tensor) const {
    uint64_t hash = 1469598103934665603u ^ config_.seed; // FNV-1a: std::hash differs between libraries
    for (char c : tensor)
      hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
    return std::mt19937_64(hash);
  }

  TinyModel &model_;
  const TinyConfig &config_;
};

} // namespace

TinyModel makeTinyModel(const TinyConfig &c) {
  TinyModel model{c, {}};
  Builder b(model);
  const bool gemma = c.architecture == "gemma3", gpt2 = c.architecture == "gpt2", oss = c.architecture == "gpt-oss";
  if (!gemma && !gpt2 && !oss && c.architecture != "llama" && c.architecture != "granite")
    throw std::invalid_argument("tiny models are llama, granite, gemma3, gpt2 or gpt-oss, not " + c.architecture);
  b.matrix("token_embd.weight", "token_embd", c.vocabulary, c.width);
  auto norm = [&](const std::string &name, int64_t n) {
    b.norm(name + ".weight", n);
    if (gpt2)
      b.bias(name + ".bias", n);
  };
  norm("output_norm", c.width);
  if (gpt2)
    b.matrix("position_embd.weight", "position_embd", c.context, c.width);
  if (!gemma && !gpt2 && !c.tiedHead)
    b.matrix("output.weight", "output", c.vocabulary, c.width);
  if (!c.ropeFactors.empty())
    b.vector(c.longFactors.empty() ? "rope_freqs.weight" : "rope_factors_short.weight", c.ropeFactors);
  if (!c.longFactors.empty())
    b.vector("rope_factors_long.weight", c.longFactors);
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    std::string block = "blk." + std::to_string(layer) + ".";
    auto matrix = [&](const char *role, int64_t rows, int64_t columns, int64_t experts = 1) {
      b.matrix(block + role + ".weight", role, rows, columns, experts);
      if (c.biases || gpt2 || oss)
        b.bias(block + role + ".bias", rows, experts);
    };
    norm(block + "attn_norm", c.width);
    norm(block + (oss ? "post_attention_norm" : "ffn_norm"), c.width);
    if (oss)
      b.bias(block + "attn_sinks.weight", c.heads);
    if (gemma) {
      norm(block + "attn_q_norm", c.headDim);
      norm(block + "attn_k_norm", c.headDim);
      norm(block + "post_attention_norm", c.width);
      norm(block + "post_ffw_norm", c.width);
    }
    matrix("attn_q", c.heads * c.headDim, c.width);
    matrix("attn_k", c.kvHeads * c.headDim, c.width);
    matrix("attn_v", c.kvHeads * c.headDim, c.width);
    matrix("attn_output", c.width, c.heads * c.headDim);
    if (c.experts) {
      matrix("ffn_gate_inp", c.experts, c.width);
      matrix("ffn_gate_exps", c.feedForward, c.width, c.experts);
      matrix("ffn_up_exps", c.feedForward, c.width, c.experts);
      matrix("ffn_down_exps", c.width, c.feedForward, c.experts);
      continue;
    }
    if (!gpt2)
      matrix("ffn_gate", c.feedForward, c.width);
    matrix("ffn_up", c.feedForward, c.width);
    matrix("ffn_down", c.width, c.feedForward);
  }
  return model;
}

} // namespace heddle::test
