//===- AddressTest.cpp - where a server can listen, and what it says --------------------------------------------------===//
#include "tests/e2e/services/Client.h"
#include "tests/e2e/services/ServerProcess.h"
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

using namespace heddle::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

bool answers(const std::string &address) { return Client(address).generate(promptFor("a", 2)).text == "bc"; }

class UnixAddress : public testing::Test {
protected:
  UnixAddress() {
    std::string name = (fs::temp_directory_path() / "heddle-socket-XXXXXX").string();
    folder = mkdtemp(name.data());
  }
  ~UnixAddress() override { fs::remove_all(folder); }
  fs::path folder;
};

TEST_F(UnixAddress, IsServedAndGoneAtTheEnd) {
  fs::path socket = folder / "s";
  ServerProcess server({"ranks=1", "grpc=unix:" + socket.string()});
  EXPECT_EQ(server.waitServing(), "serving tiny on unix:" + socket.string() + " with 1 rank") << server.notes();
  EXPECT_TRUE(answers(server.address()));
  server.signal(SIGTERM);
  EXPECT_EQ(server.waitExit(), 0);
  EXPECT_FALSE(fs::exists(socket));
}

TEST_F(UnixAddress, OfALiveServerIsRefusedAndOfADeadOneTaken) {
  std::string address = "unix:" + (folder / "s").string();
  {
    ServerProcess first({"ranks=1", "grpc=" + address});
    ASSERT_FALSE(first.waitServing().empty()) << first.notes();
    ServerProcess second({"ranks=1", "grpc=" + address});
    EXPECT_EQ(second.waitServing(), "");
    EXPECT_EQ(second.waitExit(), 1);
    EXPECT_EQ(second.notes(), "heddle: cannot listen on " + address + ": another server is there; choose another with --grpc\n");
    EXPECT_TRUE(answers(address)) << "the first one still serves";
    first.signal(SIGKILL);
    first.waitExit();
  }
  ASSERT_TRUE(fs::exists(folder / "s")) << "a killed server leaves its socket";
  ServerProcess third({"ranks=1", "grpc=" + address});
  ASSERT_FALSE(third.waitServing().empty()) << third.notes();
  EXPECT_TRUE(answers(address));
}

TEST_F(UnixAddress, AFileThatIsNoSocketStays) {
  fs::path file = folder / "letter.txt";
  std::ofstream(file) << "keep me";
  ServerProcess server({"ranks=1", "grpc=unix:" + file.string()});
  EXPECT_EQ(server.waitServing(), "");
  EXPECT_EQ(server.waitExit(), 1);
  EXPECT_EQ(server.notes(),
            "heddle: cannot listen on unix:" + file.string() + ": there is a file that is no socket; choose another path\n");
  EXPECT_EQ(fs::file_size(file), 7u);
  ServerProcess nowhere({"ranks=1", "grpc=unix:" + (folder / "absent" / "s").string()});
  EXPECT_EQ(nowhere.waitExit(), 1);
  EXPECT_NE(nowhere.notes().find("absent is no folder"), std::string::npos) << nowhere.notes();
}

TEST(Listening, WhatCannotBeBoundIsSaidWithItsReason) {
  ServerProcess proc({"ranks=1", "grpc=unix:/proc/heddle"});
  EXPECT_EQ(proc.waitExit(), 1);
  EXPECT_EQ(proc.notes(),
            "heddle: cannot listen on unix:/proc/heddle: no socket can be made in /proc: No such file or directory; "
            "choose another address with --grpc\n");
  std::string name = "unix-abstract:heddle-test-" + std::to_string(getpid());
  ServerProcess first({"ranks=1", "grpc=" + name});
  ASSERT_FALSE(first.waitServing().empty()) << first.notes();
  ServerProcess second({"ranks=1", "grpc=" + name});
  EXPECT_EQ(second.waitExit(), 1);
  EXPECT_EQ(second.notes(),
            "heddle: cannot listen on " + name + ": another server is there; choose another address with --grpc\n");
}

TEST(Listening, OnAllInterfacesItSaysAnAddressThatCanBeDialled) {
  for (const char *host : {"0.0.0.0", "0", "[::]"}) {
    ServerProcess server({"ranks=1", "grpc=" + std::string(host) + ":0"});
    ASSERT_FALSE(server.waitServing().empty()) << host << ": " << server.notes();
    EXPECT_EQ(server.address(), "127.0.0.1:" + std::to_string(server.port())) << host;
    EXPECT_TRUE(answers(server.address())) << host;
    EXPECT_NE(server.notes().find("listening on all interfaces"), std::string::npos) << server.notes();
  }
}

TEST(Listening, OnLocalhostBothOfItsAddressesAnswer) {
  ServerProcess server({"ranks=1", "grpc=localhost:0"});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  std::string port = std::to_string(server.port());
  EXPECT_EQ(server.address(), "localhost:" + port);
  EXPECT_TRUE(answers("localhost:" + port));
  EXPECT_TRUE(answers("127.0.0.1:" + port));
  if (std::ifstream("/proc/net/if_inet6").peek() != EOF)
    EXPECT_TRUE(answers("[::1]:" + port));
}

TEST(Listening, OnIpv6) {
  if (std::ifstream("/proc/net/if_inet6").peek() == EOF)
    GTEST_SKIP() << "no IPv6 here";
  ServerProcess server({"ranks=1", "grpc=[::1]:0"});
  ASSERT_FALSE(server.waitServing().empty()) << server.notes();
  EXPECT_EQ(server.address(), "[::1]:" + std::to_string(server.port()));
  EXPECT_TRUE(answers(server.address()));
}

} // namespace
