//===- BF16.cpp - the upper halves of 32-bit floats ------------------------------------------------------------------===//
//
// File element: bf16, 2 bytes.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/FloatCodec.h"

namespace heddle::quant {
const Codec kBF16 = FloatLoops<uint16_t, widenBF16, narrowToBF16>::codec(Format::BF16, "bf16", 30);
} // namespace heddle::quant
