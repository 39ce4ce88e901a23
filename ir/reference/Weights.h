//===- Weights.h - where the interpreter's weights come from --------------------------------------------------------===//
//
// Weights never enter the IR, so the interpreter asks for rows by symbol name. The interface knows no file format and no packed
// layout; tests/support adapts runtime/quant to it.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace heddle::reference {

/// One row of a quantised weight as the one arithmetic sees it: element k is codes[k] · scales[k / subBlock] (+ minima[…]).
struct IntegerRow {
  std::vector<int8_t> codes; // [K]
  std::vector<float> scales; // [K / subBlock]
  std::vector<float> minima; // [K / subBlock], or empty
  int64_t subBlock = 32;     // 16 or 32
  bool hasMinimum = false;
};

struct WeightShape {
  int64_t rows, columns; // a vector is one row
  bool quantized;        // rows come from integerRow, otherwise from floatRow
};

/// Called from several threads at once (ranks): implementations only read. A row is asked for only inside `shape(name)`.
class WeightSource {
public:
  virtual ~WeightSource() = default;
  /// Nothing when there is no such weight.
  virtual std::optional<WeightShape> shape(std::string_view name) const = 0;
  /// The row's values without rounding. out [columns]
  virtual void exactRow(std::string_view name, int64_t row, double *out) const = 0;
  /// The row of a quantised format.
  virtual void integerRow(std::string_view name, int64_t row, IntegerRow &out) const = 0;
  /// The row of F32, F16 or BF16, widened. out [columns]
  virtual void floatRow(std::string_view name, int64_t row, float *out) const = 0;
};

} // namespace heddle::reference
