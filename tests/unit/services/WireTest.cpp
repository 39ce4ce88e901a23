//===- WireTest.cpp - broken requests are refused by the name of the field ------------------------------------------===//
#include "services/grpc/Wire.h"
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>
#include <heddle/v1/inference.pb.h>

using namespace heddle;

namespace {

grpc::Status parseBytes(const std::string &bytes, google::protobuf::Message &message) {
  grpc::Slice slice(bytes);
  return parse(grpc::ByteBuffer(&slice, 1), message);
}

/// The message's bytes with "BROKEN" turned into bytes that are no UTF-8.
std::string damaged(const google::protobuf::Message &message, const std::string &with = "ab\xC0\x80zz") {
  std::string bytes = message.SerializeAsString();
  size_t at = bytes.find("BROKEN");
  return bytes.replace(at, 6, with);
}

TEST(Wire, ReadsAGoodRequest) {
  v1::GenerateRequest sent, got;
  sent.set_prompt("Grüße, 世界 🌍");
  EXPECT_TRUE(parse(serialize(sent), got).ok());
  EXPECT_EQ(got.prompt(), sent.prompt());
}

TEST(Wire, BrokenTextNamesItsField) {
  v1::GenerateRequest request, got;
  request.set_prompt("BROKEN");
  grpc::Status status = parseBytes(damaged(request), got);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "prompt must be UTF-8; byte 2 is not");

  request.mutable_chat()->add_messages()->set_content("fine");
  request.mutable_chat()->add_messages()->set_content("BROKEN");
  EXPECT_EQ(parseBytes(damaged(request), got).error_message(), "chat.messages[1].content must be UTF-8; byte 2 is not");

  request.set_prompt("fine");
  request.mutable_sampling()->add_stop("BROKEN");
  EXPECT_EQ(parseBytes(damaged(request), got).error_message(), "sampling.stop[0] must be UTF-8; byte 2 is not");
}

TEST(Wire, EveryKindOfBrokenTextIsFound) {
  v1::GenerateRequest request, got;
  request.set_prompt("BROKEN");
  for (const char *text : {"\x80zzzzz", "\xC3zzzzz", "\xE0\x80\x80zzz", "\xED\xA0\x80zzz", "\xF0\x80\x80\x80zz",
                           "\xF4\x90\x80\x80zz", "\xF8\x88\x80\x80\x80z", "\xE2\x82zzzz"}) {
    SCOPED_TRACE(testing::PrintToString(text));
    EXPECT_EQ(parseBytes(damaged(request, text), got).error_message(), "prompt must be UTF-8; byte 0 is not");
  }
  EXPECT_EQ(parseBytes(damaged(request, "zzzzz\xC3"), got).error_message(), "prompt must be UTF-8; byte 5 is not");
}

TEST(Wire, WhatIsNoMessageAtAllIsRefused) {
  v1::GenerateRequest got;
  grpc::Status status = parseBytes("\xFF\xFF\xFF", got);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "the request is no heddle.v1.GenerateRequest; does the client use this server's .proto?");
}

} // namespace
