//===- Supervisor.cpp ----------------------------------------------------------------------------------------------===//
#include "services/frontend/Supervisor.h"
#include "runtime/comm/Host.h"
#include "runtime/host/ProcFs.h"
#include "runtime/host/SharedMemory.h"
#include "services/frontend/GroupProcess.h"
#include <algorithm>

namespace heddle {

using namespace std::chrono_literals;

namespace {

constexpr auto kLook = 1s; // how often the group is looked at when nothing happens

/// The pause before the next launch after `young` groups in a row died without having served for a while.
std::chrono::milliseconds pauseAfter(int young) {
  if (young <= 1)
    return 0ms;
  return std::min<std::chrono::milliseconds>(250ms * (1 << std::min(young - 2, 7)), 30s);
}

} // namespace

Supervisor::Supervisor(GroupOptions options, std::string planKey, bool relaunch, Observer &observer)
    : options_((checkGroupOptions(options), std::move(options))), planKey_(std::move(planKey)), relaunch_(relaunch),
      observer_(observer), watch_({options_.stoppedLimit, options_.stallLimit, options_.launchLimit}),
      link_(directory_.socket(), *this) {}

Supervisor::~Supervisor() { stop(); }

void Supervisor::start() {
  thread_ = std::thread([this] { run(); });
}

void Supervisor::stop(bool inOrder) {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    inOrder_ = inOrder;
    changed_.notify_all();
  }
  if (thread_.joinable())
    thread_.join();
}

uint64_t Supervisor::epoch() const {
  std::lock_guard lock(mutex_);
  return epoch_;
}

std::vector<pid_t> Supervisor::localRanks() const {
  std::lock_guard lock(mutex_);
  std::vector<pid_t> out;
  for (auto [rank, pid] : localRanks_)
    out.push_back(pid);
  return out;
}

void Supervisor::run() {
  bool everReady = false;
  for (int young = 0, attempts = 1;; ++attempts) {
    bool wasReady = false, explained = false;
    auto start = Clock::now();
    std::string reason = runEpoch(wasReady, explained);
    if (reason.empty())
      return; // stopped
    everReady |= wasReady;
    young = wasReady && Clock::now() - start > 10s ? 1 : young + 1;
    if (!relaunch_ || (!everReady && (explained || attempts == 3)))
      return observer_.groupFailed(reason);
    observer_.groupLost(reason);
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, pauseAfter(young), [this] { return stopping_; }))
      return;
  }
}

std::string Supervisor::runEpoch(bool &wasReady, bool &explained) {
  uint64_t epoch;
  {
    std::lock_guard lock(mutex_);
    if (stopping_)
      return {};
    epoch = ++epoch_;
    phase_ = Phase::Launched;
    exited_ = linkLost_ = false;
    ready_.reset();
    localRanks_.clear();
    watch_.launched(Clock::now());
  }
  link_.expect(epoch);
  if (options_.ranks > 1 && options_.hostfile.empty()) // else the ranks of each host look for themselves
    if (std::string problem = sharedMemoryShortage(std::to_string(options_.ranks) + " ranks share", sharedBytes(options_.ranks));
        !problem.empty()) {
      explained = true;
      return problem;
    }
  std::unique_ptr<GroupProcess> process;
  try {
    process = std::make_unique<GroupProcess>(options_, epoch, directory_, [this] {
      std::lock_guard lock(mutex_);
      exited_ = true;
      changed_.notify_all();
    });
  } catch (const GroupError &error) {
    explained = true;
    return error.what();
  }

  std::optional<std::string> over;
  std::unique_lock lock(mutex_);
  while (!stopping_ && !(over = verdict(*process))) {
    if (ready_ && phase_ == Phase::Attached) {
      phase_ = Phase::Ready;
      watch_.ready();
      wasReady = true;
      internal::Ready ready = *ready_;
      lock.unlock();
      observer_.groupReady(epoch, ready);
      lock.lock();
      continue;
    }
    changed_.wait_for(lock, kLook);
  }
  bool stopping = !over, inOrder = inOrder_;
  if (linkLost_ && !exited_) // mpirun is about to say which rank died
    changed_.wait_for(lock, 300ms, [this] { return exited_; });
  bool exited = exited_;
  phase_ = Phase::Gone;
  std::vector<pid_t> ranks;
  for (auto [rank, pid] : localRanks_)
    ranks.push_back(pid);
  lock.unlock();

  if (stopping && inOrder)
    endInOrder(*process);
  link_.expect(0);
  link_.drop();
  process->kill(ranks);
  directory_.removeSession(epoch);
  if (stopping)
    return {};
  explained = process->workerError().has_value();
  return exited || explained ? process->reason() : *over;
}

std::optional<std::string> Supervisor::verdict(const GroupProcess &process) {
  if (exited_)
    return "the worker group ended";
  if (linkLost_)
    return "rank 0 left the engine link";
  watch_.look(Clock::now());
  if (phase_ == Phase::Launched)
    watch_.launching(processorTime(processesOf(directory_.folder().path().string())));
  else
    watch_.stopped(stoppedRank(process));
  return watch_.verdict();
}

std::optional<GroupWatch::Rank> Supervisor::stoppedRank(const GroupProcess &process) const {
  for (auto [rank, pid] : localRanks_)
    if (char state = processState(pid); state == 'T' || state == 't')
      return GroupWatch::Rank{rank, pid};
  return process.stoppedElsewhere();
}

void Supervisor::endInOrder(GroupProcess &process) {
  internal::FrontendMessage stop;
  stop.mutable_stop();
  if (!link_.send(stop))
    return;
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, options_.stopLimit, [this] { return exited_; });
}

std::string Supervisor::hello(const internal::Hello &hello) {
  if (hello.plan_key() != planKey_)
    return "the workers' plan has key " + hello.plan_key().substr(0, 12) + ", the frontend's " + planKey_.substr(0, 12) + " (" +
           options_.plan.string() + "); compile it again or start heddle again";
  if (hello.ranks_size() != options_.ranks)
    return "the group has " + std::to_string(hello.ranks_size()) + " ranks instead of " + std::to_string(options_.ranks);
  std::lock_guard lock(mutex_);
  if (hello.epoch() != epoch_ || phase_ != Phase::Launched)
    return "epoch " + std::to_string(hello.epoch()) + " is over";
  phase_ = Phase::Attached;
  watch_.attached();
  std::string host = localHostName();
  for (const internal::RankInfo &info : hello.ranks())
    if (info.host() == host)
      localRanks_.emplace_back(info.rank(), static_cast<pid_t>(info.pid()));
  changed_.notify_all();
  return {};
}

void Supervisor::received(uint64_t epoch, internal::WorkerMessage &&message) {
  {
    std::lock_guard lock(mutex_);
    if (epoch != epoch_ || phase_ == Phase::Gone)
      return;
    if (message.has_heartbeat()) {
      const internal::WorkerHeartbeat &beat = message.heartbeat();
      watch_.heartbeat(beat.progress(), beat.busy(), std::chrono::nanoseconds(beat.cpu_nanoseconds()));
      return;
    }
    watch_.message();
    if (message.has_ready()) {
      ready_ = message.ready();
      changed_.notify_all();
      return;
    }
  }
  observer_.message(std::move(message));
}

void Supervisor::lost(uint64_t epoch) {
  std::lock_guard lock(mutex_);
  if (epoch != epoch_)
    return;
  linkLost_ = true;
  changed_.notify_all();
}

} // namespace heddle
