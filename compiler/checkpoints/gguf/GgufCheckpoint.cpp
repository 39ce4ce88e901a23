//===- GgufCheckpoint.cpp - a GGUF file, or all parts of a split one, as a checkpoint -------------------------------===//
#include "compiler/checkpoints/gguf/GgufCheckpoint.h"
#include "compiler/checkpoints/CheckpointFiles.h"
#include "compiler/checkpoints/tokenizer/GgufTokenizer.h"
#include <algorithm>
#include <unordered_map>

namespace heddle {

GgufCheckpoint::GgufCheckpoint(const std::filesystem::path &path) {
  parts_.push_back(GgufFile::open(path));
  openOtherParts(path);
  architecture_ = file().string("general.architecture");
  tokens_ = static_cast<int64_t>(file().strings("tokenizer.ggml.tokens").size());
}

/// A split model's parts say how many there are, which of them each is, and how many tensors all have together.
void GgufCheckpoint::openOtherParts(const std::filesystem::path &path) {
  const int64_t count = file().findInteger("split.count").value_or(1);
  const int64_t number = file().findInteger("split.no").value_or(0);
  std::vector<std::filesystem::path> files = ggufParts(path);
  const std::string all = std::to_string(count) + " parts";
  if (number != 0)
    throw GgufError(name() + ": is part " + std::to_string(number + 1) + " of a model split into " + all +
                    ": give the first one, whose name ends in -00001-of-… and beside which the others lie");
  if (count <= 1)
    return;
  if (static_cast<int64_t>(files.size()) != count || files.front() != path)
    throw GgufError(name() + ": is the first part of a model split into " + all +
                    ", but is not called NAME-00001-of-0000N.gguf: give the parts their names again, or join them with "
                    "llama-gguf-split --merge");
  const auto tensorCount = file().findInteger("split.tensors.count");
  for (size_t i = 1; i < files.size(); ++i) {
    std::error_code error;
    if (!std::filesystem::exists(files[i], error))
      throw GgufError(files[i].string() + ": this part of the model is missing: download it beside the others");
    GgufFile part = GgufFile::open(files[i]);
    if (part.findInteger("split.count") != count || part.findInteger("split.no") != static_cast<int64_t>(i) ||
        part.findInteger("split.tensors.count") != tensorCount)
      throw GgufError(files[i].string() + ": is no part " + std::to_string(i + 1) + " of this model split into " + all +
                      ": download it again");
    parts_.push_back(std::move(part));
  }
  std::unordered_map<std::string_view, const GgufFile *> seen;
  for (const GgufFile &part : parts_)
    for (const GgufTensor &tensor : part.tensors())
      if (auto [before, fresh] = seen.emplace(tensor.name, &part); !fresh)
        throw GgufError(part.fileName() + ": tensor " + quotedForError(tensor.name) + " is in " + before->second->fileName() +
                        " too: the parts are not of one model, download them again");
  if (tensorCount && *tensorCount != static_cast<int64_t>(seen.size()))
    throw GgufError(name() + ": all parts together have " + std::to_string(seen.size()) + " tensors, not " +
                    std::to_string(*tensorCount) + ": the parts are not of one model, download them again");
}

const GgufTensor *GgufCheckpoint::find(std::string_view tensorName, const GgufFile **in) const {
  for (const GgufFile &part : parts_)
    if (const GgufTensor *found = part.findTensor(tensorName)) {
      *in = &part;
      return found;
    }
  return nullptr;
}

std::optional<StoredTensor> GgufCheckpoint::tensor(std::string_view tensorName) const {
  const GgufFile *part = nullptr;
  const GgufTensor *found = find(tensorName, &part);
  if (!found)
    return std::nullopt;
  return StoredTensor{part->fileName() + ": tensor " + std::string(tensorName),
                      found->format,
                      {found->dims.rbegin(), found->dims.rend()},
                      found->data};
}

bool GgufCheckpoint::has(std::string_view tensorName) const {
  return std::ranges::any_of(parts_, [&](const GgufFile &part) {
    return std::ranges::find(part.tensors(), tensorName, &GgufTensor::name) != part.tensors().end();
  });
}

std::string GgufCheckpoint::shownTensor(std::string_view tensorName) const {
  for (const GgufFile &part : parts_)
    if (std::ranges::find(part.tensors(), tensorName, &GgufTensor::name) != part.tensors().end())
      return part.fileName() + ": tensor " + std::string(tensorName);
  return name() + ": tensor " + std::string(tensorName);
}

TokenizerFiles GgufCheckpoint::tokenizer(bool) const { // a "bert" vocabulary frames whole texts, whoever asks
  const GgufVocabulary vocabulary = readVocabulary(file());
  return {buildTokenizerJson(vocabulary), vocabulary.bos, vocabulary.eos, vocabulary.addBos.value_or(false),
          endsOfText(vocabulary)};
}

std::string GgufCheckpoint::chatTemplate() const {
  return std::string(file().findString("tokenizer.chat_template").value_or(""));
}

GenerationSettings GgufCheckpoint::generationSettings() const {
  auto number = [&](const char *key, double least, double most) {
    const std::string whole = std::string("general.sampling.") + key;
    std::optional<double> value = file().findNumber(whole);
    if (value && !(*value >= least && *value <= most))
      throw CompileError(shownKey(whole) + " is " + std::to_string(*value) + ", which no sampling can be: mend the file");
    return value;
  };
  GenerationSettings out;
  out.temperature = number("temp", 0, 10);
  out.topP = number("top_p", 1e-9, 1);
  out.minP = number("min_p", 0, 1);
  out.repeatPenalty = number("penalty_repeat", 0.1, 10);
  if (std::optional<int64_t> topK = file().findInteger("general.sampling.top_k"))
    out.topK = std::clamp<int64_t>(*topK, 0, INT32_MAX); // makers write -1 for all
  return out;
}

std::vector<std::string> GgufCheckpoint::unreadSettings() const {
  auto unread = file().unreadKeys();
  return {unread.begin(), unread.end()};
}

std::vector<std::string> GgufCheckpoint::unreadTensors() const {
  std::vector<std::string> all;
  for (const GgufFile &part : parts_)
    for (std::string_view unread : part.unreadTensors())
      all.emplace_back(unread);
  return all;
}

} // namespace heddle
