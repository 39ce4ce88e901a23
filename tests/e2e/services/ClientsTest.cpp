//===- ClientsTest.cpp - clients that ping, vanish, or send more than anybody should ----------------------------------===//
#include "tests/e2e/services/Client.h"
#include "tests/e2e/services/ServerProcess.h"
#include "tests/unit/services/TinyModel.h"
#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace heddle;
using namespace heddle::test;
using namespace std::chrono_literals;

namespace {

/// Pings often, also without data and without calls.
grpc::ChannelArguments pinging(std::chrono::milliseconds every) {
  grpc::ChannelArguments arguments;
  int time = static_cast<int>(every.count());
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, time);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MIN_SENT_PING_INTERVAL_WITHOUT_DATA_MS, time);
  return arguments;
}

TEST(Clients, MayPingAsOftenAsTheyLikeThroughASilentCall) {
  ServerProcess server({"ranks=1"}, {{"FAKE_STEP_MS", "7000"}});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address(),
                pinging(200ms)); // gRPC sends one a second all the same; left alone it forgives two in five minutes
  for (const char *prompt : {"a", "x"}) {
    Answer answer = client.generate(promptFor(prompt, 1));
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.tokens.size(), 1u);
    std::this_thread::sleep_for(6s); // and between calls
    EXPECT_EQ(client.channel->GetState(false), GRPC_CHANNEL_READY);
  }
}

/// A TCP connection to a server that can be made to lose all that the client sends: a host that vanished.
class LosingWire {
public:
  explicit LosingWire(int port) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in here = loopback(0);
    socklen_t size = sizeof here;
    bind(listener_, reinterpret_cast<sockaddr *>(&here), size);
    listen(listener_, 1);
    getsockname(listener_, reinterpret_cast<sockaddr *>(&here), &size);
    address_ = "127.0.0.1:" + std::to_string(ntohs(here.sin_port));
    thread_ = std::thread([this, port] { run(port); });
  }
  ~LosingWire() {
    stop_ = true;
    thread_.join();
    close(listener_);
  }
  const std::string &address() const { return address_; }
  void lose() { losing_ = true; }

private:
  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  void run(int port) {
    int client = accept(listener_, nullptr, nullptr), server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in there = loopback(port);
    if (connect(server, reinterpret_cast<sockaddr *>(&there), sizeof there) != 0)
      return;
    char buffer[4096];
    pollfd both[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    while (!stop_) {
      poll(both, 2, 50);
      for (int from : {0, 1}) {
        if (!(both[from].revents & (POLLIN | POLLHUP)))
          continue;
        ssize_t got = read(both[from].fd, buffer, sizeof buffer);
        if (got <= 0)
          both[from].fd = -1; // closed: the other side hears nothing of it
        else if (!losing_)
          (void)!write(both[1 - from].fd, buffer, static_cast<size_t>(got));
      }
    }
    close(client);
    close(server);
  }

  int listener_;
  std::string address_;
  std::atomic<bool> losing_ = false, stop_ = false;
  std::thread thread_;
};

TEST(Clients, OneThatVanishedHoldsItsRequestNoLonger) {
  ServerProcess server({"ranks=1", "keepalive_ms=1000"}, {{"FAKE_STEP_MS", "100"}});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  LosingWire wire(server.port());
  grpc::ClientContext context;
  std::thread lost([&] {
    Client client(wire.address());
    client.generate(promptFor("a", 500), &context, [&] { wire.lose(); });
  });
  std::this_thread::sleep_for(4s);
  // 500 tokens take 50 s; a drain that finds nothing to wait for shows that the request is gone.
  auto start = std::chrono::steady_clock::now();
  server.signal(SIGTERM);
  EXPECT_EQ(server.waitExit(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
  EXPECT_NE(server.notes().find("stopping: 0 requests"), std::string::npos) << server.notes();
  context.TryCancel();
  lost.join();
}

TEST(Clients, LargeTextsHoldUpNobodyElse) {
  ServerProcess server({"ranks=1", "heartbeat_ms=2500"}, {{"FAKE_STEP_MS", "20"}});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address());
  std::string spaces(4000000, ' '), megabyte(1 << 20, 'a');
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  std::atomic<int> refused = 0, tokenized = 0, busy = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      Client other(server.address());
      Answer answer = other.generate(promptFor(spaces, 5));
      refused += answer.status.error_code() == grpc::StatusCode::INVALID_ARGUMENT;
    });
    threads.emplace_back([&] {
      Client other(server.address());
      v1::TokenizeRequest request;
      request.set_text(megabyte);
      request.set_ids_only(true);
      v1::TokenizeResponse response;
      for (int k = 0; k < 3; ++k) {
        grpc::ClientContext context;
        grpc::Status status = other.stub->Tokenize(&context, request, &response);
        tokenized += status.ok() && response.ids_size() == 1 << 20;
        busy += status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
      }
    });
  }
  std::chrono::steady_clock::duration worst{};
  std::thread health([&] {
    Client other(server.address());
    while (!over) {
      auto start = std::chrono::steady_clock::now();
      EXPECT_TRUE(other.serving());
      worst = std::max(worst, std::chrono::steady_clock::now() - start);
      std::this_thread::sleep_for(20ms);
    }
  });
  Answer stream = client.generate(promptFor("a", 100));
  for (std::thread &thread : threads)
    thread.join();
  over = true;
  health.join();
  EXPECT_TRUE(stream.status.ok()) << stream.status.error_message();
  EXPECT_EQ(stream.tokens.size(), 100u);
  EXPECT_EQ(refused, 8);
  EXPECT_EQ(tokenized + busy, 24);
  EXPECT_GT(tokenized, 0);
  EXPECT_LT(worst, 1s) << std::chrono::duration<double>(worst).count() << " s for a health check";
  EXPECT_EQ(client.model().epoch(), 1u);
}

