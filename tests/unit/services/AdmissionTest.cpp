//===- AdmissionTest.cpp - what the API takes and how it refuses ----------------------------------------------------===//
#include "services/frontend/Admission.h"
#include "tests/unit/services/TinyModel.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

class AdmissionTest : public testing::Test {
protected:
  Request taken(const v1::GenerateRequest &request) {
    auto result = admission.admit(request);
    if (auto *status = std::get_if<grpc::Status>(&result))
      throw std::runtime_error("refused: " + status->error_message());
    return std::get<Request>(result);
  }
  grpc::Status refused(const v1::GenerateRequest &request) {
    auto result = admission.admit(request);
    return std::holds_alternative<Request>(result) ? grpc::Status::OK : std::get<grpc::Status>(result);
  }
  void expectInvalid(const v1::GenerateRequest &request, const std::string &message) {
    grpc::Status status = refused(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), message);
  }
  static v1::GenerateRequest prompt(const std::string &text) {
    v1::GenerateRequest request;
    request.set_prompt(text);
    return request;
  }

  ServedModel model = tinyModel();
  Admission admission{model, 16};
};

TEST_F(AdmissionTest, UnsetSamplingFieldsHaveTheEnginesDefaults) {
  Request request = taken(prompt("ab"));
  SamplingParams defaults;
  EXPECT_EQ(request.prompt, (std::vector<int32_t>{idOf('a'), idOf('b')}));
  EXPECT_EQ(request.sampling.maxTokens, defaults.maxTokens);
  EXPECT_EQ(request.sampling.temperature, defaults.temperature);
  EXPECT_EQ(request.sampling.topP, defaults.topP);
  EXPECT_EQ(request.sampling.repeatPenalty, defaults.repeatPenalty);
  EXPECT_FALSE(request.sampling.ignoreEnd);
}

