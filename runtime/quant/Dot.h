//===- Dot.h - the normative product and embedding formulas in plain C++ --------------------------------------------===//
//
// What docs/arithmetic.md ("Products") defines, one row at a time, for tests and the reference interpreter. Compiled kernels must
// give these bits. `group` is one packed row group (packRowGroup), `lane` 0 … 15 the row in it.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/quant/Activation.h"
#include "runtime/quant/Format.h"
#include <vector>

namespace heddle {

/// A quantised row as the arithmetic sees it, unpacked once for many dots.
struct QuantizedRow {
  RowView view;
  std::vector<int8_t> codes;         // [columns]
  std::vector<float> scales, minima; // [columns / view.subBlock]; minima empty without a minimum
};
QuantizedRow quantizedRow(Format format, const std::byte *group, int lane, int64_t columns);

/// The product of one row with one token, continuing `acc`. x [columns / 32]. Not for F32, F16, BF16.
float dot(const QuantizedRow &row, const Q8Block *x, float acc = 0);

/// The same from the packed group.
float dotRow(Format format, const std::byte *group, int lane, int64_t columns, const Q8Block *x);

/// The product of a row of F32, F16 or BF16 with x [columns].
float dotRowF32(Format format, const std::byte *group, int lane, int64_t columns, const float *x);

/// A row read as numbers, for any format (token embedding, before the model's embedding scale). out [columns].
void readRow(Format format, const std::byte *group, int lane, int64_t columns, float *out);

/// One element of such a row, column k. For many elements of a row use readRow.
float valueAt(Format format, const std::byte *group, int lane, int64_t k);

} // namespace heddle
