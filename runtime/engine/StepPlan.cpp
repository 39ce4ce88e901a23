//===- StepPlan.cpp - what rank 0 tells every rank before a step -----------------------------------------------------===//
#include "runtime/engine/StepPlan.h"
#include <cstring>
#include <string>
#include <type_traits>

namespace heddle {
namespace {

constexpr uint64_t kMagic = 0x346e616c70646468; // "hddplan4": also the version of this layout

class Writer {
public:
  void number(uint64_t value) { bytes(&value, sizeof value); }
  template <class Ints> void list(const Ints &values) {
    number(values.size());
    bytes(values.data(), values.size() * sizeof(values[0]));
  }
  std::vector<std::byte> take() { return std::move(out_); }

private:
  void bytes(const void *from, size_t size) {
    const std::byte *p = static_cast<const std::byte *>(from);
    out_.insert(out_.end(), p, p + size);
  }
  std::vector<std::byte> out_;
};

class Reader {
public:
  explicit Reader(std::span<const std::byte> in) : in_(in) {}
  uint64_t number() {
    uint64_t value;
    bytes(&value, sizeof value);
    return value;
  }
  template <class Ints> void list(Ints &values) {
    uint64_t count = number();
    if (count > in_.size() / sizeof(values[0]))
      throw StepPlanError("step plan: a list is longer than the message");
    values.resize(count);
    bytes(values.data(), count * sizeof(values[0]));
  }
  bool done() const { return in_.empty(); }

private:
  void bytes(void *to, size_t size) {
    if (size > in_.size())
      throw StepPlanError("step plan: the message is cut off");
    if (size > 0)
      std::memcpy(to, in_.data(), size);
    in_ = in_.subspan(size);
  }
  std::span<const std::byte> in_;
};

void require(bool condition, const char *what) {
  if (!condition)
    throw StepPlanError(std::string("step plan: ") + what);
}
template <class Ints> void requireWithin(const Ints &values, int64_t end, const char *what) {
  for (int32_t value : values)
    require(value >= 0 && value < end, what);
}

void checkPages(const StepPlan &plan, const StatePages &pages, StateKind kind, StateUse use, const StepLimits &limits) {
  const int64_t width = pages.width, tokens = static_cast<int64_t>(plan.ids.size());
  const bool recurrent = kind == StateKind::Recurrent, lengths = kind == StateKind::Fixed && use.reads();
  require(width >= 0 && width <= (recurrent ? 1 : KvCache::pagesFor(limits.context)), "the page table is wider than the context");
  require(static_cast<int64_t>(pages.table.size()) == plan.sequenceCount() * width,
          "the page table has no row for each sequence");
  require(pages.lengths.size() == (lengths ? static_cast<size_t>(plan.sequenceCount()) : 0),
          "a fixed state has no length for each sequence");
  for (int32_t length : pages.lengths)
    require(length >= 1 && KvCache::pagesFor(length) <= width, "a fixed state's length has no page");
  for (int64_t t = 0; t < tokens && !lengths; ++t)
    require((recurrent ? 0 : plan.positions[t] / kPageTokens) < width, "a position has no page");
}

void check(const StepPlan &plan, const StepLimits &limits) {
  int64_t tokens = static_cast<int64_t>(plan.ids.size());
  require(plan.entry >= 0 && plan.entry < static_cast<int64_t>(limits.entries.size()),
          "it calls an entry that the program does not have");
  require(tokens <= limits.tokens, "more tokens than a step may have");
  require(static_cast<int64_t>(plan.rows.size()) <= limits.rows, "more rows of logits than a step may have");
  require(plan.positions.size() == plan.ids.size() && plan.sequences.size() == plan.ids.size(),
          "lists of tokens differ in length");
  requireWithin(plan.ids, limits.vocabulary, "a token id is outside of the vocabulary");
  requireWithin(plan.positions, limits.context, "a position is outside of the context");
  requireWithin(plan.sequences, tokens, "there are more sequences than tokens");
  requireWithin(plan.rows, tokens, "a row is no token of the step");
  require(plan.types.empty() || plan.types.size() == plan.ids.size(), "lists of tokens differ in length");
  requireWithin(plan.types, limits.tokenTypes, "a token's type is outside of the model's");
  for (size_t i = 1; i < plan.rows.size(); ++i)
    require(plan.rows[i - 1] < plan.rows[i], "rows do not increase");
  for (int64_t t = 1; t < tokens; ++t) {
    require(plan.sequences[t - 1] <= plan.sequences[t], "tokens of a sequence do not stand together");
    require(plan.sequences[t - 1] < plan.sequences[t] || plan.positions[t - 1] < plan.positions[t], "positions do not increase");
  }
  require(plan.stop || plan.states.size() == limits.states.size(), "the program has another number of states");
  for (const StatePages &pages : plan.states) {
    requireWithin(pages.table, limits.pages, "a page is outside of the cache");
    requireWithin(pages.work.fresh, limits.pages, "a fresh page is outside of the cache");
    for (auto [from, to] : pages.work.copies)
      require(from >= 0 && from < limits.pages && to >= 0 && to < limits.pages, "a copied page is outside of the cache");
  }
  if (plan.stop)
    return;
  for (const StateUse &use : limits.entries[static_cast<size_t>(plan.entry)]) {
    const StateKind kind = limits.states[static_cast<size_t>(use.state)];
    if (kind != StateKind::Transient)
      checkPages(plan, plan.states[static_cast<size_t>(use.state)], kind, use, limits);
    for (int64_t t = 0; t < tokens && kind == StateKind::Transient; ++t) {
      const bool first = t == 0 || plan.sequences[t] != plan.sequences[t - 1];
      require(plan.positions[t] == (first ? 0 : plan.positions[t - 1] + 1), "a sequence is not whole from position 0 on");
    }
  }
}

} // namespace

static_assert(sizeof(std::pair<int32_t, int32_t>) == 8);

std::vector<std::byte> StepPlan::serialize() const {
  Writer out;
  out.number(kMagic);
  out.number(epoch);
  out.number(stop);
  out.number(static_cast<uint64_t>(entry));
  out.list(ids);
  out.list(positions);
  out.list(sequences);
  out.list(rows);
  out.list(types);
  out.number(states.size());
  for (const StatePages &pages : states) {
    out.number(static_cast<uint64_t>(pages.width));
    out.list(pages.table);
    out.list(pages.lengths);
    out.list(pages.work.fresh);
    std::vector<int32_t> flat;
    for (auto [from, to] : pages.work.copies)
      flat.insert(flat.end(), {from, to});
    out.list(flat);
  }
  return out.take();
}

StepPlan StepPlan::parse(std::span<const std::byte> message, const StepLimits &limits) {
  Reader in(message);
  if (in.number() != kMagic)
    throw StepPlanError("step plan: not one, or of another Heddle; run the same build on every host");
  StepPlan plan;
  plan.epoch = in.number();
  plan.stop = in.number() != 0;
  plan.entry = static_cast<int64_t>(in.number());
  in.list(plan.ids);
  in.list(plan.positions);
  in.list(plan.sequences);
  in.list(plan.rows);
  in.list(plan.types);
  const uint64_t states = in.number();
  require(states <= limits.states.size(), "the program has another number of states");
  for (uint64_t s = 0; s < states; ++s) {
    StatePages &pages = plan.states.emplace_back();
    pages.width = static_cast<int64_t>(in.number());
    in.list(pages.table);
    in.list(pages.lengths);
    in.list(pages.work.fresh);
    std::vector<int32_t> flat;
    in.list(flat);
    require(flat.size() % 2 == 0, "half a copy of a page");
    for (size_t i = 0; i < flat.size(); i += 2)
      pages.work.copies.emplace_back(flat[i], flat[i + 1]);
  }
  require(in.done(), "bytes after the end");
  check(plan, limits);
  return plan;
}

} // namespace heddle