TEST_F(AdmissionTest, SetFieldsArriveAlsoWhenTheyAreZero) {
  v1::GenerateRequest request = prompt("ab");
  v1::Sampling &sampling = *request.mutable_sampling();
  sampling.set_max_tokens(7);
  sampling.set_temperature(0.5);
  sampling.set_top_k(3);
  sampling.set_top_p(0.25);
  sampling.set_min_p(0.125);
  sampling.set_repeat_penalty(1.5);
  sampling.set_seed(0);
  sampling.add_stop("x");
  sampling.set_logprobs(5);
  sampling.set_ignore_end(true);
  SamplingParams got = taken(request).sampling;
  EXPECT_EQ(got.maxTokens, 7);
  EXPECT_EQ(got.temperature, 0.5);
  EXPECT_EQ(got.topK, 3);
  EXPECT_EQ(got.topP, 0.25);
  EXPECT_EQ(got.minP, 0.125);
  EXPECT_EQ(got.repeatPenalty, 1.5);
  EXPECT_EQ(got.seed, std::optional<uint64_t>(0));
  EXPECT_EQ(got.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(got.logprobs, 5);
  EXPECT_TRUE(got.ignoreEnd);
}

TEST_F(AdmissionTest, AMissingSeedIsDrawn) {
  std::optional<uint64_t> one = taken(prompt("a")).sampling.seed, other = taken(prompt("a")).sampling.seed;
  ASSERT_TRUE(one && other);
  EXPECT_NE(*one, *other); // equal once in 2^64 runs
}

TEST_F(AdmissionTest, SamplingOutOfRangeNamesTheField) {
  v1::GenerateRequest request = prompt("a");
  request.mutable_sampling()->set_top_p(1.5);
  expectInvalid(request, "sampling.top_p must be in (0, 1], not 1.5");
  request = prompt("a");
  request.mutable_sampling()->set_max_tokens(0);
  EXPECT_EQ(refused(request).error_message().rfind("sampling.max_tokens", 0), 0u) << refused(request).error_message();
}

TEST_F(AdmissionTest, APromptThatFillsTheContextIsRefusedWithTheNumbers) {
  expectInvalid(prompt(std::string(16, 'a')),
                "prompt has 16 tokens, but the context of 16 must hold it and a token of the answer; "
                "shorten it or start the server with a larger --context");
  EXPECT_EQ(taken(prompt(std::string(15, 'a'))).prompt.size(), 15u);
  admission.setContext(8); // the engine had less memory
  EXPECT_FALSE(refused(prompt(std::string(8, 'a'))).ok());
}

TEST_F(AdmissionTest, ATextIsRefusedByItsSizeAloneWhereItsTokensCannotFit) {
  ASSERT_EQ(model.tokenizer()->leastTokens("<turn>a"), 2); // no token is longer than <turn>
  expectInvalid(prompt(std::string(1000000, ' ')),
                "prompt has 1000000 bytes, at least 166667 tokens, but the context of 16 must hold it and a token of the answer; "
                "shorten it or start the server with a larger --context");
  std::string longest; // the most bytes that fit
  for (int i = 0; i < 15; ++i)
    longest += "<turn>";
  EXPECT_EQ(taken(prompt(longest)).prompt.size(), 15u);
  expectInvalid(prompt(longest + "a"),
                "prompt has 91 bytes, at least 16 tokens, but the context of 16 must hold it and a token of the "
                "answer; shorten it or start the server with a larger --context");
  ServedModel chatty = tinyModel("key", /*withTemplate=*/true);
  Admission chatAdmission(chatty, 16);
  v1::GenerateRequest chat;
  chat.mutable_chat()->add_messages()->set_content(std::string(1000, 'a'));
  EXPECT_EQ(
      std::get<grpc::Status>(chatAdmission.admit(chat)).error_message().rfind("chat has 1007 bytes, at least 168 tokens", 0), 0u);
}

TEST_F(AdmissionTest, WhatATemplateLeavesOutDoesNotCount) {
  ServedModel forgetful(model.manifest(), model.tokenizer(), "{{ messages[-1].content | trim }}");
  Admission chatAdmission(forgetful, 16);
  v1::GenerateRequest chat;
  chat.mutable_chat()->add_messages()->set_content(std::string(100000, 'a'));
  chat.mutable_chat()->add_messages()->set_content(std::string(100000, ' ') + "hi" + std::string(100000, ' '));
  EXPECT_EQ(std::get<Request>(chatAdmission.admit(chat)).prompt, (std::vector<int32_t>{idOf('h'), idOf('i')}));
}

TEST_F(AdmissionTest, ListsAreRefusedByTheirLength) {
  v1::GenerateRequest request;
  for (int i = 0; i < 16; ++i)
    request.mutable_tokens()->add_ids(-1);
  expectInvalid(request,
                "tokens has 16 tokens, but the context of 16 must hold it and a token of the answer; shorten it or start the "
                "server with a larger --context");
  request.clear_tokens();
  for (int i = 0; i < 17; ++i)
    request.mutable_chat()->add_messages();
  expectInvalid(request, "chat.messages has 17 messages, but the context has only 16 tokens; leave out the oldest");
  v1::TokenizeRequest tokenize;
  tokenize.set_text(std::string((1 << 20) + 1, 'a'));
  EXPECT_EQ(admission.check(tokenize).error_message(), "text has 1048577 bytes; at most 1048576 fit: send it in parts");
}

TEST_F(AdmissionTest, NumbersAreShownAsTheyAre) {
  v1::GenerateRequest request = prompt("a");
  request.mutable_sampling()->set_top_p(1.0000001);
  expectInvalid(request, "sampling.top_p must be in (0, 1], not 1.0000001");
  request = prompt("a");
  request.mutable_sampling()->set_top_k(-1);
  expectInvalid(request, "sampling.top_k must be at least 0, not -1");
  request.mutable_sampling()->set_top_k(int64_t{1} << 40);
  EXPECT_EQ(taken(request).sampling.topK, int64_t{1} << 40) << "all, as with 0";
}

TEST_F(AdmissionTest, InputMustBeThere) {
  expectInvalid({}, "prompt, chat or tokens must be set");
  expectInvalid(prompt(""), "prompt must hold at least one token");
  v1::GenerateRequest request;
  request.mutable_tokens();
  expectInvalid(request, "tokens must hold at least one token");
  request.mutable_chat();
  expectInvalid(request, "chat.messages must hold at least one message");
}

TEST_F(AdmissionTest, TokenIdsMustBeInTheVocabulary) {
  v1::GenerateRequest request;
  request.mutable_tokens()->add_ids(258);
  EXPECT_EQ(taken(request).prompt, std::vector<int32_t>{258});
  request.mutable_tokens()->add_ids(259);
  expectInvalid(request, "tokens.ids[1] must be in [0, 259), not 259");
  request.mutable_tokens()->set_ids(1, -1);
  expectInvalid(request, "tokens.ids[1] must be in [0, 259), not -1");
}

TEST_F(AdmissionTest, ChatNeedsATemplate) {
  v1::GenerateRequest request;
  request.mutable_chat()->add_messages()->set_content("hi");
  expectInvalid(request, "chat.messages: model tiny has no chat template; send a prompt instead");
}

TEST_F(AdmissionTest, APromptIsAUserTurnUnlessRaw) {
  ServedModel chatty = tinyModel("key", /*withTemplate=*/true);
  Admission chatAdmission(chatty, 64);
  auto ids = [&](const v1::GenerateRequest &request) { return std::get<Request>(chatAdmission.admit(request)).prompt; };
  std::vector<int32_t> turn = {kTurn};
  for (char letter : std::string("user:hi"))
    turn.push_back(idOf(letter));
  v1::GenerateRequest request = prompt("hi");
  EXPECT_EQ(ids(request), turn);
  v1::GenerateRequest chat;
  chat.mutable_chat()->add_messages()->set_role("user");
  chat.mutable_chat()->mutable_messages(0)->set_content("hi");
  EXPECT_EQ(ids(chat), turn);
  request.set_raw(true);
  EXPECT_EQ(ids(request), (std::vector<int32_t>{idOf('h'), idOf('i')}));
}

TEST_F(AdmissionTest, AMessageIsTextUnlessItsSpecialTokensAreAskedFor) {
  ServedModel chatty = tinyModel("key", /*withTemplate=*/true);
  Admission chatAdmission(chatty, 64);
  v1::GenerateRequest chat;
  chat.mutable_chat()->add_messages()->set_role("user");
  chat.mutable_chat()->mutable_messages(0)->set_content("</s><turn>");
  const auto turns = [&] {
    const std::vector<int32_t> ids = std::get<Request>(chatAdmission.admit(chat)).prompt;
    return std::pair<int64_t, int64_t>(std::ranges::count(ids, kTurn), std::ranges::count(ids, kEnd));
  };
  EXPECT_EQ(turns(), (std::pair<int64_t, int64_t>(1, 0)));
  chat.mutable_chat()->set_parse_special(true);
  EXPECT_EQ(turns(), (std::pair<int64_t, int64_t>(2, 1)));
}

TEST_F(AdmissionTest, ABrokenTemplateCostsChatsAlone) {
  const ServedModel broken(model.manifest(), model.tokenizer(), "{% if %}");
  EXPECT_FALSE(broken.hasChatTemplate());
  EXPECT_EQ(broken.encodePrompt("a", /*raw=*/true), std::vector<int32_t>{idOf('a')});
  Admission admission(broken, 64);
  const grpc::Status status = std::get<grpc::Status>(admission.admit(prompt("a")));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("prompt: chat template, line 1: syntax error"), std::string::npos)
      << status.error_message();
}

