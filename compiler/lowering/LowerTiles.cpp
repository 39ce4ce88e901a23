//===- LowerTiles.cpp - tile ops become loops over vectors ----------------------------------------------------------===//
//
//   %acc:4 = heddle.tile_product %x[%t], %w[%g] …
// →
//   %acc:4 = scf.for %k = 0 to 18 iter_args(…) { vector.load …; heddle.dot …; math.fma … }
//
// The emitters stand one family to a file beside this one. Only integer dot products stay as an op of ours, because targets
// differ there.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/lowering/Tiles.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct LowerTiles : heddle::ModulePass<LowerTiles> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerTiles)
  static constexpr llvm::StringLiteral flag = "heddle-lower-tiles";
  static constexpr llvm::StringLiteral summary = "lower register tiles to loops over vectors";

  void runOnOperation() override {
    SmallVector<Operation *> tiles;
    getOperation().walk([&](Operation *op) {
      if (op->getName().getStringRef().starts_with("heddle.tile_"))
        tiles.push_back(op);
    });
    for (Operation *op : tiles) {
      OpBuilder builder(op);
      Emit e{builder, op->getLoc()};
      bool known = true;
      llvm::TypeSwitch<Operation *>(op)
          .Case([&](TileProductOp tile) { tile->replaceAllUsesWith(emitProduct(e, tile)); })
          .Case([&](TileProductPanelOp tile) { emitProductPanel(e, tile); })
          .Case([&](TileActivateOp tile) {
            tile.getResult().replaceAllUsesWith(emitActivation(e, tile.getFunction(), tile.getInput()));
          })
          .Case([&](TileQuantizeOp tile) {
            emitQuantizeBlock(e, tile.getLow(), tile.getHigh(), e.bytes(tile.getOut()), tile.getToken(), tile.getBlock());
          })
          .Case([&](TileQuantizeRowOp tile) { emitQuantizeRow(e, tile); })
          .Case([&](TileRmsNormOp tile) { emitRmsNorm(e, tile); })
          .Case([&](TileLayerNormOp tile) { emitLayerNorm(e, tile); })
          .Case([&](TileEmbedOp tile) { emitEmbed(e, tile); })
          .Case([&](TileCopyRowOp tile) { emitCopyRow(e, tile); })
          .Case([&](TileRopeOp tile) { emitRope(e, tile); })
          .Case([&](TileStoreKvOp tile) { emitStoreKv(e, tile); })
          .Case([&](TileAttentionOp tile) { emitAttention(e, tile); })
          .Case([&](TileAttendChunksOp tile) { emitAttendChunks(e, tile); })
          .Case([&](TileMergeChunksOp tile) { emitMergeChunks(e, tile); })
          .Default([&](Operation *) { known = false; });
      if (!known) {
        op->emitOpError("cannot be lowered: compiler/lowering/LowerTiles.cpp does not know it");
        return signalPassFailure();
      }
      op->erase();
    }
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createLowerTilesPass() { return std::make_unique<LowerTiles>(); }
