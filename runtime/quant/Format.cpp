//===- Format.cpp - the table of formats ------------------------------------------------------------------------------===//
#include "runtime/quant/Format.h"
#include "runtime/quant/Codec.h"
#include "runtime/quant/Encode.h"
#include <cassert>
#include <stdexcept>
#include <string>

namespace heddle {
namespace {

/// In the order of `Format`.
const quant::Codec *const kCodecs[kFormatCount] = {&quant::kF32,  &quant::kF16,  &quant::kBF16, &quant::kQ4_0,
                                                   &quant::kQ4_1, &quant::kQ5_0, &quant::kQ5_1, &quant::kQ8_0,
                                                   &quant::kQ4_K, &quant::kQ5_K, &quant::kQ6_K};

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

void dequantizeRow(Format format, const std::byte *row, int64_t columns, double *out) {
  assert(columns % traits(format).blockElements == 0);
  codec(format).dequantize(row, columns, out);
}

void packRowGroup(Format format, const std::byte *const rows[kGroupRows], int64_t columns, std::byte *out) {
  assert(columns % traits(format).blockElements == 0);
  codec(format).pack(rows, columns, out);
}

bool canEncode(Format format) { return codec(format).encode; }

void encodeRow(Format format, const float *x, int64_t columns, std::byte *out) {
  const quant::Codec &c = codec(format);
  if (!c.encode) {
    std::string known;
    for (const quant::Codec *other : kCodecs)
      if (other->encode)
        (known += known.empty() ? "" : " ") += other->traits.name;
    throw std::invalid_argument("cannot quantise to " + std::string(c.traits.name) + ": choose one of " + known);
  }
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
