//===- Encode.h - f32 rows as a format's file blocks ----------------------------------------------------------------===//
//
// What `--quantize` and the packer's casts use. The yardstick is the Python package `gguf` (gguf.quants.quantize): the bytes are
// its bytes, for every input, among them zeros of both signs, denormals, infinities and scales beyond f16.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/quant/Format.h"

namespace heddle {

/// True for the formats that encodeRow writes. That package offers no quantiser of K-quants, so neither do we.
bool canEncode(Format format);

/// Writes x [columns] as one row of `traits(format).rowBytes(columns)` bytes of file blocks; columns is a multiple of
/// `blockElements`. A pure function: any number of threads may encode rows of one tensor. A NaN crashes nothing, but what it
/// becomes is no number worth having: whoever reads weights refuses it by name before.
/// Throws std::invalid_argument, in one line that names the formats to choose from, where canEncode is false.
void encodeRow(Format format, const float *x, int64_t columns, std::byte *out);

} // namespace heddle
