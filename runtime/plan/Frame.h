//===- Frame.h - how the runtime calls compiled code ----------------------------------------------------------------===//
//
// A plan's code/TARGET.so exports one function per entry of the program, `heddle_entry_<name>`, which is called with a frame by
// every thread of every rank at once, and imports the two functions at the end of this file from the process that loads it. The
// compiler's lowering (compiler/lowering/LowerEnvironment.cpp) emits exactly this.
//
// Fields are only ever added at the end, with a new version: code that was compiled for an older frame reads what it knows. A
// plan says which version its code needs.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstddef>
#include <cstdint>

namespace heddle {

inline constexpr int64_t kFrameVersion = 3;

/// What a state is for (docs/stages.md, States). Keys and values of each sequence: `Paged` grows by the tokens of a call and is
/// read by later ones, `Fixed` is written by one entry and read by others, `Transient` holds those of this very call. `Recurrent`
/// is a row of f32 for each sequence, which its tokens update one after another.
enum class StateKind : uint8_t { Paged, Fixed, Recurrent, Transient };

/// A state of the program, as this rank has it.
struct StateView {
  std::byte *memory;        // [pages]: of keys and values (below) or, of a recurrent state, f32 [layers][features of this rank]
  const int32_t *pageTable; // [sequences · pageTableWidth] page of each 64-position chunk of each sequence, or its one row
  int64_t pageTableWidth;   // 1 where a page is a row
  const int32_t *lengths = nullptr; // [sequences] positions with keys, those of this call included; since version 2
};

/// What one call is given. T tokens, S sequences, R rows wanted. Tokens of a sequence stand together, in increasing position, and
/// sequences in increasing number. All pointers stay the caller's; buffers are aligned to 64 bytes.
struct Frame {
  int64_t version = kFrameVersion;
  int64_t tokens = 0, wanted = 0, sequences = 0; // T, R, S
  const int32_t *ids = nullptr;                  // [T] each < vocabulary
  const int32_t *positions = nullptr;            // [T] absolute, in the token's sequence
  const int32_t *sequenceOf = nullptr;           // [T] row of the page tables
  const int32_t *wantedRows = nullptr;           // [R] indices into [0, T), increasing
  std::byte *const *outputs = nullptr; // of each result of the entry: rows of f32; complete on every rank after the call
  std::byte *arena = nullptr;          // [T · arenaBytesPerToken] scratch, private to the rank
  float *partials =
      nullptr; // [T · widest page table · heads of this rank · partialFloats(headDim)]; unused where T > kSplitTokens
  const StateView *const *states = nullptr; // of each state, in manifest order
  const std::byte *weights = nullptr;       // this rank's packed weights
  const int64_t *weightOffsets = nullptr;   // of this rank's share of each weight in `weights`, in bytes, in manifest order
  const float *ropes = nullptr;             // every RoPE table: [position][dims/2][cos, sin]
  const int64_t *ropeOffsets = nullptr;     // of each table in `ropes`, in f32
  int64_t rank = 0, ranks = 1, threads = 1;
  void *context = nullptr; // the runtime's own
  // Since version 3.
  const int32_t *firstRows = nullptr; // [S] of each sequence its first token in [0, T)
  const int32_t *lastRows = nullptr;  // [S] and its last one
  const int32_t *types = nullptr;     // [T] the part of a text that a token belongs to, each < the plan's token types
};

/// One call, by every thread of every rank, each with its own number. Never throws.
using EntryFunction = void (*)(const Frame *frame, int64_t thread);
/// What the function of an entry is called in a plan's code, before the entry's name.
inline constexpr char kEntryPrefix[] = "heddle_entry_";

/// How keys and values stand in a page (docs/arithmetic.md); a transient state has one layer. Page p of layer l, local KV head h
/// starts at
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
  int64_t rowBytes;    // of those, what each row reads at most: the experts that it chose; 0: all of them
  int64_t integerMacs,
      floatMacs;             // multiply-adds for each row: tokens of the step or, `wanted`, positions whose logits are wanted
  int64_t wanted;            // 0 or 1
  int64_t keyBytes, keyMacs; // for each key that a token sees
  int64_t window;            // most keys that a token sees; 0: no limit
  char name[1];
};

} // namespace heddle

extern "C" {
/// Waits until all threads of this rank have called it. Called between kernels; `kernel` is a StepKernel's address, or null.
void heddle_barrier(const heddle::Frame *frame, int64_t thread, const heddle::StepKernel *kernel);

/// Called by all threads of all ranks (it includes the thread barriers). `data` is row-major [rows][rowBytes]; rank r has
/// written bytes [share(units, r, ranks).begin, .end) · unitBytes of every row (clipped to rowBytes); afterwards every rank has
/// all bytes. Never called when ranks == 1: generated code then calls heddle_barrier.
void heddle_all_gather(const heddle::Frame *frame, int64_t thread, void *data, int64_t rows, int64_t rowBytes, int64_t units,
                       int64_t unitBytes, const heddle::StepKernel *kernel);
}