TEST(Clients, SixteenCallsOfFourMegabytesAtOnceAreAnsweredAndEndNobodysStream) {
  ServerProcess server({"ranks=1", "heartbeat_ms=2500"}, {{"FAKE_STEP_MS", "20"}});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  Client client(server.address());
  std::string text;
  while (text.size() < 4000000)
    text += "😀";
  std::vector<std::thread> threads;
  std::atomic<int> refused = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      refused += Client(server.address()).generate(promptFor(text, 5)).status.error_code() == grpc::StatusCode::INVALID_ARGUMENT;
    });
    threads.emplace_back([&] {
      v1::TokenizeRequest request;
      request.set_text(text);
      v1::TokenizeResponse response;
      grpc::ClientContext context;
      Client other(server.address());
      refused += other.stub->Tokenize(&context, request, &response).error_code() == grpc::StatusCode::INVALID_ARGUMENT;
    });
  }
  Answer stream = client.generate(promptFor("a", 100));
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_TRUE(stream.status.ok()) << stream.status.error_message();
  EXPECT_EQ(stream.tokens.size(), 100u);
  EXPECT_EQ(refused, 16);
  EXPECT_TRUE(client.serving());
  EXPECT_EQ(client.model().epoch(), 1u);
}

TEST(Clients, StoppingDoesNotWaitForTextsInTheQueue) {
  ServerProcess server({"ranks=1"});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  std::string megabyte(1 << 20, 'a');
  for (int i = 0; i < 24; ++i)
    threads.emplace_back([&] {
      Client other(server.address());
      v1::TokenizeRequest request;
      request.set_text(megabyte);
      v1::TokenizeResponse response;
      grpc::ClientContext context;
      other.stub->Tokenize(&context, request, &response);
      ++answered;
    });
  std::this_thread::sleep_for(300ms);
  server.signal(SIGTERM);
  EXPECT_EQ(server.waitExit(20s), 0);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(answered, 24);
}

TEST(Clients, AnyTokenBudgetGivesTheSameAnswer) {
  for (const char *budget : {"budget=1", "budget=7", "budget=65536"}) {
    ServerProcess server({budget});
    ASSERT_FALSE(server.waitServing().empty()) << server.notes();
    Answer answer = Client(server.address()).generate(promptFor("hello reader", 6));
    EXPECT_EQ(answer.text, "stuvwx") << budget;
  }
  ServerProcess server({"budget=65537"});
  EXPECT_EQ(server.waitServing(), "");
  EXPECT_EQ(server.waitExit(), 1);
  EXPECT_EQ(server.notes(), "heddle: --token-budget must be from 0 to 65536, not 65537\n");
}

TEST(Clients, FurtherNamesAreServedToo) {
  ServerProcess server({"ranks=1", "alias=small"});
  EXPECT_EQ(server.waitServing(), "serving tiny on " + server.address() + " with 1 rank");
  Client client(server.address());
  EXPECT_EQ(client.model().name(), "tiny");
  ASSERT_EQ(client.model().other_names_size(), 1);
  EXPECT_EQ(client.model().other_names(0), "small");
  EXPECT_EQ(client.check("small"), grpc::health::v1::HealthCheckResponse::SERVING);
  v1::GenerateRequest request = promptFor("a", 1);
  request.set_model("small");
  EXPECT_EQ(client.generate(request).text, "b");
}

TEST(Clients, TheLogSaysAsMuchAsItIsAskedFor) {
  auto notesWith = [](const std::string &level) {
    ServerProcess server({"ranks=1", "log=" + level});
    EXPECT_FALSE(server.waitServing().empty());
    Client(server.address()).generate(promptFor("ab", 3));
    server.signal(SIGTERM);
    EXPECT_EQ(server.waitExit(), 0);
    std::string ours; // a sanitizer's symbolizer may have said something too
    std::istringstream lines(server.notes());
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("heddle"))
        ours += line + "\n";
    return ours;
  };
  EXPECT_EQ(notesWith("warning"), "");
  std::string info = notesWith("info"), debug = notesWith("debug");
  EXPECT_NE(info.find("the KV cache holds"), std::string::npos) << info;
  EXPECT_EQ(info.find("request 1"), std::string::npos) << info;
  EXPECT_NE(debug.find("heddle: request 1: prompt of 2 tokens\n"), std::string::npos) << debug;
  EXPECT_NE(debug.find("heddle: request 1 ended\n"), std::string::npos) << debug;
}

} // namespace
