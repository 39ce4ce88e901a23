//===- EngineImpl.cpp - schedule, broadcast, execute, sample, update --------------------------------------------------===//
#include "runtime/engine/EngineImpl.h"
#include <algorithm>
#include <random>
#include <stdexcept>

namespace heddle {

Engine::Impl::Impl(const StepModel &model, const EngineSettings &settings, int64_t threads, Communicator &group,
                   TextDecoderFactory text)
    : model_(model), settings_(settings), group_(group), text_(std::move(text)), cache_(settings.pages), limits_(limits()),
      executor_(model, settings.room(), settings.pages, threads, group) {
  for (const StateShape &state : model.kv.states)
    pools_.push_back(state.kind == StateKind::Fixed || state.kind == StateKind::Recurrent
                         ? std::make_unique<KvCache>(settings.pages)
                         : nullptr);
}

Engine::Impl::~Impl() {
  if (group_.rank() != 0 || broken_)
    return;
  try {
    StepPlan last;
    last.epoch = ++epoch_;
    last.stop = true;
    std::vector<std::byte> message = last.serialize();
    group_.broadcast(message); // ends follow() on the other ranks
  } catch (const std::exception &) {
    group_.abandon(); // a peer is gone; whoever drives the others learns it there
  }
}

// ---- requests ----

void Engine::Impl::checkTokens(const std::vector<int32_t> &tokens, const char *what) const {
  if (tokens.empty())
    throw std::invalid_argument(std::string(what) + " is empty: it needs at least one token");
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= model_.vocabulary)
      throw std::invalid_argument(std::string(what) + ": token " + std::to_string(i) + " is " + std::to_string(tokens[i]) +
                                  ", outside of the vocabulary of " + std::to_string(model_.vocabulary));
}

void Engine::Impl::submit(Request request) {
  if (auto error = validate(request.sampling))
    throw std::invalid_argument(error->message);
  logitsStep(); // is there one?
  checkTokens(request.prompt, "prompt");
  if (static_cast<int64_t>(request.prompt.size()) >= settings_.context)
    throw std::invalid_argument("the prompt has " + std::to_string(request.prompt.size()) + " tokens, but the context of " +
                                std::to_string(settings_.context) + " must hold it and at least one token of the answer");
  for (const Running &other : running_)
    if (other.request.id == request.id)
      throw std::invalid_argument("request " + std::to_string(request.id) + " is running already");
  if (!text_ && !request.sampling.stop.empty())
    throw std::invalid_argument("stop needs a tokenizer, and this model has none");

  uint64_t seed =
      request.sampling.seed ? *request.sampling.seed : (uint64_t{std::random_device{}()} << 32 | std::random_device{}());
  OutputText text(text_ ? text_() : nullptr, request.sampling.stop);
  std::vector<int32_t> known = request.prompt;
  running_.push_back({std::move(request), nextSequence_++, seed, std::move(known), 0, -1, std::move(text), false});
}

void Engine::Impl::cancel(uint64_t id) {
  auto found = std::find_if(running_.begin(), running_.end(), [&](const Running &r) { return r.request.id == id; });
  if (found == running_.end())
    return;
  Event event;
  event.request = id;
  event.stop = StopReason::Cancelled;
  finish(*found, event);
  events_.push_back(std::move(event));
  running_.erase(found);
}

// ---- one step ----

std::vector<Event> Engine::Impl::step() {
  StepPlan next;
  Schedule schedule = plan(next);
  if (!next.ids.empty())
    if (const StepOutputs *outputs = execute(next))
      update(schedule, outputs->front()); // else nothing was computed, and the next step plans the same again
  return std::exchange(events_, {});
}

/// Requests that hold nothing take over the pages of the longest beginning that earlier ones left, but never the last token:
/// somebody must compute its logits. Gives those that did, in increasing order.
std::vector<int64_t> Engine::Impl::shareBeginnings() {
  std::vector<int64_t> sharing;
  for (size_t i = 0; i < running_.size(); ++i) {
    Running &r = running_[i];
    if (!r.request.reuse || !cache_.pages(r.sequence).empty())
      continue;
    r.computed = cache_.share(r.sequence, std::span(r.known).first(r.known.size() - 1));
    if (r.computed > 0)
      sharing.push_back(static_cast<int64_t>(i));
  }
  return sharing;
}

