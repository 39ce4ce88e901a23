//===- BF16.cpp - the upper halves of 32-bit floats -------------------------------------------------------------===//
//
// File: bf16.
// Packed: bf16[16].
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/FloatCodec.h"

namespace heddle::quant {
const Codec kBF16 = FloatLoops<uint16_t, widenBF16, narrowToBF16>::codec(Format::BF16, "bf16", 30);
} // namespace heddle::quant
