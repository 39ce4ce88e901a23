//===- ServeTest.cpp - a real frontend, real workers, a real client -------------------------------------------------===//
#include "tests/e2e/services/Client.h"
#include "tests/e2e/services/ServerProcess.h"
#include "tests/unit/services/TinyModel.h"
#include <cmath>
#include <fstream>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <random>
#include <sstream>
#include <thread>
#include <unistd.h>

using namespace heddle;
using namespace heddle::test;
using namespace std::chrono_literals;

namespace {

/// One server for all tests that leave it as it was.
class ServeTest : public testing::Test {
protected:
  static void SetUpTestSuite() {
    server = std::make_unique<ServerProcess>();
    line = server->waitServing();
    client = std::make_unique<Client>(server->address());
  }
  static void TearDownTestSuite() {
    client.reset();
    server->signal(SIGTERM);
    EXPECT_EQ(server->waitExit(), 0);
    server.reset();
  }
  void SetUp() override { ASSERT_FALSE(line.empty()) << server->notes(); }

  static inline std::unique_ptr<ServerProcess> server;
  static inline std::unique_ptr<Client> client;
  static inline std::string line;
};

TEST_F(ServeTest, SaysWhatItServesAndWhere) {
  EXPECT_EQ(line, "serving tiny on " + server->address() + " with 2 ranks");
  v1::GetModelResponse model = client->model();
  EXPECT_EQ(model.name(), "tiny");
  EXPECT_EQ(model.architecture(), "alphabet");
  EXPECT_EQ(model.ranks(), 2);
  EXPECT_EQ(model.context(), kModelContext);
  EXPECT_EQ(model.vocabulary(), kVocabulary);
  EXPECT_EQ(model.plan_key(), "tiny-plan-key");
  EXPECT_EQ(model.state(), v1::GROUP_STATE_SERVING);
  EXPECT_EQ(model.epoch(), 1u);
}

TEST_F(ServeTest, StreamsAnAnswer) {
  Answer answer = client->generate(promptFor("k", 6));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.text, "lmnopq");
  EXPECT_EQ(answer.finish.reason(), v1::STOP_REASON_MAX_TOKENS);
  EXPECT_EQ(answer.finish.usage().prompt_tokens(), 1);
  EXPECT_EQ(answer.finish.usage().output_tokens(), 6);
  ASSERT_EQ(answer.tokens.size(), 6u);
  EXPECT_FALSE(answer.tokens[0].has_logprob());
}

TEST_F(ServeTest, EveryStopReasonIsTold) {
  Answer ended = client->generate(promptFor("b!", 50));
  EXPECT_EQ(ended.finish.reason(), v1::STOP_REASON_END_OF_TEXT);
  EXPECT_EQ(ended.text, "");
  EXPECT_EQ(ended.ids(), std::vector<int32_t>{kEnd});

  v1::GenerateRequest request = promptFor("a", 50);
  request.mutable_sampling()->add_stop("fg");
  Answer stopped = client->generate(request);
  EXPECT_EQ(stopped.finish.reason(), v1::STOP_REASON_STOP_STRING);
  EXPECT_EQ(stopped.finish.stop_string(), "fg");
  EXPECT_EQ(stopped.text, "bcde");

  Answer full = client->generate(promptFor(std::string(kModelContext - 3, 'a'), 50));
  EXPECT_EQ(full.finish.reason(), v1::STOP_REASON_CONTEXT_FULL);
  EXPECT_EQ(full.text, "bcd");
}

TEST_F(ServeTest, LogprobsComeWithAlternatives) {
  v1::GenerateRequest request = promptFor("a", 1);
  request.mutable_sampling()->set_logprobs(3);
  Answer answer = client->generate(request);
  ASSERT_EQ(answer.tokens.size(), 1u);
  ASSERT_EQ(answer.tokens[0].alternatives_size(), 3);
  EXPECT_EQ(answer.tokens[0].alternatives(0).id(), idOf('b'));
  EXPECT_EQ(answer.tokens[0].alternatives(0).logprob(), answer.tokens[0].logprob());
  // The fake step's logits: 8 for one id, (id mod 7) / 4 for the others; the lowest id with 1.5 is 6.
  double sum = std::exp(8.0);
  for (int32_t id = 0; id < kVocabulary; ++id)
    sum += id == idOf('b') ? 0 : std::exp(static_cast<double>(id % 7) * 0.25);
  EXPECT_NEAR(answer.tokens[0].logprob(), 8.0 - std::log(sum), 1e-5);
  EXPECT_EQ(answer.tokens[0].alternatives(1).id(), 6);
  EXPECT_NEAR(answer.tokens[0].alternatives(1).logprob(), 1.5 - std::log(sum), 1e-5);
}

