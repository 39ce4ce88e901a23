//===- PackedWeights.h - runtime/quant as the interpreter's weights -------------------------------------------------===//
#pragma once
#include "ir/reference/Weights.h"
#include "tests/support/TinyModel.h"

namespace heddle::test {

/// Packs weights into row groups as a plan does and reads rows back out of the groups, so that packing is part of what parity
/// tests compare; exact values come from the file's blocks. Immutable once filled: any number of threads may read it.
class PackedWeights final : public reference::WeightSource {
public:
  PackedWeights() = default;
  explicit PackedWeights(const TinyModel &model);
  /// A weight from rows of file blocks, which are copied.
  void add(const std::string &name, const WeightData &data);

  std::optional<reference::WeightShape> shape(std::string_view name) const override;
  void exactRow(std::string_view name, int64_t row, double *out) const override;
  void integerRow(std::string_view name, int64_t row, reference::IntegerRow &out) const override;
  void floatRow(std::string_view name, int64_t row, float *out) const override;

private:
  struct Entry {
    WeightData data;
    std::vector<std::byte> groups; // ⌈rows / 16⌉ row groups
    const std::byte *group(int64_t row) const;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

} // namespace heddle::test
