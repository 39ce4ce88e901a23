//===- F32.cpp - 32-bit floats ----------------------------------------------------------------------------------===//
//
// File: f32.
// Packed: f32[16].
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/FloatCodec.h"

namespace heddle::quant {
namespace {
float asIs(uint32_t bits) { return std::bit_cast<float>(bits); }
uint32_t bitsOf(float x) { return std::bit_cast<uint32_t>(x); }
} // namespace

const Codec kF32 = FloatLoops<uint32_t, asIs, bitsOf>::codec(Format::F32, "f32", 0);
} // namespace heddle::quant