Schedule Engine::Impl::decide() {
  const std::vector<int64_t> sharing = shareBeginnings();
  auto decided = [&](bool waiting) {
    std::vector<RequestState> states;
    std::vector<bool> held(static_cast<size_t>(cache_.totalPages())); // by an older request: comes free only with that one
    for (const Running &r : running_) {
      int64_t copied = cache_.pagesNeeded(r.sequence, r.computed, r.computed + 1) > 0 && r.computed % kPageTokens != 0;
      int64_t pages = static_cast<int64_t>(cache_.pages(r.sequence).size()) - copied;
      int64_t shared = 0;
      for (int32_t page : cache_.pages(r.sequence).first(static_cast<size_t>(pages)))
        shared += held[static_cast<size_t>(page)];
      for (int32_t page : cache_.pages(r.sequence))
        held[static_cast<size_t>(page)] = true;
      states.push_back({static_cast<int64_t>(r.known.size()), r.computed, pages, shared, false});
    }
    for (int64_t index : sharing)
      states[index].waiting = waiting;
    return schedule(states, cache_.freePages(), {settings_.tokenBudget, kPageTokens, settings_.rows});
  };
  auto works = [](const Schedule &schedule, int64_t index) {
    return std::any_of(schedule.work.begin(), schedule.work.end(), [&](auto &work) { return work.request == index; });
  };
  Schedule result = decided(true);
  bool stuck = result.work.empty(); // what waiting requests hold may be just what the first of them lacks
  for (int64_t index : sharing)
    if (stuck || !works(result, index)) {
      cache_.release(running_[index].sequence);
      running_[index].computed = 0;
      std::erase(result.preempted, index); // it had not started
    }
  if (stuck && !sharing.empty())
    result = decided(false);
  for (const ScheduledTokens &work : result.work)
    if (Running &r = running_[work.request]; r.cached < 0)
      r.cached = r.computed;
  return result;
}

/// What has given no finite logits yet may hold values that are not finite, which would reach others through the page that both
/// fill differently.
void Engine::Impl::leave(const Running &r, bool failed) {
  if (r.request.reuse && !failed && r.known.size() > r.request.prompt.size())
    cache_.retire(r.sequence, std::span(r.known).first(r.computed));
  else
    cache_.release(r.sequence);
}

/// Preempts, reserves pages and writes the step down.
Schedule Engine::Impl::plan(StepPlan &step) {
  Schedule decided = decide();
  for (int64_t index : decided.preempted) {
    leave(running_[index], /*failed=*/false);
    running_[index].computed = 0;
  }
  preemptions_ += static_cast<int64_t>(decided.preempted.size());
  std::vector<KvCache::Sequence> sequences;
  PageWork work;
  if (!decided.work.empty())
    step = logitsStep();
  for (auto [index, tokens] : decided.work) {
    const Running &r = running_[index];
    addSequence(step, r.sequence, std::span(r.known).subspan(r.computed, tokens), r.computed, false, work);
    if (r.computed + tokens == static_cast<int64_t>(r.known.size()))
      step.rows.push_back(static_cast<int32_t>(step.ids.size()) - 1);
    sequences.push_back(r.sequence);
  }
  setPages(step, sequences, std::move(work));
  return decided;
}

/// Adds positions [begin, begin + tokens) of a sequence, as the next row of the page table.
void Engine::Impl::addSequence(StepPlan &step, KvCache::Sequence sequence, std::span<const int32_t> tokens, int64_t begin,
                               bool allRows, PageWork &work) {
  int64_t end = begin + static_cast<int64_t>(tokens.size());
  if (!cache_.reserve(sequence, begin, end, work))
    throw std::logic_error("engine: the scheduler promised pages that the KV cache does not have");
  int32_t row = step.sequences.empty() ? 0 : step.sequences.back() + 1;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (allRows)
      step.rows.push_back(static_cast<int32_t>(step.ids.size()));
    step.ids.push_back(tokens[i]);
    step.positions.push_back(static_cast<int32_t>(begin + static_cast<int64_t>(i)));
    step.sequences.push_back(row);
  }
}

