//===- Dot.cpp - the normative product and embedding formulas in plain C++ --------------------------------------------===//
#include "runtime/quant/Dot.h"
#include <cmath>

namespace heddle {

QuantizedRow quantizedRow(Format format, const std::byte *group, int lane, int64_t columns) {
  QuantizedRow row;
  row.codes.resize(columns);
  row.scales.resize(columns / 16); // enough for either sub-block
  row.minima.resize(columns / 16);
  row.view = unpackRow(format, group, lane, columns, row.codes.data(), row.scales.data(), row.minima.data());
  row.scales.resize(columns / row.view.subBlock);
  row.minima.resize(row.view.hasMinimum ? columns / row.view.subBlock : 0);
  return row;
}

float dot(const QuantizedRow &row, const Q8Block *x, float acc) {
  const int64_t columns = static_cast<int64_t>(row.codes.size()), sub = row.view.subBlock;
  for (int64_t k = 0; k < columns; k += sub) {
    const Q8Block &block = x[k / 32];
    int32_t sum = 0;
    for (int64_t i = 0; i < sub; ++i)
      sum += row.codes[k + i] * block.q[k % 32 + i];
    acc = std::fma(static_cast<float>(sum), row.scales[k / sub] * block.d, acc);
    if (row.view.hasMinimum)
      acc = std::fma(row.minima[k / sub], block.d * static_cast<float>(block.s0 + block.s1), acc);
  }
  return acc;
}

float dotRow(Format format, const std::byte *group, int lane, int64_t columns, const Q8Block *x) {
  return dot(quantizedRow(format, group, lane, columns), x);
}

float dotRowF32(Format format, const std::byte *group, int lane, int64_t columns, const float *x) {
  std::vector<float> row(columns);
  widenRow(format, group, lane, columns, row.data());
  float acc = 0;
  for (int64_t k = 0; k < columns; ++k)
    acc = std::fma(row[k], x[k], acc);
  return acc;
}

void readRow(Format format, const std::byte *group, int lane, int64_t columns, float *out) {
  if (!traits(format).quantized)
    return widenRow(format, group, lane, columns, out);
  QuantizedRow row = quantizedRow(format, group, lane, columns);
  for (int64_t k = 0; k < columns; ++k) {
    float code = row.codes[k], scale = row.scales[k / row.view.subBlock];
    out[k] = row.view.hasMinimum ? std::fma(code, scale, row.minima[k / row.view.subBlock]) : code * scale;
  }
}

float valueAt(Format format, const std::byte *group, int lane, int64_t k) {
  const FormatTraits &t = traits(format);
  float block[256]; // the largest block
  readRow(format, group + k / t.blockElements * t.packedBytes, lane, t.blockElements, block);
  return block[k % t.blockElements];
}

} // namespace heddle