TEST_F(ServeTest, ASeedIsUsedAndADrawnOneIsReturned) {
  v1::GenerateRequest request = promptFor("a", 40);
  request.mutable_sampling()->set_temperature(2.5);
  request.mutable_sampling()->set_top_k(5); // neither '?' nor the end is among the best five
  Answer drawn = client->generate(request);
  ASSERT_TRUE(drawn.status.ok());
  EXPECT_NE(drawn.text, "bcdefghijklmnopqrstuvwxyzabcdefghijklmno") << "at this temperature the greedy text is nearly impossible";
  request.mutable_sampling()->set_seed(drawn.finish.seed());
  EXPECT_EQ(client->generate(request).ids(), drawn.ids());
  request.mutable_sampling()->set_seed(drawn.finish.seed() + 1);
  EXPECT_NE(client->generate(request).ids(), drawn.ids());
}

TEST_F(ServeTest, EachOfManyRequestsGetsWhatItGetsAlone) {
  auto requestOf = [](int i) {
    v1::GenerateRequest request = promptFor(std::string(1, static_cast<char>('a' + 3 * i)), 60);
    request.mutable_sampling()->set_temperature(1.5);
    request.mutable_sampling()->set_seed(static_cast<uint64_t>(i));
    request.mutable_sampling()->set_logprobs(2);
    return request;
  };
  std::vector<Answer> alone, together(8);
  for (int i = 0; i < 8; ++i)
    alone.push_back(client->generate(requestOf(i)));
  std::mt19937 random(1);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i, pause = random() % 30] {
      std::this_thread::sleep_for(std::chrono::milliseconds(pause));
      together[static_cast<size_t>(i)] = client->generate(requestOf(i));
    });
  for (std::thread &thread : threads)
    thread.join();
  for (size_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(together[i].status.ok());
    ASSERT_EQ(together[i].tokens.size(), alone[i].tokens.size());
    EXPECT_EQ(together[i].text, alone[i].text);
    for (size_t t = 0; t < alone[i].tokens.size(); ++t)
      EXPECT_EQ(together[i].tokens[t].SerializeAsString(), alone[i].tokens[t].SerializeAsString());
  }
}

