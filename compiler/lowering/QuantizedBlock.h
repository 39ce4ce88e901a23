//===- QuantizedBlock.h - one 32-block of a quantised product in registers ------------------------------------------===//
#pragma once
#include "compiler/kernels/formats/Formats.h"

namespace heddle {

/// Quads of signed bytes as pairs of i16, two for each: (k, k + 2), (k + 1, k + 3). Two products of bytes of Q8_0 fill 16 bits,
/// so that those of quads are widened before they can be added; pairs need no more of that, but take twice the registers.
llvm::SmallVector<mlir::Value, 16> toPairs(Emit &e, mlir::ArrayRef<mlir::Value> quads);

/// One token's block of q8 activations: what the products of its 32 K need. Every vector is a splat.
struct ActivationBlock {
  using Value = mlir::Value;
  llvm::SmallVector<Value, 16> q;     // 8 × vector<4·lanes×i8>, each lane the same four, or 16 pairs of i16
  Value d;                            // vector<lanes×f32>
  llvm::SmallVector<Value, 2> sums;   // i32: Σq of the K that each scale of the weights covers
  llvm::SmallVector<Value, 2> starts; // vector<lanes×i32>: −codeOffset·Σq; none without an offset
  Value scaledSum;                    // vector<lanes×f32>: d·f32(Σq); null without minima

  /// The vectors, in a fixed order.
  llvm::SmallVector<Value *> vectors();
};

/// Block `block` of row `token` of memref<T × blocks × 40 × i8>, in quads.
ActivationBlock loadActivations(Emit &e, const FormatKernel &format, mlir::Value input, mlir::Value token, mlir::Value block,
                                int64_t lanes);
/// Its `sums` alone.
llvm::SmallVector<mlir::Value, 2> loadSums(Emit &e, const FormatKernel &format, mlir::Value input, mlir::Value token,
                                           mlir::Value block);
/// start + Σ code·q, vector<lanes×i32>, over equally many quads or pairs of codes and q; `sum` is Σq of these (i32).
mlir::Value dotProduct(Emit &e, const FormatKernel &format, mlir::Value start, mlir::Value sum, mlir::ValueRange codes,
                       mlir::ValueRange q);
/// acc, vector<lanes×f32>, after this block, whose products with the codes are `dots`, one for each scale (docs/arithmetic.md,
/// Products).
mlir::Value addBlock(Emit &e, const FormatKernel &format, const WeightBlock &w, const ActivationBlock &a, mlir::ValueRange dots,
                     mlir::Value acc);
/// Both of these for a whole block in quads.
mlir::Value multiplyBlock(Emit &e, const FormatKernel &format, const WeightBlock &w, const ActivationBlock &a, mlir::Value acc);

} // namespace heddle
