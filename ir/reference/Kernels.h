//===- Kernels.h - what each tensor op computes ---------------------------------------------------------------------===//
//
// One function per op over plain tensors; the interpreter reads the attributes, these do the loops. Each returns what is wrong
// with its operands, empty when nothing is. `makeKernels` gives the set for one of the two meanings.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "ir/reference/Formulas.h"
#include "ir/reference/State.h"
#include "ir/reference/Tensor.h"
#include "ir/reference/Weights.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace heddle::reference {

using Problem = std::string; // empty: none

struct NormCall {
  const Tensor *input, *weight, *residual = nullptr;
  float eps = 0;
  int64_t groups = 1;
  bool q8Result = false;
  bool centred = false; // layer_norm, which alone may have a bias; else rms_norm
  const Tensor *bias = nullptr;
};

struct LinearCall {
  const Tensor *input;                      // [T × K]
  std::vector<const Tensor *> weights;      // [N × K] each
  std::vector<const Tensor *> biases;       // [N] each, or none
  std::vector<Columns> outputs;             // rows of each weight that this rank computes
  const Tensor *residual = nullptr;         // [T × N]
  const Tensor *experts = nullptr;          // [T × C] i32: weights are then stacks, biases [E · N], results [T · C × N]
  bool byChoice = false;                    // the input is [T · C × K]
  std::optional<Function> gate, activation; // one of them at most
  std::optional<Function> up;               // with a gate only
  std::optional<float> scale;               // without a gate only
  bool q8Result = false;
};

/// How raw queries or keys become what attention uses: head norm, then rotation.
struct HeadPrologue {
  const Tensor *norm = nullptr; // [headDim]
  float eps = 0;
  const Rope *rope = nullptr;
  bool interleaved = false;
};

/// Where the step's tokens stand, and their keys in a state. Missing positions count up from 0; missing sequences are all 0.
struct Placement {
  const Tensor *positions = nullptr, *sequences = nullptr;
  const Tensor *pageTable = nullptr; // null for a transient state, whose pages nobody else has
  int64_t pageWidth = 0;
  const Tensor *lengths = nullptr; // of a fixed state
};

struct StoreCall {
  const Tensor *keys, *values; // [T × kvHeads·headDim]
  Placement place;
  HeadPrologue prologue;
  KvState *state;
  int64_t layer = 0, kvHeads = 0, headDim = 0;
  Columns heads; // KV heads to store
};

enum class MaskKind { none, causal, window };

struct AttentionCall {
  const Tensor *query, *keys = nullptr, *values = nullptr, *bias = nullptr, *sinks = nullptr; // sinks [heads]
  Placement place;
  HeadPrologue prologue;
  KvState *state = nullptr;
  int64_t layer = 0, heads = 0, kvHeads = 0, headDim = 0, window = 0;
  Columns queryHeads, keyHeads;
  float scale = 1;
  MaskKind mask = MaskKind::none;
  std::optional<float> softCap;
  std::optional<std::vector<int64_t>> probeHeads;
  bool q8Result = false;
};

struct RecurrenceCall {
  const Tensor *keep, *input;     // [T × features]
  const Tensor *sequences, *rows; // [T], and of each sequence its row of the state
  RecurrentState *state;
  int64_t layer = 0;
  Columns columns = {}; // to compute
};

class Kernels {
public:
  virtual ~Kernels() = default;
  virtual Problem embed(const Tensor &ids, const Tensor &table, std::optional<float> scale, Tensor &out) const = 0;
  virtual Problem selectRows(const Tensor &input, const Tensor &rows, Tensor &out) const = 0;
  virtual Problem add(const Tensor &a, const Tensor &b, Tensor &out) const = 0;
  virtual Problem mul(const Tensor &a, const Tensor &b, Tensor &out) const = 0;
  virtual Problem activate(Function f, const Tensor &input, Tensor &out) const = 0;
  virtual Problem scale(float by, const Tensor &input, Tensor &out) const = 0;
  virtual Problem linear(const LinearCall &call, std::vector<Tensor> &out) const = 0;
  /// scores [T × E] → weights [T × choices] and experts [T × choices] i32.
  virtual Problem choose(const Tensor &scores, int64_t choices, bool overAll, std::vector<Tensor> &out) const = 0;
  /// input [T · C × N], weights [T × C], residual [T × N] or null.
  virtual Problem sumExperts(const Tensor &input, const Tensor &weights, const Tensor *residual, bool q8Result,
                             Tensor &out) const = 0;
  virtual Problem quantize(const Tensor &input, Tensor &out) const = 0;
  virtual Problem norm(const NormCall &call, Tensor &out) const = 0;
  virtual Problem rope(const Tensor &input, const Tensor &positions, const Rope &rope, bool interleaved, int64_t heads,
                       Tensor &out) const = 0;
  virtual Problem store(const StoreCall &call) const = 0;
  /// out: the result, and the probed weights if asked for.
  virtual Problem attention(const AttentionCall &call, std::vector<Tensor> &out) const = 0;
  /// input [T × N]; first, last [S] → [S × N].
  virtual Problem meanRows(const Tensor &input, const Tensor &first, const Tensor &last, Tensor &out) const = 0;
  virtual Problem normalize(const Tensor &input, float eps, Tensor &out) const = 0;
  virtual Problem recurrence(const RecurrenceCall &call, Tensor &out) const = 0;
  /// All ranks' values of one tensor → the whole tensor; each column comes from the first rank that has it.
  virtual Problem gather(const std::vector<TensorPtr> &parts, Tensor &out) const = 0;
};

std::unique_ptr<Kernels> makeKernels(Mode mode, const WeightSource &weights);

} // namespace heddle::reference
