//===- ServerProcess.cpp -------------------------------------------------------------------------------------------===//
#include "tests/e2e/services/ServerProcess.h"
#include "runtime/host/KeptFolder.h"
#include "runtime/host/ProcFs.h"
#include "tests/unit/services/TinyModel.h"
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace heddle::test {
namespace {

namespace fs = std::filesystem;

fs::path binary(const char *name) { return fs::read_symlink("/proc/self/exe").parent_path() / name; }

std::string readAll(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<char *> pointers(std::vector<std::string> &words) {
  std::vector<char *> out;
  for (std::string &word : words)
    out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

} // namespace

FakePlan::FakePlan() {
  std::string name = (fs::temp_directory_path() / "heddle-fake-plan-XXXXXX").string();
  if (!mkdtemp(name.data()))
    throw std::runtime_error("cannot make " + name);
  path_ = name;
  write("key", "tiny-plan-key");
  write("tokenizer.json", tinyTokenizer());
}

FakePlan::~FakePlan() { fs::remove_all(path_); }

void FakePlan::write(const std::string &name, const std::string &text) const { std::ofstream(path_ / name) << text; }

ServerProcess::ServerProcess(const std::vector<std::string> &options, const std::map<std::string, std::string> &environment)
    : notes_(plan_.path() / "stderr") {
  std::vector<std::string> words = {binary("fake_serve"), "plan=" + plan_.path().string(),
                                    "worker=" + binary("heddle-fake-worker").string()};
  words.insert(words.end(), options.begin(), options.end());
  std::vector<std::string> variables;
  for (char **entry = environ; *entry; ++entry)
    variables.emplace_back(*entry);
  for (const auto &[name, value] : environment)
    variables.push_back(name + "=" + value);
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC) != 0)
    throw std::runtime_error("pipe2");
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, pipe[1], 1);
  posix_spawn_file_actions_addopen(&files, 2, notes_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  int error = posix_spawn(&pid_, words[0].c_str(), &files, nullptr, pointers(words).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&files);
  close(pipe[1]);
  output_ = pipe[0];
  if (error)
    throw std::runtime_error("cannot start " + words[0] + ": " + std::strerror(error));
}

ServerProcess::~ServerProcess() {
  if (!ended_) {
    signal(SIGKILL);
    waitExit();
  }
  EXPECT_TRUE(eventually([this] { return group().empty(); })) << "processes of the group are left over";
  for (pid_t left : group())
    kill(left, SIGKILL);
  EXPECT_TRUE(eventually([this] { return linkDirectory().empty(); })) << linkDirectory() << " is left over";
  close(output_);
  if (testing::Test::HasFailure())
    std::fprintf(stderr, "--- stderr of the server ---\n%s----------------------------\n", notes().c_str());
}

std::string ServerProcess::waitServing() {
  std::string line;
  char letter;
  for (;;) {
    pollfd ready{output_, POLLIN, 0};
    if (poll(&ready, 1, 60'000) <= 0 || read(output_, &letter, 1) <= 0)
      return {};
    if (letter == '\n')
      break;
    line += letter;
  }
  size_t on = line.find(" on "), with = line.find(" with ");
  if (on == std::string::npos || with == std::string::npos)
    return {};
  address_ = line.substr(on + 4, with - on - 4);
  return line;
}

void ServerProcess::signal(int number) const { kill(pid_, number); }

int ServerProcess::waitExit(std::chrono::seconds limit) {
  if (!ended_)
    ended_ = eventually([this] { return waitpid(pid_, &status_, WNOHANG) == pid_; }, limit);
  if (!ended_)
    return -1;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

std::string ServerProcess::notes() const { return readAll(notes_); }

std::vector<pid_t> ServerProcess::group() const { return processesOf("heddle-link-" + std::to_string(pid_) + "-"); }

pid_t ServerProcess::rank(int number) const {
  std::string wanted = "OMPI_COMM_WORLD_RANK=" + std::to_string(number) + '\0';
  for (pid_t pid : group())
    if (('\0' + readAll("/proc/" + std::to_string(pid) + "/environ")).find('\0' + wanted) != std::string::npos)
      return pid;
  return 0;
}

pid_t ServerProcess::mpirun() const {
  for (pid_t pid : group())
    if (readAll("/proc/" + std::to_string(pid) + "/cmdline").starts_with("mpirun"))
      return pid;
  return 0;
}

std::string ServerProcess::linkDirectory() const {
  std::error_code ignored;
  for (const fs::path &base : temporaryBases())
    for (fs::directory_iterator entry(base, ignored), end; entry != end; entry.increment(ignored))
      if (entry->path().filename().string().starts_with("heddle-link-" + std::to_string(pid_) + "-"))
        return entry->path();
  return {};
}

} // namespace heddle::test
