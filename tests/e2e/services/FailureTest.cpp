//===- FailureTest.cpp - workers, launcher and frontend die, hang and drain -----------------------------------------===//
#include "runtime/comm/Host.h"
#include "runtime/host/ProcFs.h"
#include "tests/e2e/services/Client.h"
#include "tests/e2e/services/ServerProcess.h"
#include <algorithm>
#include <csignal>
#include <gtest/gtest.h>
#include <heddle/internal/engine_link.pb.h>
#include <thread>

using namespace heddle;
using namespace heddle::test;
using namespace std::chrono_literals;
using grpc::health::v1::HealthCheckResponse;

namespace {

const std::map<std::string, std::string> kSlow = {{"FAKE_STEP_MS", "20"}};

/// Follows health on a thread and notes each state and when it came.
class HealthWatch {
public:
  explicit HealthWatch(Client &client) : reader_(client.health->Watch(&context_, {})) {
    thread_ = std::thread([this] {
      for (HealthCheckResponse response; reader_->Read(&response);) {
        std::lock_guard lock(mutex_);
        states_.push_back({response.status(), std::chrono::steady_clock::now()});
      }
      reader_->Finish();
    });
  }
  ~HealthWatch() {
    context_.TryCancel();
    thread_.join();
  }
  size_t count() {
    std::lock_guard lock(mutex_);
    return states_.size();
  }
  std::pair<HealthCheckResponse::ServingStatus, std::chrono::steady_clock::time_point> at(size_t i) {
    std::lock_guard lock(mutex_);
    return states_.at(i);
  }

private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader_;
  std::mutex mutex_;
  std::vector<std::pair<HealthCheckResponse::ServingStatus, std::chrono::steady_clock::time_point>> states_;
  std::thread thread_;
};

/// Sends a signal to one process of a serving group and expects: the request of the moment gets UNAVAILABLE, health goes down and
/// comes back within `limit`, none of the old processes is left, and the next request is answered as ever.
void expectRecovery(const std::function<pid_t(ServerProcess &)> &victim, int signal, std::chrono::milliseconds limit,
                    const std::string &reason) {
  auto launch = std::chrono::steady_clock::now();
  ServerProcess server({"stopped_ms=2500"}, kSlow);
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  auto start = std::chrono::steady_clock::now() - launch; // 0.3 s; on a crowded machine many seconds, and a restart is no faster
  Client client(server.address());
  HealthWatch watch(client);
  ASSERT_TRUE(eventually([&] { return watch.count() == 1; }));
  ASSERT_EQ(watch.at(0).first, HealthCheckResponse::SERVING);
  std::vector<pid_t> before = server.group();
  ASSERT_EQ(before.size(), 3u) << "mpirun and two ranks";
  pid_t target = victim(server);
  ASSERT_NE(target, 0);

  std::chrono::steady_clock::time_point struck;
  Answer hit = client.generate(promptFor("a", 400), nullptr, [&] {
    struck = std::chrono::steady_clock::now();
    kill(target, signal);
  });
  EXPECT_EQ(hit.status.error_code(), grpc::StatusCode::UNAVAILABLE) << hit.status.error_message();
  EXPECT_NE(hit.status.error_message().find(reason), std::string::npos) << hit.status.error_message();

  ASSERT_TRUE(eventually([&] { return watch.count() == 3; }));
  EXPECT_EQ(watch.at(1).first, HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(watch.at(2).first, HealthCheckResponse::SERVING);
  EXPECT_LT(watch.at(2).second - struck, std::max<std::chrono::nanoseconds>(limit, limit - 1s + 2 * start));
  for (pid_t old : before)
    EXPECT_EQ(processState(old), 0) << "process " << old << " of the old group is left over";

  EXPECT_EQ(client.model().epoch(), 2u);
  EXPECT_EQ(client.generate(promptFor("a", 4)).text, "bcde");
  server.signal(SIGTERM);
  EXPECT_EQ(server.waitExit(), 0);
  EXPECT_TRUE(server.group().empty());
}

TEST(Failure, ARankIsKilled) {
  expectRecovery([](ServerProcess &server) { return server.rank(1); }, SIGKILL, 3s, "rank 1");
}

TEST(Failure, RankZeroIsKilled) {
  expectRecovery([](ServerProcess &server) { return server.rank(0); }, SIGKILL, 3s, "rank 0");
}

TEST(Failure, MpirunIsKilled) {
  expectRecovery([](ServerProcess &server) { return server.mpirun(); }, SIGKILL, 3s, "mpirun was ended by signal 9");
}

TEST(Failure, ARankIsStopped) {
  expectRecovery([](ServerProcess &server) { return server.rank(1); }, SIGSTOP, 7s, "rank 1");
}

TEST(Failure, RankZeroIsStopped) {
  expectRecovery([](ServerProcess &server) { return server.rank(0); }, SIGSTOP, 7s, "rank 0");
}

TEST(Failure, AStepThatNeverEndsIsGivenUp) {
  ServerProcess server({"stall_ms=2500"}, {{"FAKE_STEP_MS", "60000"}});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address());
  Answer answer = client.generate(promptFor("a", 4));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(answer.status.error_message().find("an engine step stood still for 2 s"), std::string::npos)
      << answer.status.error_message();
  EXPECT_TRUE(eventually([&] { return client.serving() && client.model().epoch() == 2; }));
}

TEST(Slow, AStepThatGetsOnMayTakeLong) {
  ServerProcess server({"stall_ms=2500"}, {{"FAKE_STEP_MS", "6000"}, {"FAKE_KERNELS", "12"}});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address());
  Answer answer = client.generate(promptFor("a", 1));
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(client.model().epoch(), 1u);
}

