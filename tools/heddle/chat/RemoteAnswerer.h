//===- RemoteAnswerer.h - answers of a server ----------------------------------------------------------------------------===//
#pragma once
#include "services/client/Client.h"
#include "tools/heddle/chat/PromptOptions.h"

namespace heddle::tool {

/// `model`: which of the server's; empty: the one it has. `parseSpecial`: of v1::Chat.
class RemoteAnswerer final : public Answerer {
public:
  RemoteAnswerer(const std::string &address, double timeout, std::string model, SamplingChoice sampling, bool parseSpecial)
      : client_(address, timeout), name_(std::move(model)), sampling_(std::move(sampling)), parseSpecial_(parseSpecial) {}

  std::string model() const override { return about().name(); }
  bool hasChatTemplate() const override { return about().has_chat_template(); }
  int64_t context() const override { return about().context(); }
  int64_t maxTokens() const override { return sampling_.over({}).maxTokens; }
  int64_t promptTokens(const Question &question) override;
  Answer answer(const Question &question, std::optional<uint64_t> seed, const TextSink &text) override;
  bool draws(const Question &question) const override;

private:
  const v1::GetModelResponse &about() const; // asked once

  mutable Client client_;
  mutable std::optional<v1::GetModelResponse> about_;
  std::string name_;
  SamplingChoice sampling_;
  bool parseSpecial_;
};

} // namespace heddle::tool
