//===- Format.cpp - the table of formats ------------------------------------------------------------------------------===//
#include "runtime/quant/Format.h"
#include "runtime/quant/Codec.h"
#include "runtime/quant/Encode.h"
#include "runtime/quant/Finite.h"
#include <cassert>
#include <stdexcept>

namespace heddle {
namespace {

/// In the order of `Format`.
const quant::Codec *const kCodecs[] = {
#define HEDDLE_FORMAT(name) &quant::k##name,
#include "runtime/quant/Formats.inc"
};

const quant::Codec &codec(Format format) {
  const quant::Codec &found = *kCodecs[static_cast<int>(format)];
  assert(found.traits.format == format);
  return found;
}

} // namespace

const FormatTraits &traits(Format format) { return codec(format).traits; }

std::optional<Format> formatByName(std::string_view name) {
  for (const quant::Codec *c : kCodecs)
    if (c->traits.name == name)
      return c->traits.format;
  return std::nullopt;
}

std::optional<Format> formatByGgmlType(uint32_t type) {
  for (const quant::Codec *c : kCodecs)
    if (c->traits.ggmlType == type)
      return c->traits.format;
  return std::nullopt;
}

std::string formatNames(bool (*which)(Format)) {
  std::string names;
  for (Format format : kFormats)
    if (!which || which(format))
      (names += names.empty() ? "" : " ") += traits(format).name;
  return names;
}

void dequantizeRow(Format format, const std::byte *row, int64_t columns, double *out) {
  assert(columns % traits(format).blockElements == 0);
  codec(format).dequantize(row, columns, out);
}

void packRowGroup(Format format, const std::byte *const rows[kGroupRows], int64_t columns, std::byte *out) {
  assert(columns % traits(format).blockElements == 0);
  codec(format).pack(rows, columns, out);
}

bool allFinite(Format format, const std::byte *row, int64_t columns) {
  assert(columns % traits(format).blockElements == 0);
  return codec(format).finite(row, columns);
}

bool canEncode(Format format) { return codec(format).encode; }

void encodeRow(Format format, const float *x, int64_t columns, std::byte *out) {
  const quant::Codec &c = codec(format);
  if (!c.encode)
    throw std::invalid_argument("cannot quantise to " + std::string(c.traits.name) + ": choose one of " + formatNames(canEncode));
  assert(columns % c.traits.blockElements == 0);
  c.encode(x, columns, out);
}

RowView unpackRow(Format format, const std::byte *group, int lane, int64_t columns, int8_t *codes, float *scales, float *minima) {
  const quant::Codec &c = codec(format);
  assert(c.unpack && lane >= 0 && lane < kGroupRows && columns % c.traits.blockElements == 0);
  c.unpack(group, lane, columns, codes, scales, minima);
  return c.view;
}

void widenRow(Format format, const std::byte *group, int lane, int64_t columns, float *out) {
  const quant::Codec &c = codec(format);
  assert(c.widen && lane >= 0 && lane < kGroupRows);
  c.widen(group, lane, columns, out);
}

} // namespace heddle
