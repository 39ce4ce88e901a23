//===- FolderCheckpoint.cpp - a Hugging Face folder as a checkpoint -------------------------------------------------===//
#include "compiler/checkpoints/folder/FolderCheckpoint.h"
#include "compiler/checkpoints/MappedFile.h"
#include <algorithm>
#include <utility>

namespace heddle {
namespace fs = std::filesystem;

static Json readOptional(const fs::path &path) { return isThere(path) ? readJsonFile(path) : Json(); }

/// Before the weights are looked for: without it nothing else has a meaning.
static std::string readModelType(const fs::path &folder, const Json &config) {
  auto found = config.find("model_type");
  if (found == config.end() || !found->is_string())
    throw CompileError((folder / "config.json").string() + ": model_type is missing: download the model again");
  if (config.contains("quantization_config") && !config["quantization_config"].is_null()) {
    const Json &how = config["quantization_config"];
    const Json method = how.is_object() ? how.value("quant_method", Json("?")) : Json("?");
    if (method != "mxfp4") // whose tensors say what they are
      throw CompileError((folder / "config.json").string() + ": quantization_config says that the weights are quantised by " +
                         method.dump() +
                         ", which is not supported: use the model in F32, F16 or BF16 and --quantize, or a GGUF file");
  }
  if (isThere(folder / "adapter_config.json"))
    throw CompileError((folder / "adapter_config.json").string() +
                       ": an adapter beside the model changes its weights, which is not supported: merge it into them (peft: "
                       "merge_and_unload) and save the whole, or remove it");
  return found->get<std::string>();
}

FolderCheckpoint::FolderCheckpoint(const fs::path &folder)
    : folder_(folder), config_(readJsonFile(folder / "config.json")),
      generation_(readOptional(folder / "generation_config.json")), modelType_(readModelType(folder, config_)),
      settings_(flattenedJson(config_)), vectors_(folder), tensors_(folder), tokenizer_(folder, generation_, config_) {
  for (const auto *settings : {&vectors_.settings(), &std::as_const(settings_)})
    for (const auto &[key, value] : *settings)
      settingOf_.emplace(key, &value);
}

std::optional<Setting> FolderCheckpoint::setting(std::string_view key) const {
  auto found = settingOf_.find(std::string(key));
  if (found == settingOf_.end())
    return std::nullopt;
  std::lock_guard lock(mutex_);
  readSettings_.emplace(key);
  return *found->second;
}

std::optional<StoredTensor> FolderCheckpoint::tensor(std::string_view tensorName) const {
  auto [file, tensor] = tensors_.find(tensorName);
  if (!tensor)
    return std::nullopt;
  {
    std::lock_guard lock(mutex_);
    readTensors_.emplace(tensorName);
  }
  const std::string where = file->fileName() + ": tensor " + std::string(tensorName);
  if (!tensor->format)
    throw CompileError(where + " has type " + tensor->type + ", which is not supported: use a model in F32, F16 or BF16");
  StoredTensor out{where, *tensor->format, tensor->shape, tensor->bytes};
  if (out.shape.empty())
    out.shape = {1};
  if (out.bytes.empty())
    throw CompileError(where + " is empty: " + again());
  return out;
}

std::optional<StoredBytes> FolderCheckpoint::bytes(std::string_view tensorName) const {
  auto [file, tensor] = tensors_.find(tensorName);
  if (!tensor || tensor->type != "U8" || tensor->bytes.empty())
    return std::nullopt;
  std::lock_guard lock(mutex_);
  readTensors_.emplace(tensorName);
  return StoredBytes{file->fileName() + ": tensor " + std::string(tensorName), tensor->shape, tensor->bytes};
}

std::string FolderCheckpoint::shownTensor(std::string_view tensorName) const {
  auto [file, tensor] = tensors_.find(tensorName);
  return (file ? file->fileName() : name()) + ": tensor " + std::string(tensorName);
}

GenerationSettings FolderCheckpoint::generationSettings() const {
  GenerationSettings out;
  if (!generation_.is_object())
    return out;
  auto number = [&](const char *key, double least, double most) -> std::optional<double> {
    const Json value = generation_.value(key, Json());
    if (value.is_null())
      return std::nullopt;
    if (!value.is_number() || !(value.get<double>() >= least && value.get<double>() <= most))
      throw CompileError((folder_ / "generation_config.json").string() + ": " + key + " is " + value.dump() +
                         ", which no sampling can be: mend the file");
    return value.get<double>();
  };
  out.temperature = number("temperature", 0, 10);
  out.topP = number("top_p", 1e-9, 1);
  out.minP = number("min_p", 0, 1);
  out.repeatPenalty = number("repetition_penalty", 0.1, 10);
  if (std::optional<double> topK = number("top_k", -1, INT32_MAX))
    out.topK = std::max<int64_t>(0, static_cast<int64_t>(*topK));
  if (generation_.value("do_sample", Json()) == Json(false))
    out.temperature = 0; // the likeliest token
  return out;
}

std::vector<std::string> FolderCheckpoint::unreadSettings() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> unread;
  for (const auto *settings : {&vectors_.settings(), &settings_})
    for (const auto &[key, value] : *settings)
      if (!readSettings_.contains(key))
        unread.push_back(key);
  return unread;
}

std::vector<std::string> FolderCheckpoint::unreadTensors() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> unread;
  tensors_.forEach([&](const SafetensorsTensor &tensor) {
    if (!readTensors_.contains(tensor.name))
      unread.push_back(tensor.name);
  });
  return unread;
}

} // namespace heddle