StepPlan Engine::Impl::logitsStep() const {
  if (model_.logits < 0)
    throw std::invalid_argument("the program has no entry that gives logits, so it cannot continue a text");
  const ModelEntry &entry = model_.entries[static_cast<size_t>(model_.logits)];
  for (const StateUse &use : entry.states)
    if (StateKind kind = model_.kv.states[static_cast<size_t>(use.state)].kind; kind != StateKind::Paged)
      throw std::invalid_argument("entry '" + entry.name + "' acts on a " + std::string(stateKindName(kind)) +
                                  " state, so it cannot continue a text by itself yet: call the program's entries by name");
  StepPlan step;
  step.entry = model_.logits;
  return step;
}

/// In each paged state a row of the table per sequence, padded with page 0, which is never read there.
void Engine::Impl::setPages(StepPlan &step, std::span<const KvCache::Sequence> sequences, PageWork work) const {
  StatePages paged{std::move(work), {}};
  for (KvCache::Sequence s : sequences)
    paged.width = std::max<int64_t>(paged.width, static_cast<int64_t>(cache_.pages(s).size()));
  for (size_t s = 0; s < sequences.size(); ++s) {
    std::span<const int32_t> pages = cache_.pages(sequences[s]);
    paged.table.insert(paged.table.end(), pages.begin(), pages.end());
    paged.table.resize((s + 1) * paged.width, 0);
  }
  for (const StateShape &state : model_.kv.states)
    step.states.push_back(state.kind == StateKind::Paged ? paged : StatePages());
}

const StepOutputs *Engine::Impl::execute(StepPlan &step) {
  step.epoch = ++epoch_;
  broken_ = true; // until it is over
  if (group_.size() > 1) {
    std::vector<std::byte> message = step.serialize();
    group_.broadcast(message);
  }
  const StepOutputs *outputs = executor_.run(step);
  broken_ = false;
  if (outputs) { // the step was not left
    ++steps_;
    computedTokens_ += static_cast<int64_t>(step.ids.size());
  }
  return outputs;
}

StepLimits Engine::Impl::limits() const {
  StepLimits limits{model_.vocabulary, settings_.context, settings_.pages, settings_.tokenBudget, settings_.rows, {}, {}};
  limits.tokenTypes = model_.tokenTypes;
  for (const StateShape &state : model_.kv.states)
    limits.states.push_back(state.kind);
  for (const ModelEntry &entry : model_.entries)
    limits.entries.push_back(entry.states);
  return limits;
}

void Engine::Impl::follow() {
  for (;;) {
    std::vector<std::byte> message;
    group_.broadcast(message);
    StepPlan step = StepPlan::parse(message, limits_);
    if (step.epoch != ++epoch_)
      throw StepPlanError("step plan: rank " + std::to_string(group_.rank()) + " expected step " + std::to_string(epoch_) +
                          ", got " + std::to_string(step.epoch));
    if (step.stop)
      return;
    executor_.run(step);
  }
}

// ---- what the step gave ----

void Engine::Impl::update(const Schedule &schedule, const float *logits) {
  for (auto [index, tokens] : schedule.work) {
    Running &r = running_[index];
    r.computed += tokens;
    if (r.computed < static_cast<int64_t>(r.known.size()))
      continue; // in the middle of a prompt
    extend(r, sampler_.sample(logits, model_.vocabulary, r.known, r.request.sampling, r.seed));
    logits += model_.logitStride();
  }
  std::erase_if(running_, [](const Running &r) { return r.finished; });
}

/// Appends a sampled token and tells about it.
void Engine::Impl::extend(Running &r, Sampler::Result &&sampled) {
  Event event;
  event.request = r.request.id;
  if (!sampled.error.empty()) {
    event.stop = StopReason::Error;
    event.error = "request " + std::to_string(r.request.id) + ": the logits at position " + std::to_string(r.known.size() - 1) +
                  " give no token: " + sampled.error + "; the model's weights overflow or are damaged: check the file";
  } else {
    int32_t token = sampled.token.token;
    r.known.push_back(token);
    event.tokens.push_back(std::move(sampled.token));
    event.stop = stopReason(r, token);
    try {
      event.text = event.stop == StopReason::EndOfText ? r.text.pushEnd(token) : r.text.push(token);
      if (r.text.stopped())
        event.stop = StopReason::StopString;
    } catch (const std::exception &error) {
      failText(r, event, error);
    }
  }
  if (event.stop != StopReason::None) {
    finish(r, event);
  } else {
    event.promptTokens = static_cast<int64_t>(r.request.prompt.size());
    event.outputTokens = static_cast<int64_t>(r.known.size()) - event.promptTokens;
    event.seed = r.seed;
    event.cachedTokens = std::max<int64_t>(r.cached, 0);
  }
  events_.push_back(std::move(event));
}

