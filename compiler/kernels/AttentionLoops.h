//===- AttentionLoops.h - how the threads share attention ------------------------------------------------------------===//
#pragma once
#include "compiler/kernels/Emit.h"

namespace heddle {

/// Loops over the tiles of one attention op, in two ways that give the same bits. `wide`: 32 registers of 16 f32, not 16 of 8.
class AttentionLoops {
public:
  AttentionLoops(ir::AttentionOp op, ir::StateOp state, int64_t ropeDims, bool wide);

  /// Many tokens: pairs of (token, query head) of one KV head, in blocks that threads take in turn, as later tokens see more
  /// keys. Where each token is of another sequence, a block is a token.
  ///
  ///   scf.for %kv = … {
  ///     scf.for %block = (this thread's first) to %blocks step %threads {
  ///       scf.if whole and of one sequence { tile_attention of all its pairs }
  ///       else { scf.for its tokens { scf.for %head = … step tokenQueries { tile_attention } } }
  void overQueries(Emit e);

  /// Few tokens (kSplitTokens): each thread takes an equal part of all (token, KV head, chunk of keys), then of all (token, KV
  /// head, block of features) whose chunks it merges.
  ///
  ///   scf.for %t = … { scf.for %kv = … { scf.for %head = … step tokenQueries { tile_attend_chunks from to } } }
  ///   heddle.barrier
  ///   scf.for %item = … { scf.for %head = … step tokenQueries { tile_merge_chunks } }
  void overChunks(Emit e);

private:
  using Value = mlir::Value;
  using Range = std::pair<Value, Value>; // [first, second)
  Range headsOf(Emit &e, Value kvHead);
  Range chunksOf(Emit &e, Value token);
  Value lengthOf(Emit &e, Value token);
  std::pair<Value, Value> geometry(Emit &e, Value kvHead);
  Value firstPage(Emit &e, ir::PagesOp pages, Value token);
  mlir::SmallVector<Value> positionsOf(Emit &e, mlir::ArrayRef<Value> tokens);
  void attend(Emit &e, mlir::ArrayRef<Value> tokens, mlir::ArrayRef<Value> heads, Value kvHead);
  struct Registers {
    int64_t rows, vectors;
  };
  Registers registersFor(int64_t queries) const;
  int64_t mergeVectors();
  /// Query heads [from, to) of a token and KV head, in tiles of `tokenQueries_` and then one by one: tile(e, heads).
  void tilesOfToken(Emit &e, Value from, Value to, llvm::function_ref<void(Emit &, mlir::ArrayRef<Value>)> tile);

  ir::AttentionOp op_;
  ir::StateOp state_;
  int64_t ropeDims_;
  bool wide_;
  int64_t tokenQueries_; // of a tile of one token: query heads of a KV head
};

} // namespace heddle
