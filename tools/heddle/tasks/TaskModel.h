//===- TaskModel.h - a model that answers about whole texts ---------------------------------------------------------------===//
#pragma once
#include "services/frontend/ServedModel.h"
#include "tools/heddle/Session.h"
#include "tools/heddle/tasks/Texts.h"
#include <optional>

namespace heddle::tool {

/// One entry of a model's program, called for texts in batches. One thread.
class TaskModel {
public:
  /// Compiles the model if need be, and starts the engine. Throws Failure where its program has no such entry, naming what it can
  /// do.
  TaskModel(const std::string &model, const RankOptions &ranks, const std::string &entry);

  const Manifest &manifest() const { return model_->manifest(); }
  int64_t threads() const { return session_->threads(); }

  /// The tokens of a text with those that the model wants around it; of one that is too long, without its last ones where
  /// `truncate`. Throws Failure, which names the text.
  EncodedText encode(const GivenText &text, bool truncate) const;

  /// Calls the entry for all texts, in their order, as many at once as a step has room for; `result` gets each one's number and
  /// its row of the entry's only output, which has one for each text. Shows a progress bar when it takes long.
  void forEach(const std::vector<EncodedText> &texts, const std::function<void(size_t, std::span<const float>)> &result);

private:
  std::string entry_;
  std::optional<ServedModel> model_;
  int64_t context_ = 0, tokenBudget_ = 0;
  std::unique_ptr<Session> session_;
};

} // namespace heddle::tool