TEST(Slow, AModelThatComesInPiecesMayTakeLong) {
  ServerProcess server({"stall_ms=2500"}, {{"FAKE_LOAD_MS", "6000"}, {"FAKE_LOAD_PIECES", "12"}});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  EXPECT_EQ(Client(server.address()).model().epoch(), 1u);
}

TEST(Slow, ALoadThatStandsStillIsGivenUp) {
  ServerProcess server({"stall_ms=3500"}, {{"FAKE_LOAD_MS", "60000"}}); // several heartbeats, on a busy machine too
  EXPECT_EQ(server.waitServing(), "");
  EXPECT_EQ(server.waitExit(), 1);
  EXPECT_NE(server.notes().find("loading the model stood still for 3 s"), std::string::npos) << server.notes();
}

/// Stops the processes while an answer is on its way, wakes the first of them, then the others, and expects the answer whole and
/// the group the same.
void expectNothingLost(const std::function<std::vector<pid_t>(ServerProcess &)> &order, std::chrono::milliseconds asleep,
                       std::chrono::milliseconds between) {
  ServerProcess server({"stopped_ms=1500", "stall_ms=5000"}, kSlow);
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address());
  std::vector<pid_t> processes = order(server);
  Answer answer = client.generate(promptFor("a", 150), nullptr, [&] {
    for (pid_t process : processes)
      kill(process, SIGSTOP);
    std::this_thread::sleep_for(asleep);
    for (size_t i = 0; i < processes.size(); ++i) {
      kill(processes[i], SIGCONT);
      if (i == 0)
        std::this_thread::sleep_for(between);
    }
  });
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.tokens.size(), 150u);
  EXPECT_EQ(client.model().epoch(), 1u) << server.notes();
}

TEST(Suspended, EverythingAndTheFrontendWokenFirst) {
  expectNothingLost(
      [](ServerProcess &server) {
        std::vector<pid_t> all = server.group();
        all.insert(all.begin(), server.pid());
        return all;
      },
      8s, 3s);
}

TEST(Suspended, EverythingAndTheWorkersWokenFirst) {
  expectNothingLost(
      [](ServerProcess &server) {
        std::vector<pid_t> all = server.group();
        std::swap(all.front(), *std::find(all.begin(), all.end(), server.rank(0)));
        all.push_back(server.pid());
        return all;
      },
      8s, 1s);
}

TEST(Suspended, TheFrontendAlone) { // longer than any worker waits for a sign of life
  expectNothingLost([](ServerProcess &server) { return std::vector<pid_t>{server.pid()}; }, 12s, 0s);
}

TEST(Failure, ManyKillsInARowAreSurvived) {
  ServerProcess server;
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address());
  for (uint64_t epoch = 2; epoch <= 5; ++epoch) {
    kill(server.rank(static_cast<int>(epoch % 2)), SIGKILL);
    ASSERT_TRUE(eventually([&] { return client.model().epoch() == epoch && client.serving(); })) << "epoch " << epoch;
    ASSERT_EQ(client.generate(promptFor("a", 2)).text, "bc");
  }
}

TEST(Failure, TheFrontendIsKilled) {
  ServerProcess server({}, kSlow);
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  std::vector<pid_t> group = server.group();
  ASSERT_EQ(group.size(), 3u);
  server.signal(SIGKILL);
  EXPECT_EQ(server.waitExit(), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] {
    for (pid_t pid : group)
      if (processRuns(pid))
        return false;
    return true;
  }));
}

