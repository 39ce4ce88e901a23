//===- Formats.h - how each weight format is unpacked in registers --------------------------------------------------===//
//
// A quantised format is read 32 elements of K at a time, for 16 rows at once, the others one K at a time (layouts:
// runtime/quant/README.md). One file per format says how, under the name of its file in runtime/quant/formats, which says how it
// is packed and how large its error can be; everything else about products is common (lowering/ProductTile.cpp).
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/kernels/Emit.h"

namespace heddle {

/// 16 or 8 rows × 32 K in registers, a row a lane.
struct WeightBlock {
  mlir::SmallVector<mlir::Value, 2> scales; // vector<lanes×f32>, FormatKernel::scales of them
  mlir::Value minima;                       // vector<lanes×f32>, or null without FormatKernel::minima
  mlir::SmallVector<mlir::Value, 8> quads;  // 8 × vector<4·lanes×i8>: four K per 32-bit lane
};

/// Rows [first, first + lanes) of a packed row group being read: element [group, byte] of memref<groups × group_bytes × i8>.
struct PackedGroup {
  mlir::Value buffer, group;
  int64_t lanes = 16, first = 0;
  /// The rows' part of `n` bytes a row, in elements, of something that stands at offset + at for all 16.
  mlir::Value rows(Emit &e, mlir::Value offset, int64_t at, int64_t n, mlir::Type element) const {
    at += n * first;
    return e.loadBytes(buffer, {group, at ? e.add(offset, e.index(at)) : offset}, n * lanes, element);
  }
  mlir::VectorType floats(Emit &e) const { return e.vectorType(lanes, e.b.getF32Type()); }
};

struct FormatKernel {
  int64_t codeMax = 0;    // largest unsigned code
  int64_t codeOffset = 0; // subtracted from unsigned codes, by way of the exact activation sums
  bool signedCodes = false;
  int64_t scales = 1;  // of 32 K: one, or two for 16 K each
  bool minima = false; // with one scale only
  /// Quantised: sub-block `sub` (an index value) of the block that starts at byte `block` of the group.
  WeightBlock (*unpack)(Emit &e, const PackedGroup &weights, mlir::Value block, mlir::Value sub) = nullptr;
  /// Floats: the weights of the k at byte `at` of the group, vector<lanes×f32>, exactly.
  mlir::Value (*widen)(Emit &e, const PackedGroup &weights, mlir::Value at) = nullptr;
};

const FormatKernel &formatKernel(llvm::StringRef name); // of a known format

#define HEDDLE_FORMAT(name) extern const FormatKernel k##name;
#include "runtime/quant/Formats.inc"

// ---- shared by the formats ----
/// 256 bytes of nibbles → 8 quads.
mlir::SmallVector<mlir::Value, 8> unpackNibbles(Emit &e, const PackedGroup &weights, mlir::Value offset, int64_t at);
/// Adds the fifth bits, 64 bytes at `at`, as 0x10 to each quad.
void addFifthBits(Emit &e, const PackedGroup &weights, mlir::Value offset, int64_t at, mlir::SmallVector<mlir::Value, 8> &quads);
/// 16 f16 at `at`, widened.
mlir::Value halves(Emit &e, const PackedGroup &weights, mlir::Value offset, int64_t at);
/// The scales d·sc and minima −(dmin·mn) of a Q4_K or Q5_K sub-block at `at` of the super-block at `block`.
WeightBlock scalesAndMinima(Emit &e, const PackedGroup &weights, mlir::Value block, mlir::Value at);
/// 16 bytes at `at` as f32 lanes, signed or not.
mlir::Value byteLanes(Emit &e, const PackedGroup &weights, mlir::Value offset, int64_t at, bool isSigned);

} // namespace heddle
