//===- LocalAnswerer.h - answers of an engine of this program --------------------------------------------------------------===//
#pragma once
#include "services/frontend/ServedModel.h"
#include "tools/heddle/Session.h"
#include "tools/heddle/chat/PromptOptions.h"

namespace heddle::tool {

/// Borrows model and session. `texts`: answers carry the texts of their tokens. `parseSpecial`: of ServedModel::encodeChat.
class LocalAnswerer final : public Answerer {
public:
  LocalAnswerer(const ServedModel &model, Session &session, SamplingChoice sampling, bool texts, bool parseSpecial)
      : model_(model), session_(session), sampling_(std::move(sampling)), texts_(texts), parseSpecial_(parseSpecial) {}

  std::string model() const override { return model_.manifest().name; }
  bool hasChatTemplate() const override { return model_.hasChatTemplate(); }
  int64_t context() const override { return session_.context(); }
  int64_t maxTokens() const override { return sampling_.over({}).maxTokens; }
  int64_t promptTokens(const Question &question) override { return static_cast<int64_t>(encode(question).size()); }
  Answer answer(const Question &question, std::optional<uint64_t> seed, const TextSink &text) override;
  bool draws(const Question &question) const override { return samplingFor(question).temperature > 0; }

private:
  std::vector<int32_t> encode(const Question &question) const;
  SamplingParams samplingFor(const Question &question) const;

  const ServedModel &model_;
  Session &session_;
  SamplingChoice sampling_;
  bool texts_, parseSpecial_;
  uint64_t lastId_ = 0;
};

} // namespace heddle::tool
