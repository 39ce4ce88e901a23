//===- Items.h - independent items of work, cut evenly over threads --------------------------------------------------===//
#pragma once
#include "compiler/kernels/Emit.h"
#include "runtime/plan/Frame.h"

namespace heddle {

/// The part [begin, end) of `count` items that this thread takes.
inline std::pair<mlir::Value, mlir::Value> threadRange(Emit &e, mlir::Value count) {
  mlir::Value thread = e.environment(ir::Place::Thread), threads = e.environment(ir::Place::Threads);
  return {e.div(e.mul(count, thread), threads), e.div(e.mul(count, e.add(thread, e.index(1))), threads)};
}

inline void forItems(Emit &e, mlir::Value count, llvm::function_ref<void(Emit &, mlir::Value)> body) {
  auto [begin, end] = threadRange(e, count);
  e.forLoop(begin, end, 1, body);
}

/// The dialect's word for it and the runtime's, which knows no MLIR.
inline KvType kvType(ir::CacheType type) { return type == ir::CacheType::Q8 ? KvType::Q8 : KvType::F16; }

/// Bytes of the page of (layer, local KV head) inside a physical page, and of a whole physical page. No layer: of a state that
/// has none.
inline std::pair<mlir::Value, mlir::Value> pageGeometry(Emit &e, ir::StateOp state, mlir::Value layer, mlir::Value localHead,
                                                        mlir::Value localHeads) {
  mlir::Value headBytes = e.index(headPageBytes(state.getHeadDim(), kvType(state.getType())));
  mlir::Value base = e.mul(layer ? e.add(e.mul(layer, localHeads), localHead) : localHead, headBytes);
  return {base, e.mul(e.mul(e.index(state.layerCount()), localHeads), headBytes)};
}

} // namespace heddle
