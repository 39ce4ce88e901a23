//===- Attention.cpp - which keys a query sees, and storing them ----------------------------------------------------===//
#include "ir/reference/KernelsImpl.h"
#include <algorithm>

using namespace heddle::reference;

static int64_t element(const Tensor *t, int64_t i, int64_t fallback) {
  return t ? (*t->as<std::vector<int32_t>>())[static_cast<size_t>(i)] : fallback;
}
static int64_t positionOf(const Placement &p, int64_t token) { return element(p.positions, token, token); }
static int64_t sequenceOf(const Placement &p, int64_t token) { return element(p.sequences, token, 0); }

static Problem checkPlacement(const Placement &p, int64_t tokens) {
  for (const Tensor *t : {p.positions, p.sequences}) {
    const auto *values = t ? t->as<std::vector<int32_t>>() : nullptr;
    if (t && (!values || static_cast<int64_t>(values->size()) != tokens))
      return "positions and sequences need one i32 per token";
    for (int64_t i = 0; t && i < tokens; ++i)
      if ((*values)[static_cast<size_t>(i)] < 0)
        return "positions and sequences must not be negative";
  }
  if (p.pageTable && !p.pageTable->as<std::vector<int32_t>>())
    return "page table must be i32";
  const auto *lengths = p.lengths ? p.lengths->as<std::vector<int32_t>>() : nullptr;
  for (int64_t t = 0; p.lengths && t < tokens; ++t)
    if (!lengths || sequenceOf(p, t) >= static_cast<int64_t>(lengths->size()))
      return "a fixed state needs the length of every sequence";
  return {};
}

/// The page of a position; -1 outside the page table.
static int64_t pageOf(const Placement &p, int64_t sequence, int64_t position) {
  if (!p.pageTable)
    return sequence << 32 | position / kChunk;
  const auto &table = *p.pageTable->as<std::vector<int32_t>>();
  int64_t width = p.pageTable->shape.size() == 2 ? p.pageTable->columns() : p.pageWidth, chunk = position / kChunk;
  int64_t at = sequence * width + chunk;
  return chunk < width && at < static_cast<int64_t>(table.size()) ? table[static_cast<size_t>(at)] : -1;
}
static Problem noPage(int64_t sequence, int64_t position) {
  return "the page table has no page for position " + std::to_string(position) + " of sequence " + std::to_string(sequence);
}

template <class A> Problem KernelsOf<A>::prologueWeight(const HeadPrologue &p, int64_t headDim, std::vector<Real> &norm) const {
  if (!p.norm)
    return {};
  norm = vectorOf(*p.norm, headDim);
  return norm.empty() ? "head norm must be a float vector of " + std::to_string(headDim) : Problem();
}
template <class A>
void KernelsOf<A>::applyPrologue(const HeadPrologue &p, const std::vector<Real> &norm, int64_t headDim, int64_t position,
                                 Real *head) const {
  if (p.norm)
    A::norm(head, norm.data(), headDim, p.eps, head);
  if (p.rope)
    A::rotate(*p.rope, p.interleaved, position, head);
}

template <class A> Problem KernelsOf<A>::store(const StoreCall &call) const {
  const Tensor &keys = *call.keys, &values = *call.values;
  int64_t d = call.headDim, columns = call.kvHeads * d;
  Columns needed{call.heads.begin * d, call.heads.end * d};
  if (!isReal<A>(keys) || !isReal<A>(values) || keys.shape != values.shape)
    return "keys and values must be reals of one shape";
  if (!keys.valid.contains(needed) || !values.valid.contains(needed))
    return "keys or values are not whole over the KV heads to store";
  if (call.layer < 0 || call.layer >= call.state->layers())
    return "layer " + std::to_string(call.layer) + " is outside the state";
  if (Problem p = checkPlacement(call.place, keys.rows()); !p.empty())
    return p;
  std::vector<Real> norm, head(static_cast<size_t>(d));
  if (Problem p = prologueWeight(call.prologue, d, norm); !p.empty())
    return p;
  for (int64_t t = 0; t < keys.rows(); ++t) {
    int64_t position = positionOf(call.place, t), sequence = sequenceOf(call.place, t),
            page = pageOf(call.place, sequence, position);
    if (page < 0)
      return noPage(sequence, position);
    for (int64_t h = call.heads.begin; h < call.heads.end; ++h) {
      std::copy_n(reals<Real>(keys) + t * columns + h * d, d, head.data());
      applyPrologue(call.prologue, norm, d, position, head.data());
      auto slot = call.state->write(page, call.layer, h, position % kChunk);
      A::cache(head.data(), d, call.state->q8(), slot.k);
      A::cache(reals<Real>(values) + t * columns + h * d, d, call.state->q8(), slot.v);
    }
  }
  return {};
}

