//===- StepExecutor.cpp - runs the compiled step on this rank --------------------------------------------------------===//
#include "runtime/engine/StepExecutor.h"
#include "runtime/engine/SpinBarrier.h"
#include "runtime/host/OpenMpFiles.h"
#include "runtime/host/Threads.h"
#include <algorithm>
#include <csetjmp>
#include <exception>
#include <immintrin.h>
#include <omp.h>

namespace heddle {

/// Lives as long as its executor; used by the threads of one step at a time.
struct StepContext {
  StepContext(int64_t threads, Communicator &group)
      : barrier(threads), group(group), progress(group.progress()), waysOut(static_cast<size_t>(threads)) {}
  void passed(int64_t thread) { // thread 0 alone writes it while steps run
    if (thread == 0)
      progress.store(progress.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  SpinBarrier barrier;
  Communicator &group;
  std::atomic<uint64_t> &progress;
  std::vector<int64_t> begin, end;      // of the running all-gather; thread 0 only
  std::exception_ptr error;             // of a peer; thread 0 only
  std::unique_ptr<StepProfile> profile; // while one is taken

  // Leaving a step early. Compiled code has no unwind tables and holds nothing, so its frames are simply dropped.
  static constexpr uint64_t kNever = UINT64_MAX;
  struct alignas(128) WayOut {
    std::jmp_buf place;
  };
  const std::atomic<bool> *unwanted = nullptr;
  std::atomic<uint64_t> leaveAfter = kNever; // the round of the barrier behind which all threads leave
  std::vector<WayOut> waysOut;               // of each thread

  /// The barrier of a step. Thread 0 decides before it arrives, for this very round: a thread that is late out of the last one
  /// must not take the decision for its own.
  void meet(int64_t thread) {
    uint64_t round = barrier.round();
    if (thread == 0 && unwanted && unwanted->load(std::memory_order_relaxed))
      leaveAfter.store(round, std::memory_order_relaxed);
    barrier.wait();
    if (leaveAfter.load(std::memory_order_relaxed) == round)
      std::longjmp(waysOut[static_cast<size_t>(thread)].place, 1);
  }
};

namespace {

/// Sets the floating-point environment of docs/arithmetic.md for a scope: round to nearest even, denormals kept, exceptions
/// masked.
class FloatEnvironment {
public:
  FloatEnvironment() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~FloatEnvironment() { _mm_setcsr(before_); }

private:
  unsigned before_;
};

/// Calls `step`, out of which longjmp leads back here.
template <class Step> [[gnu::noinline]] void enter(std::jmp_buf &wayOut, const Step &step) {
  if (setjmp(wayOut) == 0)
    step();
}

/// How many threads OpenMP gives; they stay. A function of its own: compilers call the library at the beginning of one that uses
/// it.
[[gnu::noinline]] int64_t startTeam(int64_t threads) {
  omp_set_dynamic(0);
  kmp_set_blocktime(10); // ms that workers spin for the next step: libomp's 200 keep an idle server busy for long
  int64_t got = 0;
#pragma omp parallel num_threads(static_cast<int>(threads))
  if (omp_get_thread_num() == 0)
    got = omp_get_num_threads();
  return got;
}

int64_t startThreads(int64_t threads) {
  // The library ends the program when it may not start a thread. Its stacks have 4 MB; the rest is for what it sets up before.
  constexpr size_t kStack = 16 << 20;
  requireThreads(threads - 1, "a step", "lower --threads", kStack);
  OpenMpStart start;
  return startTeam(threads);
}

} // namespace

namespace {

/// f32 of attention's partial states, where a step has any (Frame.h).
int64_t floatsOfPartials(int64_t tokens, int64_t pageTableWidth, const StateShapes &kv, int64_t rank, int64_t ranks) {
  return tokens > kSplitTokens ? 0 : tokens * pageTableWidth * kv.partialFloats(rank, ranks);
}

/// f32 of all of an entry's outputs; each takes a multiple of 16.
int64_t floatsOf(const EntryOutputs &outputs, int64_t tokens, int64_t wanted, int64_t sequences) {
  int64_t floats = 0;
  for (const EntryOutput &output : outputs)
    floats += output.rowsOf(tokens, wanted, sequences) * output.stride;
  return floats;
}

std::byte *within(const HugeBuffer &buffer, int64_t bytes, const char *what) {
  if (bytes > static_cast<int64_t>(buffer.size()))
    throw std::logic_error(std::string("engine: a step has no room for ") + what);
  return buffer.data();
}

constexpr int64_t kFloat = sizeof(float);

} // namespace

StepBytes stepBytes(const StepRoom &room, int64_t arenaBytesPerToken, const std::vector<EntryOutputs> &entries,
                    const StateShapes &kv, int64_t rank, int64_t ranks) {
  int64_t floats = 0;
  for (const EntryOutputs &outputs : entries)
    floats = std::max(floats, floatsOf(outputs, room.tokens, room.rows, room.tokens)); // a sequence has a token at least
  return {room.tokens * arenaBytesPerToken, floats * kFloat,
          floatsOfPartials(std::min(room.tokens, kSplitTokens), KvCache::pagesFor(room.context), kv, rank, ranks) * kFloat,
          room.transientPages() * kv.transientBytes(rank, ranks)};
}

StepExecutor::StepExecutor(const StepModel &model, const StepRoom &room, int64_t pages, int64_t threads, Communicator &group)
    : model_(model), threads_(threads), group_(group), context_(std::make_unique<StepContext>(threads, group)) {
  for (const StateShape &state : model.kv.states)
    memory_.emplace_back(state.kind == StateKind::Transient ? room.transientPages() : pages,
                         state.pageBytes(group.rank(), group.size()));
  StepBytes bytes = stepBytes(room, model.arenaBytesPerToken, model.outputs(), model.kv, group.rank(), group.size());
  arena_ = HugeBuffer(static_cast<size_t>(bytes.arena), "the arena");
  outputs_ = HugeBuffer(static_cast<size_t>(bytes.outputs), "logits");
  partials_ = HugeBuffer(static_cast<size_t>(bytes.partials), "attention's partial states");
  if (int64_t got = startThreads(threads); got != threads) // the step's barrier would wait for ever
    throw std::runtime_error("asked for " + std::to_string(threads) + " threads, OpenMP gave " + std::to_string(got) +
                             "; lower --threads");
}

StepExecutor::~StepExecutor() = default;

StepExecutor::Tables StepExecutor::tablesOf(const StepPlan &plan, bool transient) {
  Tables made;
  const auto sequences = static_cast<size_t>(plan.sequenceCount());
  for (StepInts *list : {&made.ends, &made.first, &made.last})
    list->resize(sequences);
  for (size_t t = plan.ids.size(); t-- > 0;)
    made.first[static_cast<size_t>(plan.sequences[t])] = static_cast<int32_t>(t);
  for (size_t t = 0; t < plan.ids.size(); ++t) { // positions increase
    made.ends[static_cast<size_t>(plan.sequences[t])] = plan.positions[t] + 1;
    made.last[static_cast<size_t>(plan.sequences[t])] = static_cast<int32_t>(t);
  }
  made.types = plan.types;
  made.types.resize(plan.ids.size());
  if (!transient)
    return made;
  for (int32_t end : made.ends)
    made.width = std::max(made.width, KvCache::pagesFor(end));
  made.transient.resize(made.ends.size() * static_cast<size_t>(made.width));
  for (size_t s = 0; s < made.ends.size(); ++s)
    for (int64_t p = 0; p < KvCache::pagesFor(made.ends[s]); ++p)
      made.transient[s * static_cast<size_t>(made.width) + static_cast<size_t>(p)] = static_cast<int32_t>(made.pages++);
  return made;
}

const StepOutputs *StepExecutor::run(StepPlan &plan) {
  const ModelEntry &entry = model_.entries[static_cast<size_t>(plan.entry)];
  const int64_t tokens = static_cast<int64_t>(plan.ids.size()), wanted = static_cast<int64_t>(plan.rows.size());
  const int64_t sequences = plan.sequenceCount();
  std::byte *results = within(outputs_, floatsOf(entry.outputs, tokens, wanted, sequences) * kFloat, "its results");
  std::vector<std::byte *> outputs;
  results_.clear();
  for (const EntryOutput &output : entry.outputs) {
    outputs.push_back(results);
    results_.push_back(reinterpret_cast<const float *>(results));
    results += output.rowsOf(tokens, wanted, sequences) * output.stride * kFloat;
  }
  const Tables made = tablesOf(plan, std::ranges::any_of(entry.states, [&](StateUse use) {
                                 return model_.kv.states[static_cast<size_t>(use.state)].kind == StateKind::Transient;
                               }));
  int64_t width = made.width; // of the widest table
  std::vector<StateView> views;
  for (size_t s = 0; s < memory_.size(); ++s) {
    const bool transient = model_.kv.states[s].kind == StateKind::Transient;
    const StatePages &pages = plan.states[s];
    memory_[s].apply(pages.work);
    if (transient && made.pages > memory_[s].pages())
      throw std::logic_error("engine: a step has no room for its sequences");
    width = std::max(width, pages.width);
    views.push_back({memory_[s].data(), transient ? made.transient.data() : pages.table.data(),
                     transient ? made.width : pages.width, pages.lengths.empty() ? made.ends.data() : pages.lengths.data()});
  }
  std::vector<const StateView *> states;
  for (const StateView &view : views)
    states.push_back(&view);
  const int64_t partials = floatsOfPartials(tokens, width, model_.kv, group_.rank(), group_.size());
  const Frame frame{.tokens = tokens,
                    .wanted = wanted,
                    .sequences = sequences,
                    .ids = plan.ids.data(),
                    .positions = plan.positions.data(),
                    .sequenceOf = plan.sequences.data(),
                    .wantedRows = plan.rows.data(),
                    .outputs = outputs.data(),
                    .arena = within(arena_, tokens * model_.arenaBytesPerToken, "its tokens"),
                    .partials = reinterpret_cast<float *>(within(partials_, partials * kFloat, "attention's partial states")),
                    .states = states.data(),
                    .weights = model_.weights,
                    .weightOffsets = model_.weightOffsets,
                    .ropes = model_.ropes,
                    .ropeOffsets = model_.ropeOffsets,
                    .rank = group_.rank(),
                    .ranks = group_.size(),
                    .threads = threads_,
                    .context = context_.get(),
                    .firstRows = made.first.data(),
                    .lastRows = made.last.data(),
                    .types = made.types.data()};
  context_->error = nullptr;
  context_->leaveAfter = StepContext::kNever;
  if (context_->profile)
    context_->profile->begin(plan);

#pragma omp parallel num_threads(static_cast<int>(threads_))
  {
    FloatEnvironment environment;
    if (context_->profile)
      context_->profile->start(omp_get_thread_num());
    int thread = omp_get_thread_num();
    enter(context_->waysOut[static_cast<size_t>(thread)].place, [&] { entry.function(&frame, thread); });
  }
  if (context_->error)
    std::rethrow_exception(context_->error);
  if (context_->leaveAfter != StepContext::kNever)
    return nullptr;
  return &results_;
}

void StepExecutor::leaveStepsWhile(const std::atomic<bool> &flag) {
  if (group_.size() == 1)
    context_->unwanted = &flag;
}

void StepExecutor::startProfile() { context_->profile = std::make_unique<StepProfile>(threads_, group_.size()); }

std::vector<KernelTime> StepExecutor::endProfile() {
  auto profile = std::move(context_->profile);
  return profile ? profile->kernels() : std::vector<KernelTime>{};
}

} // namespace heddle

using heddle::Frame, heddle::StepContext, heddle::StepKernel, heddle::StepProfile;

extern "C" {

__attribute__((visibility("default"))) void heddle_barrier(const Frame *frame, int64_t thread, const StepKernel *kernel) {
  StepContext &step = *static_cast<StepContext *>(frame->context);
  step.passed(thread);
  if (!step.profile)
    return step.meet(thread);
  auto arrived = StepProfile::Clock::now();
  step.meet(thread);
  auto passed = StepProfile::Clock::now();
  step.profile->reached(thread, kernel, arrived, passed, passed);
}

__attribute__((visibility("default"))) void heddle_all_gather(const Frame *frame, int64_t thread, void *data, int64_t rows,
                                                              int64_t rowBytes, int64_t units, int64_t unitBytes,
                                                              const StepKernel *kernel) {
  StepContext &step = *static_cast<StepContext *>(frame->context);
  StepProfile::Clock::time_point arrived, passed;
  step.passed(thread);
  if (step.profile)
    arrived = StepProfile::Clock::now();
  step.barrier.wait(); // all threads have written
  if (step.profile)
    passed = StepProfile::Clock::now();
  if (thread == 0 && !step.error) {
    try { // compiled code has no unwind tables: the error waits until the step is over, whose results then mean nothing
      int64_t ranks = step.group.size();
      step.begin.resize(ranks);
      step.end.resize(ranks);
      for (int64_t r = 0; r < ranks; ++r) {
        heddle::Share mine = heddle::share(units, r, ranks);
        step.begin[r] = std::min(mine.begin * unitBytes, rowBytes);
        step.end[r] = std::min(mine.end * unitBytes, rowBytes);
      }
      step.group.allGather(static_cast<std::byte *>(data), rows, rowBytes, step.begin, step.end);
      step.passed(thread);
    } catch (...) {
      step.error = std::current_exception();
    }
  }
  step.barrier.wait(); // all threads may read
  if (step.profile)
    step.profile->reached(thread, kernel, arrived, passed, StepProfile::Clock::now());
}
}
