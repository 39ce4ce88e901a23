//===- PackedWeightSource.h - weights in the layout of a plan, for the interpreter ---------------------------------------===//
#pragma once
#include "ir/reference/Weights.h"
#include "runtime/quant/Format.h"
#include <map>
#include <string>

namespace heddle::reference {

/// Packs weights into row groups as a plan does and reads rows back out of the groups, so that packing is part of what is
/// compared; exact values come from the file's blocks. Immutable once filled: any number of threads may read it.
class PackedWeightSource : public WeightSource {
public:
  /// A weight from rows of file blocks, rows · rowBytes of them. A vector is one row.
  void add(const std::string &name, Format format, int64_t rows, int64_t columns, std::vector<std::byte> fileBytes);

  std::optional<WeightShape> shape(std::string_view name) const override;
  void exactRow(std::string_view name, int64_t row, double *out) const override;
  void integerRow(std::string_view name, int64_t row, IntegerRow &out) const override;
  void floatRow(std::string_view name, int64_t row, float *out) const override;

private:
  struct Entry {
    Format format;
    int64_t rows, columns;
    std::vector<std::byte> fileBytes; // [rows × rowBytes]
    std::vector<std::byte> groups;    // ⌈rows / 16⌉ row groups
    const std::byte *group(int64_t row) const;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

} // namespace heddle::reference
