//===- ServerProcess.h - a frontend in a process of its own, for tests ----------------------------------------------===//
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace heddle::test {

/// A directory that looks like a plan to the fake worker; removed at the end.
class FakePlan {
public:
  FakePlan();
  ~FakePlan();
  void write(const std::string &name, const std::string &text) const;
  const std::filesystem::path &path() const { return path_; }

private:
  std::filesystem::path path_;
};

/// Runs fake_serve. The destructor kills it and everything of its group, and fails the test when something was left.
class ServerProcess {
public:
  /// `options`: fake_serve's; `environment`: added to ours.
  explicit ServerProcess(const std::vector<std::string> &options = {},
                         const std::map<std::string, std::string> &environment = {});
  ~ServerProcess();

  /// Waits for the line that says it serves; empty when it ended instead.
  std::string waitServing();
  const std::string &address() const { return address_; }
  const FakePlan &plan() const { return plan_; }
  int port() const { return std::stoi(address_.substr(address_.rfind(':') + 1)); }
  pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// Exit status, or 128 + signal; -1 when it does not end in time.
  int waitExit(std::chrono::seconds limit = std::chrono::seconds(60));
  /// What it wrote to stderr so far.
  std::string notes() const;

  /// Processes of its group: mpirun and ranks.
  std::vector<pid_t> group() const;
  pid_t rank(int number) const; // 0 when there is none
  pid_t mpirun() const;
  std::string linkDirectory() const; // empty when there is none

private:
  FakePlan plan_;
  pid_t pid_ = 0;
  int output_ = -1, status_ = -1;
  bool ended_ = false;
  std::string address_;
  std::filesystem::path notes_;
};

/// Asks `condition` until it holds or the limit has passed.
template <typename Condition> bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    timespec pause{0, 10'000'000};
    nanosleep(&pause, nullptr);
  }
  return true;
}

} // namespace heddle::test