namespace {
/// Finds the visible keys of one query and one KV head.
class KeyFinder {
public:
  explicit KeyFinder(const AttentionCall &call) : call_(call) {
    for (int64_t r = 0; r < call.query->rows(); ++r)
      last_ = std::max(last_, call.place.lengths ? lengthOf(r) - 1 : call.state ? positionOf(call.place, r) : r);
  }
  /// Keys along the last dimension of bias and probed weights: positions of a state, rows of keys otherwise.
  int64_t span() const { return last_ + 1; }

  template <class A> void round() { // keys and values of the call itself, as a cache would hold them
    if (call_.state || !call_.keys)
      return;
    const auto *k = reals<typename A::Real>(*call_.keys), *v = reals<typename A::Real>(*call_.values);
    int64_t n = call_.keys->rows() * call_.keys->columns();
    keys_.resize(static_cast<size_t>(n)), values_.resize(static_cast<size_t>(n));
    A::cache(k, n, /*q8=*/false, keys_.data());
    A::cache(v, n, /*q8=*/false, values_.data());
  }

  Problem find(int64_t token, int64_t kvHead, std::vector<Key> &out) const {
    out.clear();
    return call_.state ? findInState(token, kvHead, out) : findInCall(token, kvHead, out);
  }

private:
  /// Of a fixed state.
  int64_t lengthOf(int64_t token) const {
    const auto *lengths = call_.place.lengths->as<std::vector<int32_t>>();
    auto sequence = static_cast<size_t>(sequenceOf(call_.place, token));
    return lengths && sequence < lengths->size() ? (*lengths)[sequence] : 0; // checkPlacement refuses what is missing
  }
  bool visible(int64_t key, int64_t query) const {
    return call_.mask == MaskKind::none || (key <= query && (call_.mask == MaskKind::causal || key > query - call_.window));
  }

  Problem findInState(int64_t token, int64_t kvHead, std::vector<Key> &out) const {
    int64_t query = positionOf(call_.place, token), sequence = sequenceOf(call_.place, token), end = query;
    if (call_.place.lengths)
      end = lengthOf(token) - 1;
    else if (call_.mask == MaskKind::none)
      for (int64_t t = 0; t < call_.query->rows(); ++t)
        if (sequenceOf(call_.place, t) == sequence)
          end = std::max(end, positionOf(call_.place, t));
    for (int64_t p = 0; p <= end; ++p) {
      if (!visible(p, query))
        continue;
      int64_t page = pageOf(call_.place, sequence, p);
      if (page < 0)
        return noPage(sequence, p);
      auto slot = call_.state->read(page, call_.layer, kvHead, p % kChunk);
      if (!slot.k)
        return "reads position " + std::to_string(p) + " of sequence " + std::to_string(sequence) + ", KV head " +
               std::to_string(kvHead) + ", layer " + std::to_string(call_.layer) + ", which this rank never wrote";
      out.push_back({p, p, slot.k, slot.v});
    }
    return {};
  }

  Problem findInCall(int64_t token, int64_t kvHead, std::vector<Key> &out) const {
    int64_t query = positionOf(call_.place, token), columns = call_.kvHeads * call_.headDim;
    for (int64_t r = 0; r < call_.keys->rows(); ++r) {
      int64_t position = positionOf(call_.place, r);
      if (sequenceOf(call_.place, r) != sequenceOf(call_.place, token))
        continue;
      int64_t at = r * columns + kvHead * call_.headDim;
      if (visible(position, query))
        out.push_back({position, r, keys_.data() + at, values_.data() + at});
    }
    std::sort(out.begin(), out.end(),
              [](const Key &a, const Key &b) { return std::pair(a.position, a.column) < std::pair(b.position, b.column); });
    return {};
  }

  const AttentionCall &call_;
  int64_t last_ = -1;
  std::vector<double> keys_, values_;
};
} // namespace

template <class A> static Problem checkAttention(const AttentionCall &call, int64_t span) {
  for (const Tensor *t : {call.query, call.keys, call.values, call.bias})
    if (t && !isReal<A>(*t))
      return "query, keys, values and bias must be reals";
  if (call.keys && (call.keys->shape != call.values->shape || call.keys->rows() != call.query->rows()))
    return "keys and values must have one shape, and a row per query";
  if (call.keys && !call.state) {
    Columns needed{call.keyHeads.begin * call.headDim, call.keyHeads.end * call.headDim};
    if (!call.keys->valid.contains(needed) || !call.values->valid.contains(needed))
      return "keys or values are not whole over the KV heads to read";
  }
  if (call.bias && call.bias->shape != std::vector<int64_t>{call.heads, call.query->rows(), span})
    return "bias must be [heads × tokens × keys]";
  for (int64_t h = call.queryHeads.begin; h < call.queryHeads.end; ++h)
    if (int64_t kv = h / (call.heads / call.kvHeads); !call.keyHeads.contains({kv, kv + 1}))
      return "query head " + std::to_string(h) + " reads KV head " + std::to_string(kv) + ", which is outside this rank's share";
  return checkPlacement(call.place, call.query->rows());
}

