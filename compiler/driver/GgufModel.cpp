//===- GgufModel.cpp - hyperparameters, tensors and vocabulary of a GGUF file ----------------------------------------===//
#include "compiler/driver/GgufModel.h"
#include "compiler/importers/tokenizer/GgufTokenizer.h"
#include <algorithm>
#include <cstring>
#include <functional>

using namespace heddle;

GgufModel::GgufModel(const std::filesystem::path &path)
    : file_(GgufFile::open(path)), architecture_(file_.string("general.architecture")),
      vocabulary_(static_cast<int64_t>(file_.strings("tokenizer.ggml.tokens").size())) {}

bool GgufModel::isList(const std::string &key) const {
  const GgufValue *value = file_.findValue(key);
  return value && value->type == GgufType::Array;
}

std::optional<int64_t> GgufModel::integer(std::string_view key) const {
  if (!isList(prefixed(key)))
    return file_.findInteger(prefixed(key));
  std::vector<int64_t> values = file_.integers(prefixed(key)); // of each layer
  if (values.empty())
    refuse(key, "is an empty list: convert the model again");
  if (std::ranges::adjacent_find(values, std::not_equal_to<>()) != values.end())
    refuse(key, "differs from layer to layer, which is not supported: use a model whose layers are alike");
  return values.front();
}

std::optional<double> GgufModel::number(std::string_view key) const { return file_.findNumber(prefixed(key)); }

std::optional<std::string> GgufModel::text(std::string_view key) const {
  auto found = file_.findString(prefixed(key));
  return found ? std::optional<std::string>(*found) : std::nullopt;
}

std::optional<std::vector<bool>> GgufModel::flags(std::string_view key) const {
  const std::string name = prefixed(key);
  if (!isList(name))
    return std::nullopt;
  if (file_.findValue(name)->element == GgufType::Bool)
    return file_.booleans(name);
  std::vector<bool> flags;
  for (int64_t value : file_.integers(name))
    flags.push_back(value != 0);
  return flags;
}

std::optional<TensorInfo> GgufModel::tensor(std::string_view tensorName) const {
  const GgufTensor *tensor = file_.findTensor(tensorName);
  if (!tensor)
    return std::nullopt;
  return TensorInfo{tensor->format, {tensor->dims.rbegin(), tensor->dims.rend()}};
}

std::vector<float> GgufModel::vectorValues(std::string_view tensorName) const {
  const GgufTensor &tensor = file_.tensor(tensorName);
  if (tensor.format != Format::F32)
    throw CompileError(name() + ": tensor " + std::string(tensorName) + " must be F32: convert the model again");
  std::vector<float> values(tensor.data.size() / sizeof(float));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

std::string GgufModel::tokenizerJson(Manifest &manifest) const {
  const GgufVocabulary vocabulary = readVocabulary(file_);
  manifest.bos = vocabulary.bos, manifest.eos = vocabulary.eos, manifest.addBos = vocabulary.addBos.value_or(false);
  manifest.endOfText = endsOfText(vocabulary);
  return buildTokenizerJson(vocabulary);
}

std::string GgufModel::chatTemplate() const { return std::string(file_.findString("tokenizer.chat_template").value_or("")); }

GenerationSettings GgufModel::generationSettings() const {
  auto number = [&](const char *key, double least, double most) {
    std::optional<double> value = file_.findNumber(std::string("general.sampling.") + key);
    if (value && !(*value >= least && *value <= most))
      throw CompileError(name() + ": metadata general.sampling." + key + " is " + std::to_string(*value) +
                         ", which no sampling can be: mend the file");
    return value;
  };
  GenerationSettings out;
  out.temperature = number("temp", 0, 10);
  out.topP = number("top_p", 1e-9, 1);
  out.minP = number("min_p", 0, 1);
  out.repeatPenalty = number("penalty_repeat", 0.1, 10);
  if (std::optional<int64_t> topK = file_.findInteger("general.sampling.top_k"))
    out.topK = std::clamp<int64_t>(*topK, 0, INT32_MAX); // makers write -1 for all
  return out;
}
