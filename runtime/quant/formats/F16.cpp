//===- F16.cpp - 16-bit floats of IEEE 754 ----------------------------------------------------------------------===//
//
// File: f16.
// Packed: f16[16].
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/FloatCodec.h"

namespace heddle::quant {
const Codec kF16 = FloatLoops<uint16_t, widenF16, narrowToF16>::codec(Format::F16, "f16", 1);
} // namespace heddle::quant
