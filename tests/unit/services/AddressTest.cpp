//===- AddressTest.cpp - what is an address and what is none ---------------------------------------------------------===//
#include "services/address/Address.h"
#include "services/grpc/Listening.h"
#include <gtest/gtest.h>
#include <stdexcept>

using namespace heddle;

namespace {

std::string refusal(const std::string &text) {
  try {
    parseAddress(text);
  } catch (const std::invalid_argument &error) {
    return error.what();
  }
  return {};
}

TEST(Address, TheKindsThatServersAndClientsTake) {
  EXPECT_EQ(parseAddress("127.0.0.1:50051").text(), "127.0.0.1:50051");
  EXPECT_EQ(parseAddress("node-1.example_net.org:0").host, "node-1.example_net.org");
  EXPECT_EQ(parseAddress("[::1]:65535").host, "::1");
  EXPECT_EQ(parseAddress("[::1]:65535").text(), "[::1]:65535");
  EXPECT_EQ(parseAddress("[fe80::1%eth0]:1").host, "fe80::1%eth0");
  EXPECT_EQ(parseAddress("unix:/tmp/a b").text(), "unix:/tmp/a b");
  EXPECT_EQ(parseAddress("unix:///tmp/s").path, "/tmp/s");
  EXPECT_EQ(parseAddress("unix:s").path, "s");
  EXPECT_EQ(parseAddress("unix-abstract:heddle").kind, Address::Kind::Abstract);
  EXPECT_EQ(parseAddress("localhost:0080").port, 80) << "a number is decimal, whatever it begins with";
}

TEST(Address, GrpcGetsWhatItCanDial) {
  EXPECT_EQ(parseAddress("0:5").target(), "127.0.0.1:5");
  EXPECT_EQ(parseAddress("unix:/tmp/a b%?#é").target(), "unix:/tmp/a%20b%25%3F%23%C3%A9");
}

TEST(Address, WhatIsNoneIsRefusedInOneLine) {
  for (const std::string text : {"",
                                 ":",
                                 "127.0.0.1",
                                 "localhost:",
                                 "localhost:http",
                                 "localhost:65536",
                                 "localhost:99999999999999999999",
                                 "localhost:-1",
                                 "localhost:+1",
                                 "localhost: 1",
                                 ":50051",
                                 "::1:50051",
                                 "[::1]",
                                 "[::1:5",
                                 "[]:5",
                                 "[x]:5",
                                 "[::1%]:5",
                                 "a b:5",
                                 "é:5",
                                 "a/b:5",
                                 "unix:",
                                 "unix://relative",
                                 "unix-abstract:",
                                 "http://localhost:5",
                                 "a\nb:5",
                                 "unix:/tmp/a\nb"}) {
    std::string message = refusal(text);
    EXPECT_NE(message.find("is no address"), std::string::npos) << text;
    EXPECT_EQ(message.find('\n'), std::string::npos) << text;
  }
  EXPECT_NE(refusal("unix:/" + std::string(107, 'x')).find("at most 107 bytes, not 108"), std::string::npos);
  EXPECT_EQ(refusal("unix:/" + std::string(106, 'x')), "");
}

TEST(Address, AHostThatMeansAllInterfacesIsDialledByLoopback) {
  for (const char *text : {"0.0.0.0:7", "0:7", "[::]:7"}) {
    Listening listening = listeningOn(parseAddress(text));
    EXPECT_TRUE(listening.everywhere) << text;
    EXPECT_EQ(listening.dial.text(), "127.0.0.1:7") << text;
  }
  Listening one = listeningOn(parseAddress("127.0.0.1:7"));
  EXPECT_FALSE(one.everywhere);
  EXPECT_EQ(one.binds, std::vector<std::string>{"127.0.0.1:7"});
}

} // namespace
