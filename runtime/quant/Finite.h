//===- Finite.h - whether stored values are numbers -----------------------------------------------------------------===//
#pragma once
#include "runtime/quant/Format.h"

namespace heddle {

/// Whether `columns` elements of file blocks at `row`, aligned or not, whole blocks, stand for finite numbers: no float, and no
/// scale or minimum of a quantised format, is an infinity or NaN. As quick as reading them.
bool allFinite(Format format, const std::byte *row, int64_t columns);

} // namespace heddle
