//===- PackedWeightSource.cpp - rows in and out of packed groups ---------------------------------------------------------===//
#include "ir/reference/PackedWeightSource.h"

namespace heddle::reference {

void PackedWeightSource::add(const std::string &name, Format format, int64_t rows, int64_t columns,
                             std::vector<std::byte> fileBytes) {
  Entry entry{format, rows, columns, std::move(fileBytes), {}};
  int64_t groups = (rows + kGroupRows - 1) / kGroupRows, groupBytes = traits(format).groupBytes(columns);
  int64_t rowBytes = traits(format).rowBytes(columns);
  entry.groups.resize(static_cast<size_t>(groups * groupBytes));
  for (int64_t g = 0; g < groups; ++g) {
    const std::byte *lanes[kGroupRows] = {};
    for (int64_t lane = 0; lane < kGroupRows && g * kGroupRows + lane < rows; ++lane)
      lanes[lane] = entry.fileBytes.data() + (g * kGroupRows + lane) * rowBytes;
    packRowGroup(format, lanes, columns, entry.groups.data() + g * groupBytes);
  }
  entries_.insert_or_assign(name, std::move(entry));
}

const std::byte *PackedWeightSource::Entry::group(int64_t row) const {
  return groups.data() + row / kGroupRows * traits(format).groupBytes(columns);
}

std::optional<WeightShape> PackedWeightSource::shape(std::string_view name) const {
  auto found = entries_.find(name);
  if (found == entries_.end())
    return std::nullopt;
  const Entry &entry = found->second;
  return WeightShape{entry.rows, entry.columns, traits(entry.format).quantized};
}

void PackedWeightSource::exactRow(std::string_view name, int64_t row, double *out) const {
  const Entry &entry = entries_.find(name)->second;
  dequantizeRow(entry.format, entry.fileBytes.data() + row * traits(entry.format).rowBytes(entry.columns), entry.columns, out);
}

void PackedWeightSource::integerRow(std::string_view name, int64_t row, IntegerRow &out) const {
  const Entry &entry = entries_.find(name)->second;
  int64_t columns = entry.columns;
  out.codes.resize(static_cast<size_t>(columns));
  out.scales.resize(static_cast<size_t>(columns / 16)); // the smaller sub-block; cut below
  out.minima.resize(static_cast<size_t>(columns / 16));
  RowView view = unpackRow(entry.format, entry.group(row), static_cast<int>(row % kGroupRows), columns, out.codes.data(),
                           out.scales.data(), out.minima.data());
  out.subBlock = view.subBlock;
  out.hasMinimum = view.hasMinimum;
  out.scales.resize(static_cast<size_t>(columns / view.subBlock));
  out.minima.resize(view.hasMinimum ? out.scales.size() : 0);
}

void PackedWeightSource::floatRow(std::string_view name, int64_t row, float *out) const {
  const Entry &entry = entries_.find(name)->second;
  widenRow(entry.format, entry.group(row), static_cast<int>(row % kGroupRows), entry.columns, out);
}

} // namespace heddle::reference