TEST_F(ServeTest, BadInputNamesTheField) {
  v1::GenerateRequest request = promptFor("a", 5);
  request.mutable_sampling()->set_temperature(-1);
  Answer answer = client->generate(request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(answer.status.error_message().rfind("sampling.temperature", 0), 0u) << answer.status.error_message();

  answer = client->generate(promptFor(std::string(600, 'a'), 5));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(answer.status.error_message().rfind("prompt has 600 tokens, but the context of 512", 0), 0u)
      << answer.status.error_message();

  request = promptFor("a", 5);
  request.set_model("other");
  EXPECT_EQ(client->generate(request).status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServeTest, BrokenUtf8OnTheWireIsAnInvalidArgument) {
  v1::GenerateRequest request = promptFor("a", 5);
  request.set_prompt("WRONG");
  std::string bytes = request.SerializeAsString();
  bytes.replace(bytes.find("WRONG"), 5, "a\xFFzzz");
  grpc::Slice slice(bytes);
  grpc::ByteBuffer body(&slice, 1), answer;
  grpc::GenericStub stub(client->channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/heddle.v1.Inference/Generate", body, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void *tag;
  bool ok;
  queue.Next(&tag, &ok);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "prompt must be UTF-8; byte 1 is not");
}

TEST_F(ServeTest, LogitsThatAreNotFiniteFailThatRequestAlone) {
  Answer good, bad;
  std::thread other([&] { good = client->generate(promptFor("a", 20)); });
  bad = client->generate(promptFor("b?", 20));
  other.join();
  EXPECT_EQ(bad.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_NE(bad.status.error_message().find("a logit of NaN"), std::string::npos) << bad.status.error_message();
  EXPECT_TRUE(good.status.ok());
  EXPECT_EQ(good.tokens.size(), 20u);
}

TEST_F(ServeTest, TokenizeTellsIdsAndPieces) {
  grpc::ClientContext context;
  v1::TokenizeRequest request;
  request.set_text("h\xC3\xA9</s>");
  v1::TokenizeResponse response;
  ASSERT_TRUE(client->stub->Tokenize(&context, request, &response).ok());
  EXPECT_EQ(std::vector<int32_t>(response.ids().begin(), response.ids().end()),
            (std::vector<int32_t>{idOf('h'), idOf('\xC3'), idOf('\xA9'), kEnd}));
  ASSERT_EQ(response.pieces_size(), 4);
  EXPECT_EQ(response.pieces(0), "h");
  EXPECT_EQ(response.pieces(1), "\xEF\xBF\xBD");
  EXPECT_EQ(response.pieces(3), "</s>");

  grpc::ClientContext second;
  grpc::Status status = client->stub->Tokenize(&second, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServeTest, TokensAndAlternativesSayTheirTexts) {
  v1::GenerateRequest request = promptFor("a", 2);
  EXPECT_EQ(client->generate(request).tokens.at(1).text(), "c") << "also without log-probabilities";
  request.mutable_sampling()->set_logprobs(3);
  Answer answer = client->generate(request);
  ASSERT_EQ(answer.tokens.size(), 2u);
  EXPECT_EQ(answer.tokens[0].text(), "b");
  EXPECT_EQ(answer.tokens[0].bytes(), "");
  EXPECT_EQ(answer.tokens[0].alternatives(0).text(), "b");
  EXPECT_EQ(answer.tokens[0].alternatives(1).text(), "\x03"); // id 6
  EXPECT_EQ(client->generate(promptFor("!", 5)).tokens.at(0).text(), "</s>") << "though the answer's text has none of it";
}

TEST_F(ServeTest, DetokenizeIsTheWayBack) {
  auto detokenize = [&](std::vector<int32_t> ids, bool skipSpecial, v1::DetokenizeResponse &response) {
    v1::DetokenizeRequest request;
    request.mutable_ids()->Add(ids.begin(), ids.end());
    request.set_skip_special(skipSpecial);
    grpc::ClientContext context;
    return client->stub->Detokenize(&context, request, &response);
  };
  v1::DetokenizeResponse response;
  std::vector<int32_t> ids = {idOf('h'), idOf('\xC3'), idOf('\xA9'), kEnd, idOf(' '), idOf('\xE2')};
  ASSERT_TRUE(detokenize(ids, false, response).ok());
  EXPECT_EQ(response.text(), "h\u00E9</s> \uFFFD");
  ASSERT_EQ(response.pieces_size(), 6);
  EXPECT_EQ(response.pieces(1), "\uFFFD");
  EXPECT_EQ(response.pieces(3), "</s>");
  ASSERT_TRUE(detokenize(ids, true, response).ok());
  EXPECT_EQ(response.text(), "h\u00E9 \uFFFD");
  ASSERT_TRUE(detokenize({}, true, response).ok());
  EXPECT_EQ(response.text(), "");
  EXPECT_EQ(detokenize({5, kVocabulary}, true, response).error_message(), "ids[1] must be in [0, 259), not 259");
  EXPECT_EQ(detokenize({-1}, true, response).error_message(), "ids[0] must be in [0, 259), not -1");
  grpc::Status many = detokenize(std::vector<int32_t>(1000000, idOf('a')), true, response);
  EXPECT_EQ(many.error_message(),
            "ids has 1000000 tokens, but only the text of the first 419430 fits the 4194304 bytes that gRPC's "
            "clients take; send them in parts");
  EXPECT_TRUE(detokenize(std::vector<int32_t>(419430, idOf('a')), true, response).ok()) << "what fits by the message does fit";
}

TEST_F(ServeTest, AnAnswerOfTokenizeFitsOrSaysWhatFits) {
  v1::TokenizeResponse response;
  auto tokenize = [&](size_t bytes, bool idsOnly) {
    v1::TokenizeRequest request;
    request.set_text(std::string(bytes, 'a'));
    request.set_ids_only(idsOnly);
    grpc::ClientContext context;
    return client->stub->Tokenize(&context, request, &response);
  };
  grpc::Status large = tokenize(1 << 20, false);
  EXPECT_EQ(large.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(large.error_message(), "text has 1048576 tokens, and an answer of 4194308 bytes is more than the 4194304 that gRPC's "
                                   "clients take; about the first "
                                   "466033 bytes of it fit: send it in parts, or set ids_only to leave out the pieces");
  ASSERT_TRUE(tokenize(466033, false).ok());
  EXPECT_EQ(response.pieces_size(), 466033);
  ASSERT_TRUE(tokenize(1 << 20, true).ok());
  EXPECT_EQ(response.ids_size(), 1 << 20);
  EXPECT_EQ(response.pieces_size(), 0);
  EXPECT_EQ(tokenize((1 << 20) + 1, true).error_message(), "text has 1048577 bytes; at most 1048576 fit: send it in parts");
}

TEST_F(ServeTest, HealthKnowsItsNames) {
  using grpc::health::v1::HealthCheckResponse;
  for (const char *name : {"", "heddle.v1.Inference", "tiny"})
    EXPECT_EQ(client->check(name), HealthCheckResponse::SERVING) << name;
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("other");
  HealthCheckResponse response;
  EXPECT_EQ(client->health->Check(&context, request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  grpc::ClientContext watching;
  auto watch = client->health->Watch(&watching, request);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  watching.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ServeTest, AnIdleServerUsesAlmostNoCpu) {
  auto ticks = [&] {
    std::vector<pid_t> all = server->group();
    all.push_back(server->pid());
    long sum = 0;
    for (pid_t pid : all) {
      std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
      std::string stat((std::istreambuf_iterator<char>(file)), {});
      std::istringstream fields(stat.substr(stat.rfind(") ") + 2));
      std::string skipped;
      for (int i = 0; i < 11; ++i)
        fields >> skipped;
      long user = 0, system = 0;
      fields >> user >> system;
      sum += user + system;
    }
    return sum;
  };
  client->generate(promptFor("a", 5));
  std::this_thread::sleep_for(1s); // OpenMP's threads go to sleep a moment after the last step
  ASSERT_GE(server->group().size(), 3u);
  long before = ticks();
  std::this_thread::sleep_for(5s);
  double share = static_cast<double>(ticks() - before) / static_cast<double>(sysconf(_SC_CLK_TCK)) / 5.0;
  RecordProperty("percent_of_a_core", std::to_string(share * 100));
  EXPECT_LT(share, 0.02);
}

TEST_F(ServeTest, GrpcurlSeesEverythingByReflection) {
  std::string grpcurl;
  for (std::string path :
       {std::string("/root/go/bin/grpcurl"), std::string(getenv("HOME") ? getenv("HOME") : "") + "/go/bin/grpcurl",
        std::string("/usr/local/bin/grpcurl"), std::string("/usr/bin/grpcurl")})
    if (access(path.c_str(), X_OK) == 0)
      grpcurl = path;
  if (grpcurl.empty())
    GTEST_SKIP() << "grpcurl is not installed: go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest";
  auto run = [&](const std::string &arguments) {
    std::string out;
    FILE *pipe = popen((grpcurl + " -plaintext " + arguments + " 2>&1").c_str(), "r");
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;)
      out.append(buffer, n);
    pclose(pipe);
    return out;
  };
  std::string at = server->address();
  std::string list = run(at + " list");
  EXPECT_NE(list.find("heddle.v1.Inference\n"), std::string::npos) << list;
  EXPECT_NE(list.find("grpc.health.v1.Health\n"), std::string::npos) << list;
  EXPECT_NE(run(at + " describe heddle.v1.Inference").find("rpc Generate"), std::string::npos);
  EXPECT_NE(run(at + " describe heddle.v1.Sampling").find("optional double top_p = 4"), std::string::npos);
  std::string answer = run(R"(-d '{"prompt": "x", "sampling": {"max_tokens": 3}}' )" + at + " heddle.v1.Inference/Generate");
  EXPECT_NE(answer.find("STOP_REASON_MAX_TOKENS"), std::string::npos) << answer;
  EXPECT_NE(run(at + " grpc.health.v1.Health/Check").find("SERVING"), std::string::npos);
  std::string bad = run(R"(-d '{"prompt": "x", "sampling": {"top_p": 7}}' )" + at + " heddle.v1.Inference/Generate");
  EXPECT_NE(bad.find("InvalidArgument"), std::string::npos) << bad;
  EXPECT_NE(bad.find("top_p"), std::string::npos) << bad;
}

} // namespace
