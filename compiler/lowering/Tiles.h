//===- Tiles.h - the lowering of each tile op, one file a family ----------------------------------------------------===//
#pragma once
#include "compiler/kernels/Emit.h"

namespace heddle {

// Each emits the loops of one tile op at `e`; results are returned where the op has any.
mlir::SmallVector<mlir::Value> emitProduct(Emit &e, ir::TileProductOp op);
void emitProductPanel(Emit &e, ir::TileProductPanelOp op);
void emitRmsNorm(Emit &e, ir::TileRmsNormOp op);
void emitLayerNorm(Emit &e, ir::TileLayerNormOp op);
void emitQuantizeRow(Emit &e, ir::TileQuantizeRowOp op);
void emitEmbed(Emit &e, ir::TileEmbedOp op);
void emitCopyRow(Emit &e, ir::TileCopyRowOp op);
void emitRope(Emit &e, ir::TileRopeOp op);
void emitStoreKv(Emit &e, ir::TileStoreKvOp op);
void emitAttention(Emit &e, ir::TileAttentionOp op);
void emitAttendChunks(Emit &e, ir::TileAttendChunksOp op);
void emitMergeChunks(Emit &e, ir::TileMergeChunksOp op);

// ---- shared pieces ----
/// The fixed tree that folds 16 partial sums: lanes +8, +4, +2, +1 (docs/arithmetic.md).
mlir::Value foldLanes(Emit &e, mlir::Value v);
/// An activation function of lanes (runtime/math/Functions.h).
mlir::Value emitActivation(Emit &e, ir::Activation function, mlir::Value v);
/// int8 codes in vectors of 16 i32, and their scale d, an f32 (docs/arithmetic.md, Quantised activations).
struct QuantizedLanes {
  mlir::Value d;
  mlir::SmallVector<mlir::Value> codes;
};
QuantizedLanes emitQuantize(Emit &e, mlir::ArrayRef<mlir::Value> values);
/// Quantises 32 features in two vectors and stores block `block` of row `token` of memref<T × blocks × 40 × i8> (Emit::bytes).
void emitQuantizeBlock(Emit &e, mlir::Value low, mlir::Value high, mlir::Value out, mlir::Value token, mlir::Value block);

/// One head of one token, [head_dim] in vectors of 16: normed and rotated if asked.
struct HeadPrologue {
  mlir::Value norm, rope; // rope: its table, [position][pairs][cos, sin]
  int64_t headDim, ropeDims;
  std::optional<llvm::APFloat> eps;
  std::optional<ir::RopeStyle> style;
};
mlir::SmallVector<mlir::Value> loadHead(Emit &e, mlir::Value rows, mlir::Value token, mlir::Value head, mlir::Value position,
                                        const HeadPrologue &prologue);

} // namespace heddle