TEST(Failure, SigtermLetsRequestsEndAndTakesNoNewOnes) {
  ServerProcess server({}, kSlow);
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address());
  std::string directory = server.linkDirectory();
  ASSERT_FALSE(directory.empty());
  grpc::Status late;
  bool serving = true;
  Answer answer = client.generate(promptFor("a", 60), nullptr, [&] {
    server.signal(SIGTERM);
    eventually([&] { return client.model().state() == v1::GROUP_STATE_DRAINING; });
    serving = client.serving();
    late = client.generate(promptFor("b", 2)).status;
  });
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.tokens.size(), 60u);
  EXPECT_FALSE(serving);
  EXPECT_EQ(late.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(late.error_message(), "the server is stopping");
  EXPECT_EQ(server.waitExit(), 0);
  EXPECT_TRUE(server.group().empty());
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST(Failure, AfterTheGraceOrASecondSignalRequestsAreCutOff) {
  for (bool twice : {false, true}) {
    ServerProcess server({twice ? "grace_ms=60000" : "grace_ms=500"}, kSlow);
    ASSERT_FALSE(server.waitServing().empty()) << server.notes();
    Client client(server.address());
    Answer answer = client.generate(promptFor("a", 500), nullptr, [&] {
      server.signal(SIGTERM);
      if (!twice)
        return;
      eventually([&] { return client.model().state() == v1::GROUP_STATE_DRAINING; });
      std::this_thread::sleep_for(100ms);
      server.signal(SIGINT);
    });
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_LT(answer.tokens.size(), 500u);
    EXPECT_EQ(server.waitExit(), 0);
    EXPECT_TRUE(server.group().empty());
  }
}

TEST(Requests, ADeadlineEndsARequestAndFreesIt) {
  ServerProcess server({"ranks=1", "queue=1"}, kSlow);
  ASSERT_EQ(server.waitServing(), "serving tiny on " + server.address() + " with 1 rank");
  Client client(server.address());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 300ms);
  Answer answer = client.generate(promptFor("a", 500), &context);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_GT(answer.tokens.size(), 0u);

  grpc::ClientContext leaving;
  answer = client.generate(promptFor("a", 500), &leaving, [&] { leaving.TryCancel(); });
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::CANCELLED);
  // 500 tokens would take 10 s; a drain that finds nothing to wait for shows that both are gone.
  auto start = std::chrono::steady_clock::now();
  server.signal(SIGTERM);
  EXPECT_EQ(server.waitExit(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 8s);
}

TEST(Requests, AFullQueueSaysWhenToComeBack) {
  ServerProcess server({"ranks=1", "queue=2"}, {{"FAKE_STEP_MS", "500"}});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address());
  std::vector<Answer> answers(8);
  std::vector<std::thread> threads;
  for (Answer &answer : answers)
    threads.emplace_back([&] { answer = client.generate(promptFor("a", 2)); });
  for (std::thread &thread : threads)
    thread.join();
  size_t good = 0, full = 0;
  for (const Answer &answer : answers) {
    good += answer.status.ok();
    if (answer.status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED)
      continue;
    ++full;
    EXPECT_EQ(answer.status.error_message(), "the queue is full, 2 requests wait; retry in 1 s");
    internal::StatusWire details;
    ASSERT_TRUE(details.ParseFromString(answer.status.error_details()));
    ASSERT_EQ(details.details_size(), 1);
    EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.RetryInfo");
    internal::RetryInfoWire retry;
    ASSERT_TRUE(retry.ParseFromString(details.details(0).value()));
    EXPECT_EQ(retry.retry_delay().seconds(), 1);
  }
  EXPECT_GE(good, 2u);
  EXPECT_GE(full, 1u);
  EXPECT_EQ(good + full, answers.size());
}

TEST(Start, ProblemsAreOneLineAndStatus1) {
  auto expectFailure = [](ServerProcess &server, const std::string &part) {
    EXPECT_EQ(server.waitServing(), "");
    EXPECT_EQ(server.waitExit(), 1);
    std::string notes = server.notes();
    EXPECT_EQ(std::count(notes.begin(), notes.end(), '\n'), 1) << notes;
    EXPECT_NE(notes.find(part), std::string::npos) << notes;
    EXPECT_TRUE(server.group().empty());
  };
  {
    ServerProcess server({"ranks=0"});
    expectFailure(server, "heddle: --ranks must be from 1 to 1024, not 0");
  }
  {
    ServerProcess server({"worker=/nonexistent/heddle-worker"});
    expectFailure(server, "heddle: cannot start /nonexistent/heddle-worker: No such file or directory");
  }
  {
    ServerProcess server({"mpirun=/nonexistent/mpirun"});
    expectFailure(server, "cannot run /nonexistent/mpirun: No such file or directory");
  }
  {
    ServerProcess server({"plan=/nonexistent/plan"});
    expectFailure(server, "heddle: rank 0 on host " + hostName() + ": /nonexistent/plan/key: is no plan");
  }
  {
    ServerProcess first;
    ASSERT_FALSE(first.waitServing().empty());
    ServerProcess second({"grpc=" + first.address()});
    expectFailure(second, "heddle: cannot listen on " + first.address());
  }
}

TEST(Start, ARankWithAnotherPlanIsNamed) {
  ServerProcess server({"ranks=3"});
  server.plan().write("key.2", "another-plan-key");
  if (server.waitServing().empty()) { // the file came before rank 2 looked
    EXPECT_EQ(server.waitExit(), 1);
  } else {
    kill(server.rank(1), SIGKILL); // it came too late: the next epoch finds it
    ASSERT_TRUE(eventually([&] { return server.notes().find("another plan") != std::string::npos; }));
  }
  EXPECT_NE(server.notes().find("rank 2 on host " + hostName() + " has another plan in " + server.plan().path().string() +
                                " (key another-plan, rank 0 has tiny-plan-ke); copy the plan from host " + hostName()),
            std::string::npos)
      << server.notes();
}

} // namespace
