//===- GroupProcess.cpp --------------------------------------------------------------------------------------------===//
#include "services/frontend/GroupProcess.h"
#include "runtime/host/ProcFs.h"
#include "runtime/host/Spawn.h"
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sstream>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace heddle {
namespace {

using namespace std::chrono_literals;

std::filesystem::path workerPath(const GroupOptions &options) {
  if (!options.worker.empty())
    return options.worker;
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "heddle-worker";
}

/// Where Open MPI's daemons put their files on other hosts. Named after our folder, so that no two groups share one.
std::string remoteFolder(const KeptFolder &folder, uint64_t epoch) {
  std::string name = folder.path().filename().string();
  return "/tmp/heddle-ranks" + name.substr(std::min(name.size(), name.find('-', name.find('-') + 1))) + "-e" +
         std::to_string(epoch);
}

std::vector<std::string> commandLine(const GroupOptions &options, uint64_t epoch, const SocketDirectory &directory) {
  std::string worker = workerPath(options).string();
  bool hosts = !options.hostfile.empty();
  std::vector<std::string> line = {worker, "--guard", std::to_string(getpid()), "--", options.mpirun};
  auto add = [&](std::initializer_list<std::string> words) { line.insert(line.end(), words); };
  add({"-np", std::to_string(options.ranks), "--oversubscribe", "--bind-to", "none"});
  if (hosts && !std::getenv("OMPI_MCA_orte_launch_agent")) // orte_remote_tmpdir_base would reach the ranks, which refuse it
    add({"--mca", "orte_launch_agent", "env TMPDIR=" + remoteFolder(directory.folder(), epoch) + " orted"});
  if (hosts)
    add({"--hostfile", std::filesystem::absolute(options.hostfile).string()});
  // ob1 starts in half the time. Ranks of one host gather in a window of their own (runtime/comm) and need messages only to make
  // it: TCP does for that, where vader would leave 4 MB a rank in /dev/shm whenever mpirun is killed.
  add({"--mca", "pml", "ob1", "--mca", "btl", "tcp,self"});
  add({"--mca", "odls_base_sigkill_timeout", "0"}); // else a dead rank is noticed after a second
  if (hosts)                                        // a host that is gone is noticed after seconds, not minutes
    add({"--mca", "oob_tcp_keepalive_time", "5", "--mca", "oob_tcp_keepalive_intvl", "2", "--mca", "oob_tcp_keepalive_probes",
         "3", "-x", std::string(kFolderMark)});
  else // a machine without network can serve; and windows of one host are all that there are
    add({"--mca", "oob_tcp_if_include", "lo", "--mca", "btl_tcp_if_include", "lo", "--mca", "osc", "sm"});
  add({worker, "--plan", std::filesystem::absolute(options.plan).string(), "--socket", directory.socket(), "--epoch",
       std::to_string(epoch)});
  add({"--threads", std::to_string(options.threads), "--context", std::to_string(options.context)});
  add({"--kv-memory", std::to_string(options.kvBytes), "--token-budget", std::to_string(options.tokenBudget)});
  if (!options.target.empty())
    add({"--target", options.target});
  if (hosts)
    add({"--kept", remoteFolder(directory.folder(), epoch)});
  return line;
}

SpawnOptions spawnOptions(const GroupOptions &options, uint64_t epoch, int output, const std::filesystem::path &session,
                          const KeptFolder &folder) {
  SpawnOptions how;
  how.output = output;
  how.ownGroup = true;
  how.dropLauncher = true; // we may ourselves be a rank of something
  how.set = {
      {"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}, {"TMPDIR", session.string()}, folder.mark()};
  if (!options.hostfile.empty())
    how.set.back().second += ":" + remoteFolder(folder, epoch); // both keepers know what is theirs
  if (options.hostfile.empty()) { // between hosts a user has to say how; on one host all is said in the command line
    how.dropMpiSettings = true;
    how.set.emplace_back("OMPI_MCA_mca_base_param_files", "none"); // ~/.openmpi/mca-params.conf and the system's
  }
  return how;
}

} // namespace

GroupProcess::GroupProcess(const GroupOptions &options, uint64_t epoch, const SocketDirectory &directory,
                           std::function<void()> exited)
    : directory_(directory), verbose_(options.verbose), exited_(std::move(exited)) {
  std::filesystem::path session = directory.makeSession(epoch);
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC) != 0)
    throw GroupError(std::string("cannot make a pipe for the workers' output: ") + std::strerror(errno));
  std::promise<std::string> started;
  std::future<std::string> problem = started.get_future();
  reader_ = std::thread([this, input = pipe[0]] { read(input); });
  life_ = std::thread([this, options, epoch, session, output = pipe[1], started = std::move(started)]() mutable {
    live(options, epoch, session, output, std::move(started));
  });
  std::string text = problem.get();
  if (text.empty())
    return;
  life_.join();
  reader_.join();
  throw GroupError(text);
}

GroupProcess::~GroupProcess() {
  kill();
  life_.join();
  reader_.join();
}

bool GroupProcess::running() const {
  std::lock_guard lock(mutex_);
  return pid_ != 0;
}

void GroupProcess::live(const GroupOptions &options, uint64_t epoch, const std::filesystem::path &session, int output,
                        std::promise<std::string> started) {
  pid_t pid = 0;
  std::string problem;
  try {
    pid = spawn(commandLine(options, epoch, directory_), spawnOptions(options, epoch, output, session, directory_.folder()));
  } catch (const std::system_error &error) {
    problem = "cannot start " + workerPath(options).string() + ": " + error.code().message() +
              "; build the target heddle-worker or name its path";
  }
  close(output); // the reader ends when the last process of the group has
  if (pid == 0)
    return started.set_value(problem);
  {
    std::lock_guard lock(mutex_);
    pid_ = pid;
  }
  started.set_value({});
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  {
    std::lock_guard lock(mutex_); // kill() must not meet a process id that was given away
    waitpid(pid, &status_, 0);
    pid_ = 0;
  }
  exited_();
}

void GroupProcess::kill(const std::vector<pid_t> &ranks) {
  // Ranks first, by id; mpirun may then leave in order and remove its session files, and is killed if it does not.
  std::vector<pid_t> all = ranks;
  auto deadline = std::chrono::steady_clock::now() + 300ms;
  for (int round = 0; round < 500; ++round) {
    std::vector<pid_t> left = processes();
    bool patience = std::chrono::steady_clock::now() < deadline;
    {
      std::lock_guard lock(mutex_);
      for (pid_t pid : left)
        if (pid != pid_ || !patience)
          ::kill(pid, SIGKILL);
      if (pid_ != 0)
        ::kill(pid_, SIGCONT); // a stopped mpirun would sit out its patience
      if (left.empty() && pid_ == 0)
        break;
    }
    all.insert(all.end(), left.begin(), left.end());
    std::this_thread::sleep_for(10ms);
  }
  // Orphans of a killed mpirun are ours when this process is a subreaper (Serve.cpp); once dead they show no mark.
  for (pid_t pid : all)
    for (int round = 0; round < 200 && waitpid(pid, nullptr, WNOHANG) == 0; ++round)
      std::this_thread::sleep_for(10ms);
  std::unique_lock lock(mutex_); // reason() needs the last words
  changed_.wait_for(lock, 500ms, [this] { return readAll_; });
}

std::vector<pid_t> GroupProcess::processes() const { return processesOf(directory_.folder().path().string()); }

void GroupProcess::read(int input) {
  std::string text;
  char buffer[4096];
  ssize_t n;
  while ((n = ::read(input, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
    if (n < 0)
      continue;
    text.append(buffer, static_cast<size_t>(n));
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
      keep(text.substr(0, end));
  }
  if (!text.empty())
    keep(text);
  close(input);
  std::lock_guard lock(mutex_);
  readAll_ = true;
  changed_.notify_all();
}

void GroupProcess::keep(const std::string &line) {
  if (verbose_)
    std::fprintf(stderr, "%s\n", line.c_str());
  constexpr std::string_view kWorker = "heddle-worker: ", kStopped = "heddle-keeper: stopped ";
  std::lock_guard lock(mutex_);
  if (line.starts_with(kStopped)) { // RANK PROCESS HOST, by a keeper of another host
    std::istringstream words(line.substr(kStopped.size()));
    GroupWatch::Rank rank{};
    if (words >> rank.rank >> rank.process >> rank.host)
      stopped_ = {rank, std::chrono::steady_clock::now()};
    return;
  }
  if (line.starts_with(kWorker)) {
    // The first is the cause, what follows are consequences; and a lost frontend (WorkerLink.cpp) is always one: we live.
    if (!workerError_ && !line.substr(kWorker.size()).starts_with("lost the frontend"))
      workerError_ = line.substr(kWorker.size());
  } else if (line.find("noticed that process") != std::string::npos) {
    death_ = line;
  } else if (line.find_first_not_of("- \t") != std::string::npos && lines_.size() < 20) {
    lines_.push_back(line);
  }
}

std::optional<GroupWatch::Rank> GroupProcess::stoppedElsewhere() const {
  std::lock_guard lock(mutex_);
  constexpr auto kFresh = 3s; // said every second as long as it is so
  if (!stopped_ || std::chrono::steady_clock::now() - stopped_->second > kFresh)
    return std::nullopt;
  return stopped_->first;
}

std::optional<std::string> GroupProcess::workerError() const {
  std::lock_guard lock(mutex_);
  return workerError_;
}

std::string GroupProcess::reason() const {
  std::lock_guard lock(mutex_);
  if (workerError_)
    return *workerError_;
  if (death_)
    return *death_;
  std::string text = WIFSIGNALED(status_) ? "mpirun was ended by signal " + std::to_string(WTERMSIG(status_))
                                          : "mpirun ended with status " + std::to_string(WEXITSTATUS(status_));
  // mpirun breaks its sentences over lines and leaves the names for the last of them.
  constexpr size_t kMost = 400;
  for (const std::string &line : lines_) {
    text += (&line == &lines_.front() ? ": " : " ") + line.substr(std::min(line.size(), line.find_first_not_of(' ')));
    if (text.size() > kMost)
      return text.substr(0, kMost) + " …; all of it with --verbose";
  }
  return text;
}

} // namespace heddle
