//===- StepAbi.h - how the runtime calls a compiled step ------------------------------------------------------------===//
//
// A plan's code/TARGET.so exports one function per entry point, `_mlir_ciface_<entry>`, with the arguments below, and imports
// the two functions at the end of this file from the process that loads it. The compiler's lowering emits exactly this.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>

namespace heddle {

/// MLIR's descriptor of a rank-1 memref: `data` is what kernels read, offset 0, stride 1, size in elements.
struct StepBuffer {
  void *allocated = nullptr, *data = nullptr;
  int64_t offset = 0, size = 0, stride = 1;
  StepBuffer() = default;
  StepBuffer(void *p, int64_t n) : allocated(p), data(p), size(n) {}
};

/// One call of `step`, by every thread of every rank at once with its own `thread`. T = tokens of this step, S = sequences in
/// it, R = positions whose logits are wanted, P = page table width. Tokens of a sequence stand together, in increasing
/// position, and sequences in increasing number.
/// All pointers stay the caller's; buffers are aligned to 64 bytes.
using StepFunction = void (*)(
    StepBuffer *ids,           // i32 [T]     token ids, each < vocabulary
    StepBuffer *positions,     // i32 [T]     absolute position of each token in its sequence
    StepBuffer *sequences,     // i32 [T]     row of the page table that each token belongs to
    StepBuffer *pageTable,     // i32 [S·P]   physical page of each 64-position chunk of each sequence
    StepBuffer *rows,          // i32 [R]     indices into [0, T) whose logits are wanted, increasing
    StepBuffer *logits,        // f32 [R · logitStride] out; complete on every rank after the step
    StepBuffer *arena,         // i8  [T · arenaBytesPerToken] scratch, private to the rank
    StepBuffer *partials,      // f32 [T · P · heads of this rank · partialFloats(headDim)] scratch; [0] where T > kSplitTokens
    StepBuffer *kv,            // i8  [pages · kvPageBytes(rank)] this rank's part of the KV cache
    StepBuffer *weights,       // i8  this rank's packed weights
    StepBuffer *weightOffsets, // i64 [weights in manifest order] byte offset of this rank's share of each weight in `weights`
    StepBuffer *rope,          // f32 every RoPE table of the manifest, one after another: [position][dims/2][cos, sin]
    StepBuffer *ropeOffsets,   // i64 [tables] first f32 of each table
    int64_t pageTableWidth,    // P
    int64_t rank, int64_t ranks, int64_t thread, int64_t threads,
    int64_t context); // opaque, handed to the two functions below

/// KV cache geometry of a paged state (docs/arithmetic.md). Page p of layer l, local KV head h starts at
/// ((p · layers + l) · localHeads + h) · headPageBytes: K [headDim][64] (transposed), then V [64][headDim], of f16
/// or, KvType::Q8, of int8, K followed by its scales f32 [kvBlocks][64] and V by its own [64][kvBlocks].
inline constexpr int64_t kPageTokens = 64;
/// Steps of at most this many tokens split attention over threads by chunks of keys, not by queries.
inline constexpr int64_t kSplitTokens = 16;
/// f32 of `partials` for one token, head and chunk of keys: o[headDim] of a state (docs/arithmetic.md, Attention), and 16
/// more: after the first head of a tile, m of up to 8 heads and l of as many.
inline constexpr int64_t partialFloats(int64_t headDim) { return headDim + 16; }
enum class KvType : uint8_t { F16, Q8 };
/// Blocks of 32 features that share a scale in 8 bits; the last one may have 16.
inline constexpr int64_t kvBlocks(int64_t headDim) { return (headDim + 31) / 32; }
inline int64_t headPageBytes(int64_t headDim, KvType type) {
  return 2 * kPageTokens * (type == KvType::F16 ? 2 * headDim : headDim + 4 * kvBlocks(headDim));
}

/// What ran before a barrier or gather, a constant of the code: for profiles. `name` is its function and role, ended by 0.
struct StepKernel {
  int64_t weightBytes; // packed weights that all ranks together read in a call
  int64_t integerMacs,
      floatMacs;             // multiply-adds for each row: tokens of the step or, `wanted`, positions whose logits are wanted
  int64_t wanted;            // 0 or 1
  int64_t keyBytes, keyMacs; // for each key that a token sees
  int64_t window;            // most keys that a token sees; 0: no limit
  char name[1];
};

} // namespace heddle

extern "C" {
/// Waits until all threads of this rank have called it. Called between kernels; `kernel` is a StepKernel's address, or 0.
void heddle_barrier(int64_t context, int64_t thread, int64_t kernel);

/// Called by all threads of all ranks (it includes the thread barriers). `data` is row-major [tokens][rowBytes]; rank r has
/// written bytes [share(units, r, ranks).begin, .end) · unitBytes of every row (clipped to rowBytes); afterwards every rank has
/// all bytes. Never called when ranks == 1: generated code then calls heddle_barrier.
void heddle_all_gather(int64_t context, int64_t thread, int64_t data, int64_t tokens, int64_t rowBytes, int64_t units,
                       int64_t unitBytes, int64_t kernel);
}