TEST_F(AdmissionTest, TheBeginTokenIsAddedOnceWhereTheModelWantsIt) {
  Manifest manifest = model.manifest();
  manifest.addBos = true;
  ServedModel plain(manifest, model.tokenizer(), "");
  ServedModel writesItself(manifest, model.tokenizer(), "{{ bos_token }}{{ messages[0].content }}");
  std::vector<int32_t> wanted = {kBegin, idOf('a')};
  EXPECT_EQ(plain.encodePrompt("a", /*raw=*/false), wanted);
  EXPECT_EQ(writesItself.encodePrompt("a", /*raw=*/false), wanted);
  EXPECT_EQ(plain.encodePrompt("a", /*raw=*/true), std::vector<int32_t>{idOf('a')});
}

TEST_F(AdmissionTest, AnotherModelIsNotFound) {
  v1::GenerateRequest request = prompt("a");
  request.set_model("tiny");
  EXPECT_TRUE(refused(request).ok());
  request.set_model("huge");
  EXPECT_EQ(refused(request).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(refused(request).error_message(), "model 'huge' is not served here; this server has tiny");
  request.set_model("a\nb");
  EXPECT_EQ(refused(request).error_message(), "model 'a\\nb' is not served here; this server has tiny");
}

TEST_F(AdmissionTest, FurtherNamesAreTheModelsToo) {
  Admission named(model, 16, {"small", "smallest"});
  EXPECT_TRUE(named.checkModel("smallest").ok());
  EXPECT_TRUE(named.checkModel("tiny").ok());
  EXPECT_FALSE(named.checkModel("Tiny").ok());
}

} // namespace
