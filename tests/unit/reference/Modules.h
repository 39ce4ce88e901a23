//===- Modules.h - the hand-written modules, their weights, and batches ---------------------------------------------===//
#pragma once
#include "tests/support/PackedWeights.h"
#include "tests/support/Program.h"
#include "tests/support/RandomBlocks.h"
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace heddle::test {

inline std::string readModule(const std::string &name) {
  std::ifstream file(std::string(HEDDLE_MODULES) + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline WeightData floatWeight(const std::vector<float> &values, int64_t rows) {
  WeightData data{Format::F32, rows, static_cast<int64_t>(values.size()) / rows, rows == 1, {}};
  const auto *bytes = reinterpret_cast<const std::byte *>(values.data());
  data.fileBytes.assign(bytes, bytes + values.size() * sizeof(float));
  return data;
}

inline WeightData randomWeight(Format format, int64_t rows, int64_t columns, uint64_t seed) {
  WeightData data{format, rows, columns, false, {}};
  std::mt19937_64 random(seed);
  for (int64_t r = 0; r < rows; ++r) {
    auto row = randomRow(format, columns, random);
    data.fileBytes.insert(data.fileBytes.end(), row.begin(), row.end());
  }
  return data;
}

/// What modules/*.mlir declare.
inline PackedWeights moduleWeights() {
  PackedWeights w;
  auto norm = [&](const char *name, int64_t n) {
    std::vector<float> values;
    for (int64_t i = 0; i < n; ++i)
      values.push_back(0.7f + 0.05f * static_cast<float>(i * 7 % 13));
    w.add(name, floatWeight(values, 1));
  };
  norm("output_norm", 64), norm("attn_norm", 64), norm("q_norm", 32), norm("k_norm", 32), norm("post_norm", 64),
      norm("ffn_norm", 64);
  w.add("embed", randomWeight(Format::Q8_0, 1100, 64, 1));
  w.add("q", randomWeight(Format::Q4_1, 192, 64, 2));
  w.add("k", randomWeight(Format::Q4_1, 64, 64, 3));
  w.add("v", randomWeight(Format::Q5_0, 64, 64, 4));
  w.add("o", randomWeight(Format::Q4_0, 64, 192, 5));
  w.add("gate", randomWeight(Format::Q4_1, 96, 64, 6));
  w.add("up", randomWeight(Format::Q8_0, 96, 64, 7));
  w.add("down", randomWeight(Format::Q5_1, 64, 96, 8));
  return w;
}

/// Tokens [begin, end) of one sequence, which is row `sequence` of a page table of `sequences` rows and width 4; pages are
/// interleaved, so that a sequence's pages are not neighbours. Logits of every token.
inline reference::Batch chunk(int64_t begin, int64_t end, int64_t sequence = 0, int64_t sequences = 1) {
  reference::Batch b;
  b.pageWidth = 4;
  for (int64_t i = 0; i < sequences * 4; ++i)
    b.pageTable.push_back(static_cast<int32_t>((i % 4) * sequences + i / 4));
  for (int64_t p = begin; p < end; ++p) {
    b.rows.push_back(static_cast<int32_t>(b.ids.size()));
    b.ids.push_back(static_cast<int32_t>((p * 37 + sequence * 101 + 5) % 1100));
    b.positions.push_back(static_cast<int32_t>(p));
    b.sequences.push_back(static_cast<int32_t>(sequence));
  }
  return b;
}

/// Both batches in one step; they have the same page table.
inline reference::Batch together(reference::Batch a, const reference::Batch &b) {
  for (int32_t row : b.rows)
    a.rows.push_back(row + static_cast<int32_t>(a.ids.size()));
  a.ids.insert(a.ids.end(), b.ids.begin(), b.ids.end());
  a.positions.insert(a.positions.end(), b.positions.begin(), b.positions.end());
  a.sequences.insert(a.sequences.end(), b.sequences.begin(), b.sequences.end());
  return a;
}

template <class Real> std::vector<Real> valuesOf(const reference::Tensor &t) {
  const auto *values = t.as<std::vector<Real>>();
  return values ? *values : std::vector<Real>();
}

template <class Real> reference::Tensor tensor(std::vector<int64_t> shape, std::vector<Real> values) {
  reference::Tensor t;
  t.shape = std::move(shape);
  t.valid = {0, t.columns()};
  t.data = std::move(values);
  return t;
}

/// Random reals near 1 in size, the same ones as float and as double.
template <class Real> std::vector<Real> noise(int64_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Real> out;
  for (int64_t i = 0; i < n; ++i)
    out.push_back(static_cast<Real>(static_cast<float>(static_cast<int64_t>(random() % 4001) - 2000) / 1000.0f));
  return out;
}

} // namespace heddle::test
