//===- PackedWeights.cpp - rows in and out of packed groups ---------------------------------------------------------===//
#include "tests/support/PackedWeights.h"

namespace heddle::test {

PackedWeights::PackedWeights(const TinyModel &model) {
  for (const auto &[name, data] : model.weights)
    add(name, data);
}

void PackedWeights::add(const std::string &name, const WeightData &data) {
  Entry entry{data, {}};
  int64_t groups = (data.rows + kGroupRows - 1) / kGroupRows, groupBytes = traits(data.format).groupBytes(data.columns);
  int64_t rowBytes = traits(data.format).rowBytes(data.columns);
  entry.groups.resize(static_cast<size_t>(groups * groupBytes));
  for (int64_t g = 0; g < groups; ++g) {
    const std::byte *rows[kGroupRows] = {};
    for (int64_t lane = 0; lane < kGroupRows && g * kGroupRows + lane < data.rows; ++lane)
      rows[lane] = data.fileBytes.data() + (g * kGroupRows + lane) * rowBytes;
    packRowGroup(data.format, rows, data.columns, entry.groups.data() + g * groupBytes);
  }
  entries_.insert_or_assign(name, std::move(entry));
}

const std::byte *PackedWeights::Entry::group(int64_t row) const {
  return groups.data() + row / kGroupRows * traits(data.format).groupBytes(data.columns);
}

std::optional<reference::WeightShape> PackedWeights::shape(std::string_view name) const {
  auto found = entries_.find(name);
  if (found == entries_.end())
    return std::nullopt;
  const WeightData &data = found->second.data;
  return reference::WeightShape{data.rows, data.columns, traits(data.format).quantized};
}

void PackedWeights::exactRow(std::string_view name, int64_t row, double *out) const {
  const WeightData &data = entries_.find(name)->second.data;
  dequantizeRow(data.format, data.fileBytes.data() + row * traits(data.format).rowBytes(data.columns), data.columns, out);
}

void PackedWeights::integerRow(std::string_view name, int64_t row, reference::IntegerRow &out) const {
  const Entry &entry = entries_.find(name)->second;
  int64_t columns = entry.data.columns;
  out.codes.resize(static_cast<size_t>(columns));
  out.scales.resize(static_cast<size_t>(columns / 16)); // the smaller sub-block; cut below
  out.minima.resize(static_cast<size_t>(columns / 16));
  RowView view = unpackRow(entry.data.format, entry.group(row), static_cast<int>(row % kGroupRows), columns, out.codes.data(),
                           out.scales.data(), out.minima.data());
  out.subBlock = view.subBlock;
  out.hasMinimum = view.hasMinimum;
  out.scales.resize(static_cast<size_t>(columns / view.subBlock));
  out.minima.resize(view.hasMinimum ? out.scales.size() : 0);
}

void PackedWeights::floatRow(std::string_view name, int64_t row, float *out) const {
  const Entry &entry = entries_.find(name)->second;
  widenRow(entry.data.format, entry.group(row), static_cast<int>(row % kGroupRows), entry.data.columns, out);
}

} // namespace heddle::test
