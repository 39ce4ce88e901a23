//===- EngineCall.cpp - entries called by name, and the sequences that they leave in states ---------------------------===//
#include "runtime/engine/EngineImpl.h"
#include <algorithm>
#include <set>
#include <stdexcept>

namespace heddle {

/// Text for errors: 'encode', 'step'.
static std::string namesOf(const std::vector<ModelEntry> &entries) {
  std::string names;
  for (const ModelEntry &entry : entries)
    names += (names.empty() ? "'" : ", '") + entry.name + "'";
  return names;
}

Engine::Impl::Named &Engine::Impl::named(uint64_t sequence) {
  auto [found, fresh] = named_.try_emplace(sequence);
  if (fresh)
    found->second = {nextSequence_++, 0, std::vector<int32_t>(model_.kv.states.size())};
  return found->second;
}

bool Engine::Impl::actsOn(const ModelEntry &entry, std::initializer_list<StateKind> kinds) const {
  return std::ranges::any_of(entry.states, [&](const StateUse &use) {
    return std::ranges::find(kinds, model_.kv.states[static_cast<size_t>(use.state)].kind) != kinds.end();
  });
}

void Engine::Impl::checkCall(const EntryCall &call, const ModelEntry &entry) {
  int64_t tokens = 0, rows = 0;
  std::set<uint64_t> sequences;
  auto refuse = [&](const EntryCall::Part &part, const std::string &what) {
    throw std::invalid_argument("entry '" + call.entry + "', sequence " + std::to_string(part.sequence) + ": " + what);
  };
  for (const EntryCall::Part &part : call.parts) {
    checkTokens(part.tokens, ("sequence " + std::to_string(part.sequence)).c_str());
    tokens += static_cast<int64_t>(part.tokens.size()), rows += static_cast<int64_t>(part.wanted.size());
    if (!sequences.insert(part.sequence).second)
      refuse(part, "stands in the call twice");
    for (size_t i = 0; i < part.wanted.size(); ++i)
      if (part.wanted[i] < (i ? part.wanted[i - 1] + 1 : 0) || part.wanted[i] >= static_cast<int64_t>(part.tokens.size()))
        refuse(part, "wanted rows must be its tokens, in increasing order");
    if (!part.types.empty() && part.types.size() != part.tokens.size())
      refuse(part, "has " + std::to_string(part.types.size()) + " types for " + std::to_string(part.tokens.size()) + " tokens");
    for (int32_t type : part.types)
      if (type < 0 || type >= model_.tokenTypes)
        refuse(part, "a token's type is " + std::to_string(type) + "; the model has " + std::to_string(model_.tokenTypes));
    const auto known = named_.find(part.sequence);
    const int64_t begin =
        known != named_.end() && actsOn(entry, {StateKind::Paged, StateKind::Recurrent}) ? known->second.computed : 0;
    if (begin + static_cast<int64_t>(part.tokens.size()) > settings_.context)
      refuse(part, "has no room for " + std::to_string(part.tokens.size()) + " more tokens in the context of " +
                       std::to_string(settings_.context));
    if (begin > 0 && actsOn(entry, {StateKind::Transient}))
      refuse(part, "goes on, but the entry needs its sequences whole: forget it first");
    for (const StateUse &use : entry.states) {
      if (model_.kv.states[static_cast<size_t>(use.state)].kind != StateKind::Fixed)
        continue;
      const bool written = known != named_.end() && known->second.lengths[static_cast<size_t>(use.state)] > 0;
      if (use.writes() && written)
        refuse(part, "has written its fixed state already: forget it first");
      if (use.reads() && !written)
        refuse(part, "has nothing in its fixed state: call the entry that writes it first");
    }
  }
  if (call.parts.empty() || tokens > settings_.tokenBudget)
    throw std::invalid_argument("entry '" + call.entry + "' is called for " + std::to_string(tokens) +
                                " tokens; a call has 1 to " + std::to_string(settings_.tokenBudget));
  if (rows > settings_.rows || static_cast<int64_t>(call.parts.size()) > settings_.rows)
    throw std::invalid_argument("entry '" + call.entry + "' is called for " + std::to_string(call.parts.size()) +
                                " sequences and " + std::to_string(rows) + " wanted rows; a call has at most " +
                                std::to_string(settings_.rows) + " of each");
}

/// Fills the step's tables. Throws before anything is taken where pages are too few.
void Engine::Impl::takePages(StepPlan &step, const EntryCall &call, const ModelEntry &entry) {
  // [begin, end) in the pages of a state: of a recurrent one its single row, which each step writes.
  auto range = [&](const EntryCall::Part &part, StateKind kind) -> std::pair<int64_t, int64_t> {
    const int64_t tokens = static_cast<int64_t>(part.tokens.size()), begin = named(part.sequence).computed;
    return kind == StateKind::Recurrent ? std::pair<int64_t, int64_t>{0, 1}
           : kind == StateKind::Paged   ? std::pair{begin, begin + tokens}
                                        : std::pair<int64_t, int64_t>{0, tokens};
  };
  auto grows = [&](const StateUse &use, StateKind kind) {
    return kind != StateKind::Transient && (kind != StateKind::Fixed || use.writes());
  };
  bool paged = false; // paged states share their pages
  for (const StateUse &use : entry.states) {
    const StateKind kind = model_.kv.states[static_cast<size_t>(use.state)].kind;
    if (!grows(use, kind) || (kind == StateKind::Paged && std::exchange(paged, true)))
      continue;
    int64_t needed = 0;
    for (const EntryCall::Part &part : call.parts) {
      auto [begin, end] = range(part, kind);
      needed += pagesOf(use.state).pagesNeeded(named(part.sequence).sequence, begin, end);
    }
    if (needed > pagesOf(use.state).freePages()) {
      std::erase_if(named_, [](const auto &entry) { // begun by asking
        return !entry.second.computed && std::ranges::all_of(entry.second.lengths, [](int32_t length) { return !length; });
      });
      throw std::invalid_argument("entry '" + call.entry + "' needs " + std::to_string(needed) + " more pages of a " +
                                  std::string(stateKindName(kind)) + " state, and " +
                                  std::to_string(pagesOf(use.state).freePages()) +
                                  " are free: forget sequences, or give it more memory");
    }
  }
  std::vector<KvCache::Sequence> sequences;
  for (const EntryCall::Part &part : call.parts)
    sequences.push_back(named(part.sequence).sequence);
  PageWork work;
  if (paged)
    for (const EntryCall::Part &part : call.parts) {
      auto [begin, end] = range(part, StateKind::Paged);
      cache_.reserve(named(part.sequence).sequence, begin, end, work);
    }
  setPages(step, sequences, std::move(work));
  for (const StateUse &use : entry.states) {
    const StateKind kind = model_.kv.states[static_cast<size_t>(use.state)].kind;
    if (kind != StateKind::Fixed && kind != StateKind::Recurrent)
      continue;
    KvCache &pool = pagesOf(use.state);
    StatePages &pages = step.states[static_cast<size_t>(use.state)];
    for (const EntryCall::Part &part : call.parts) {
      auto [begin, end] = range(part, kind);
      const Named &n = named(part.sequence);
      if (grows(use, kind))
        pool.reserve(n.sequence, begin, end, pages.work);
      else
        pages.lengths.push_back(n.lengths[static_cast<size_t>(use.state)]);
      pages.width = std::max(pages.width, static_cast<int64_t>(pool.pages(n.sequence).size()));
    }
    for (size_t s = 0; s < sequences.size(); ++s) {
      std::span<const int32_t> held = pool.pages(sequences[s]);
      pages.table.insert(pages.table.end(), held.begin(), held.end());
      pages.table.resize((s + 1) * static_cast<size_t>(pages.width), 0);
    }
  }
}

std::vector<EntryRows> Engine::Impl::call(const EntryCall &call) {
  if (!idle())
    throw std::logic_error("call() while requests are running");
  const auto found = std::ranges::find(model_.entries, call.entry, &ModelEntry::name);
  if (found == model_.entries.end())
    throw std::invalid_argument("the program has no entry '" + call.entry + "': it has " + namesOf(model_.entries));
  const ModelEntry &entry = *found;
  checkCall(call, entry);
  StepPlan step;
  step.entry = found - model_.entries.begin();
  takePages(step, call, entry);
  const bool goesOn = actsOn(entry, {StateKind::Paged, StateKind::Recurrent});
  for (size_t p = 0; p < call.parts.size(); ++p) {
    const EntryCall::Part &part = call.parts[p];
    const int64_t begin = goesOn ? named(part.sequence).computed : 0;
    for (int32_t row : part.wanted)
      step.rows.push_back(static_cast<int32_t>(step.ids.size()) + row);
    for (size_t i = 0; i < part.tokens.size(); ++i) {
      step.ids.push_back(part.tokens[i]);
      step.positions.push_back(static_cast<int32_t>(begin + static_cast<int64_t>(i)));
      step.types.push_back(part.types.empty() ? 0 : part.types[i]);
      step.sequences.push_back(static_cast<int32_t>(p));
    }
  }
  const StepOutputs *outputs = execute(step);
  if (!outputs) { // rows of recurrent states may have been updated, or not
    for (const EntryCall::Part &part : call.parts)
      forget(part.sequence);
    throw std::runtime_error("the call of entry '" + call.entry + "' was interrupted");
  }
  for (const EntryCall::Part &part : call.parts) {
    Named &n = named(part.sequence);
    n.computed += goesOn ? static_cast<int64_t>(part.tokens.size()) : 0;
    for (const StateUse &use : entry.states)
      if (use.writes() && model_.kv.states[static_cast<size_t>(use.state)].kind == StateKind::Fixed)
        n.lengths[static_cast<size_t>(use.state)] = static_cast<int32_t>(part.tokens.size());
  }
  std::vector<EntryRows> all;
  for (size_t i = 0; i < entry.outputs.size(); ++i) {
    const EntryOutput &output = entry.outputs[i];
    EntryRows &rows = all.emplace_back();
    rows.of = output.rows, rows.columns = output.columns;
    rows.rows =
        output.rowsOf(static_cast<int64_t>(step.ids.size()), static_cast<int64_t>(step.rows.size()), step.sequenceCount());
    for (int64_t r = 0; r < rows.rows; ++r)
      rows.values.insert(rows.values.end(), (*outputs)[i] + r * output.stride,
                         (*outputs)[i] + r * output.stride + output.columns);
  }
  return all;
}

void Engine::Impl::fork(uint64_t parent, uint64_t child) {
  const auto from = named_.find(parent);
  if (from == named_.end() || named_.contains(child))
    throw std::invalid_argument("sequence " + std::to_string(child) + " cannot begin as a fork of " + std::to_string(parent) +
                                (from == named_.end() ? ", which is unknown" : ": it has begun already"));
  const Named source = from->second;
  Named &made = named(child);
  made.computed = source.computed, made.lengths = source.lengths;
  auto share = [&](KvCache &pool) { // all that it holds
    pool.fork(source.sequence, made.sequence, static_cast<int64_t>(pool.pages(source.sequence).size()) * kPageTokens);
  };
  share(cache_);
  for (auto &pool : pools_)
    if (pool)
      share(*pool);
}

void Engine::Impl::forget(uint64_t sequence) {
  const auto found = named_.find(sequence);
  if (found == named_.end())
    return;
  cache_.release(found->second.sequence);
  for (auto &pool : pools_)
    if (pool)
      pool->release(found->second.sequence);
  named_.erase(found);
}

} // namespace heddle