template <class A> Problem KernelsOf<A>::attention(const AttentionCall &call, std::vector<Tensor> &out) const {
  if (call.keys && call.state) { // stage graph: append, then attend to the state
    StoreCall append{call.keys, call.values, call.place, {}, call.state, call.layer, call.kvHeads, call.headDim, call.keyHeads};
    if (Problem p = store(append); !p.empty())
      return p;
  }
  KeyFinder finder(call);
  if (Problem p = checkAttention<A>(call, finder.span()); !p.empty())
    return p;
  finder.template round<A>();
  std::vector<Real> norm, query(static_cast<size_t>(call.headDim)), weights;
  if (Problem p = prologueWeight(call.prologue, call.headDim, norm); !p.empty())
    return p;

  std::vector<Real> sinks;
  if (call.sinks && (sinks = vectorOf(*call.sinks, call.heads)).empty())
    return "sinks must be a float vector of " + std::to_string(call.heads);

  int64_t tokens = call.query->rows(), d = call.headDim, columns = call.heads * d, span = finder.span(),
          group = call.heads / call.kvHeads;
  Tensor result = makeReals<Real>(call.query->shape), probed;
  const std::vector<int64_t> probes = call.probeHeads.value_or(std::vector<int64_t>());
  if (call.probeHeads)
    probed = makeReals<Real>({tokens, static_cast<int64_t>(probes.size()), span});
  Columns share{call.queryHeads.begin * d, call.queryHeads.end * d};
  bool known = call.query->valid.contains(share);
  std::vector<Key> keys;
  for (int64_t t = 0; known && t < tokens; ++t)
    for (int64_t h = call.queryHeads.begin; h < call.queryHeads.end; ++h) {
      if (Problem p = finder.find(t, h / group, keys); !p.empty())
        return p;
      std::copy_n(reals<Real>(*call.query) + t * columns + h * d, d, query.data());
      applyPrologue(call.prologue, norm, d, positionOf(call.place, t), query.data());
      for (Real &x : query)
        x = x * static_cast<Real>(call.scale);
      HeadQuery<Real> head{query.data(), d, call.softCap, call.bias ? reals<Real>(*call.bias) + (h * tokens + t) * span : nullptr,
                           call.sinks ? std::optional(sinks[static_cast<size_t>(h)]) : std::nullopt};
      auto probe = std::find(probes.begin(), probes.end(), h);
      weights.resize(keys.size());
      A::attend(head, keys, reals<Real>(result) + t * columns + h * d, probe == probes.end() ? nullptr : weights.data());
      for (; probe != probes.end(); probe = std::find(probe + 1, probes.end(), h)) { // a head may be asked for twice
        Real *row = reals<Real>(probed) + (t * static_cast<int64_t>(probes.size()) + (probe - probes.begin())) * span;
        std::fill_n(row, span, Real(0));
        for (size_t i = 0; i < keys.size(); ++i)
          row[keys[i].column] = weights[i];
      }
    }
  if (known)
    result.valid = share;
  out.resize(call.probeHeads ? 2 : 1);
  if (call.probeHeads) {
    bool all = std::all_of(probes.begin(), probes.end(), [&](int64_t h) { return call.queryHeads.contains({h, h + 1}); });
    probed.valid = known && all ? Columns{0, span} : Columns{};
    out[1] = std::move(probed);
  }
  if (call.q8Result)
    return quantize(result, out[0]);
  out[0] = std::move(result);
  return {};
}

namespace heddle::reference {
#define HEDDLE_ATTENTION_OF(A)                                                                                                   \
  template Problem KernelsOf<A>::prologueWeight(const HeadPrologue &, int64_t, std::vector<Real> &) const;                       \
  template void KernelsOf<A>::applyPrologue(const HeadPrologue &, const std::vector<Real> &, int64_t, int64_t, Real *) const;    \
  template Problem KernelsOf<A>::store(const StoreCall &) const;                                                                 \
  template Problem KernelsOf<A>::attention(const AttentionCall &, std::vector<Tensor> &) const;
HEDDLE_ATTENTION_OF(Exact)
HEDDLE_ATTENTION_OF(One)

std::unique_ptr<Kernels> makeKernels(Mode mode, const WeightSource &weights) {
  if (mode == Mode::exact)
    return std::make_unique<KernelsOf<Exact>>(weights);
  return std::make_unique<KernelsOf<One>>(weights);
}
} // namespace heddle::reference
