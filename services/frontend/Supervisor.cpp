//===- Supervisor.cpp ----------------------------------------------------------------------------------------------===//
#include "services/frontend/Supervisor.h"
#include "services/frontend/GroupProcess.h"
#include "services/frontend/ProcFs.h"
#include "services/link/Messages.h"
#include <algorithm>

namespace heddle {

using namespace std::chrono_literals;

namespace {

std::string seconds(std::chrono::milliseconds time) { return std::to_string(time.count() / 1000) + " s"; }

/// The pause before the next launch after `young` groups in a row died without having served for a while.
std::chrono::milliseconds pauseAfter(int young) {
  if (young <= 1)
    return 0ms;
  return std::min<std::chrono::milliseconds>(250ms * (1 << std::min(young - 2, 7)), 30s);
}

} // namespace

Supervisor::Supervisor(GroupOptions options, std::string planKey, bool relaunch, Observer &observer)
    : options_((checkGroupOptions(options), std::move(options))), planKey_(std::move(planKey)), relaunch_(relaunch),
      observer_(observer), link_(directory_.socket(), *this) {}

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
    stoppedSince_.reset();
    stepMilliseconds_ = 0;
    localRanks_.clear();
    launched_ = Clock::now();
  }
  link_.expect(epoch);
  std::unique_ptr<GroupProcess> process;
  try {
    process = std::make_unique<GroupProcess>(options_, epoch, directory_.socket(), [this] {
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
      wasReady = true;
      internal::Ready ready = *ready_;
      lock.unlock();
      observer_.groupReady(epoch, ready);
      lock.lock();
      continue;
    }
    if (phase_ != Phase::Launched && Clock::now() - lastHeartbeat_ >= std::chrono::milliseconds(kHeartbeatMilliseconds)) {
      lastHeartbeat_ = Clock::now();
      internal::FrontendMessage beat;
      beat.mutable_heartbeat();
      lock.unlock();
      link_.send(beat);
      lock.lock();
      continue;
    }
    changed_.wait_for(lock, std::chrono::milliseconds(kHeartbeatMilliseconds));
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
  if (stopping)
    return {};
  explained = process->workerError().has_value();
  return exited || explained ? process->reason() : *over;
}

std::optional<std::string> Supervisor::verdict(const GroupProcess &process) {
  auto now = Clock::now();
  if (exited_)
    return "the worker group ended";
  if (linkLost_)
    return "rank 0 left the engine link";
  if (phase_ == Phase::Launched) {
    if (now - launched_ > options_.helloLimit)
      return "no worker called back within " + seconds(options_.helloLimit) + " of the launch";
    return std::nullopt;
  }
  if (now - heard_ > options_.heartbeatLimit)
    return "rank 0 was silent for " + seconds(options_.heartbeatLimit);
  if (stepMilliseconds_ > options_.stepLimit.count())
    return "an engine step took more than " + seconds(options_.stepLimit);
  return stoppedRank();
}

std::optional<std::string> Supervisor::stoppedRank() {
  for (auto [rank, pid] : localRanks_) {
    if (char state = processState(pid); state != 'T' && state != 't')
      continue;
    if (!stoppedSince_)
      stoppedSince_ = Clock::now();
    if (Clock::now() - *stoppedSince_ < options_.heartbeatLimit)
      return std::nullopt;
    return "rank " + std::to_string(rank) + " (process " + std::to_string(pid) + ") was stopped for " +
           seconds(options_.heartbeatLimit);
  }
  stoppedSince_.reset();
  return std::nullopt;
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
  heard_ = lastHeartbeat_ = Clock::now();
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
    heard_ = Clock::now();
    if (message.has_heartbeat()) {
      stepMilliseconds_ = message.heartbeat().step_milliseconds();
      return;
    }
    stepMilliseconds_ = 0;
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
