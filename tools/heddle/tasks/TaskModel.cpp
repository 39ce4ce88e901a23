//===- TaskModel.cpp - a model that answers about whole texts --------------------------------------------------------------===//
#include "tools/heddle/tasks/TaskModel.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Progress.h"
#include <algorithm>

namespace heddle::tool {
namespace {

/// Tokens of a step: enough for threads to share evenly, and not so many that values leave the cache.
constexpr int64_t kStepTokens = 1024;

std::string entriesOf(const Manifest &manifest) {
  std::string names;
  for (const Entry &entry : manifest.entries)
    names += (names.empty() ? "" : ", ") + entry.name;
  return names;
}

/// Without the last tokens of the text, so that what stands around it stays.
void cut(EncodedText &encoded, size_t most) {
  auto cutList = [&](std::vector<int32_t> &list, size_t at) { list.erase(list.begin() + static_cast<ptrdiff_t>(at)); };
  for (size_t at = encoded.ids.size(); at-- > 0 && encoded.ids.size() > most;)
    if (encoded.part[at] == 0)
      for (std::vector<int32_t> *list : {&encoded.ids, &encoded.types, &encoded.part, &encoded.begin, &encoded.end})
        cutList(*list, at);
}

} // namespace

TaskModel::TaskModel(const std::string &name, const RankOptions &ranks, const std::string &entry) : entry_(entry) {
  ResolvedModel resolved = resolveModel(name);
  std::filesystem::path plan = planFor(resolved, {ranks.target, ranks.kvType, ranks.quantize});
  model_ = ServedModel::open(plan, resolved.name);
  auto cannot = [&](const std::string &why) {
    return Failure("the model '" + manifest().name + "' cannot " + entry + ": " + why);
  };
  const auto found = std::ranges::find(manifest().entries, entry, &Entry::name);
  if (found == manifest().entries.end())
    throw cannot("its program has the entries " + entriesOf(manifest()));
  if (found->outputs.size() != 1 || found->outputs[0].rows != RowsOf::Sequences)
    throw cannot("its entry of this name does not give one row for each text");
  try {
    model_->tokenizer()->encodeWhole("a"); // what stands around a text is looked at when it is used
  } catch (const TextError &error) {
    throw cannot("its tokenizer.json cannot frame a text (" + std::string(error.what()) + "): download the model again");
  }
  RankOptions own = ranks;
  own.tokenBudget = tokenBudget_ = std::max(kStepTokens, std::min<int64_t>(manifest().context, 8192)); // a text is one step's
  session_ = openSession(plan, own, MemoryOptions(), model_->tokenizer());
  context_ = session_->context();
}

EncodedText TaskModel::encode(const GivenText &given, bool truncate) const {
  EncodedText encoded = model_->tokenizer()->encodeWhole(given.text);
  const auto tokens = static_cast<int64_t>(encoded.ids.size());
  if (tokens == 0)
    throw Failure(given.name + " has no token of this model's vocabulary: give it some words");
  if (tokens > context_ && !truncate)
    throw Failure(given.name + " has " + std::to_string(tokens) + " tokens, and the model has " + std::to_string(context_) +
                  " positions: cut it, or give --truncate");
  cut(encoded, static_cast<size_t>(context_));
  if (static_cast<int64_t>(encoded.ids.size()) > context_)
    throw Failure(given.name + " cannot be cut to the model's " + std::to_string(context_) + " positions: its tokenizer puts " +
                  std::to_string(encoded.ids.size()) + " tokens around a text");
  if (manifest().tokenTypes == 1) // a model that does not tell parts apart
    encoded.types.clear();
  auto within = [](const std::vector<int32_t> &list, int64_t end) {
    return std::ranges::all_of(list, [&](int32_t x) { return x >= 0 && x < end; });
  };
  if (!within(encoded.ids, manifest().vocabulary) || !within(encoded.types, manifest().tokenTypes))
    throw Failure("the tokenizer of model '" + manifest().name + "' gives " + given.name +
                  " tokens, or kinds of tokens, that the model does not have: download it again");
  return encoded;
}

void TaskModel::forEach(const std::vector<EncodedText> &texts,
                        const std::function<void(size_t, std::span<const float>)> &result) {
  Progress progress(entry_);
  for (size_t first = 0; first < texts.size();) {
    EntryCall call{entry_, {}};
    int64_t tokens = 0;
    for (size_t i = first; i < texts.size() && static_cast<int64_t>(call.parts.size()) < session_->callSequences(); ++i) {
      tokens += static_cast<int64_t>(texts[i].ids.size());
      if (tokens > tokenBudget_ && i > first)
        break;
      call.parts.push_back({i + 1, texts[i].ids, {}, texts[i].types});
    }
    const std::vector<EntryRows> outputs = session_->call(call);
    const EntryRows &rows = outputs.at(0);
    if (rows.rows != static_cast<int64_t>(call.parts.size()))
      throw std::logic_error("an entry gave " + std::to_string(rows.rows) + " rows for " + std::to_string(call.parts.size()) +
                             " texts");
    for (size_t i = 0; i < call.parts.size(); ++i)
      result(first + i, std::span(rows.values).subspan(i * static_cast<size_t>(rows.columns), static_cast<size_t>(rows.columns)));
    first += call.parts.size();
    progress.update(double(first) / double(texts.size()), std::to_string(first) + " texts");
  }
}

} // namespace heddle::tool