StopReason Engine::Impl::stopReason(const Running &r, int32_t token) const {
  bool end = std::find(model_.endOfText.begin(), model_.endOfText.end(), token) != model_.endOfText.end();
  if (end && !r.request.sampling.ignoreEnd)
    return StopReason::EndOfText;
  if (static_cast<int64_t>(r.known.size() - r.request.prompt.size()) >= r.request.sampling.maxTokens)
    return StopReason::MaxTokens;
  if (static_cast<int64_t>(r.known.size()) >= settings_.context)
    return StopReason::ContextFull;
  return StopReason::None;
}

/// What goes wrong with the text of one request is the end of that request, not of the group.
void Engine::Impl::failText(Running &r, Event &event, const std::exception &error) {
  if (event.stop != StopReason::Cancelled)
    event.stop = StopReason::Error;
  event.error = "request " + std::to_string(r.request.id) + ": its tokens could not be made text: " + error.what();
  r.text = OutputText(nullptr, {});
}

/// Completes a request's last event and gives its pages back.
void Engine::Impl::finish(Running &r, Event &event) {
  try {
    event.text += r.text.finish(); // the withheld tail may itself hold a stop string
  } catch (const std::exception &error) {
    failText(r, event, error);
  }
  if (r.text.stopped()) {
    event.stopString = *r.text.stopped();
    if (event.stop != StopReason::Cancelled && event.stop != StopReason::Error)
      event.stop = StopReason::StopString;
  }
  event.promptTokens = static_cast<int64_t>(r.request.prompt.size());
  event.outputTokens = static_cast<int64_t>(r.known.size()) - event.promptTokens;
  event.seed = r.seed;
  event.cachedTokens = std::max<int64_t>(r.cached, 0);
  leave(r, event.stop == StopReason::Error);
  r.finished = true;
}

// ---- evaluation and metrics ----

void Engine::Impl::evaluate(const std::vector<int32_t> &tokens, int64_t chunk,
                            const std::function<void(int64_t, const float *)> &row) {
  if (!idle())
    throw std::logic_error("evaluate() while requests are running");
  if (chunk < 1)
    throw std::invalid_argument("chunk must be at least 1, not " + std::to_string(chunk));
  checkTokens(tokens, "text");
  int64_t count = static_cast<int64_t>(tokens.size());
  if (count > settings_.context)
    throw std::invalid_argument("the text has " + std::to_string(count) + " tokens, but the context holds " +
                                std::to_string(settings_.context));
  chunk = std::min({chunk, settings_.tokenBudget, settings_.rows}); // what a step has room for
  KvCache::Sequence sequence = nextSequence_++;
  struct GiveBack { // also when `row` throws
    Impl &engine;
    KvCache::Sequence sequence;
    ~GiveBack() { engine.cache_.release(sequence); }
  } giveBack{*this, sequence};
  for (int64_t begin = 0; begin < count; begin += chunk) {
    int64_t size = std::min(chunk, count - begin);
    StepPlan step = logitsStep();
    PageWork work;
    addSequence(step, sequence, std::span(tokens).subspan(begin, size), begin, true, work);
    setPages(step, std::span(&sequence, 1), std::move(work));
    const StepOutputs *outputs = execute(step);
    if (!outputs)
      throw std::runtime_error("the evaluation was interrupted");
    for (int64_t i = 0; i < size; ++i)
      row(begin + i, outputs->front() + i * model_.logitStride());
  }
}

EngineStats Engine::Impl::stats() const {
  return {static_cast<int64_t>(running_.size()), computedTokens_, steps_, preemptions_, cache_.totalPages(), cache_.freePages()};
}

} // namespace heddle
