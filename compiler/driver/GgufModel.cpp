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
  GgufVocabulary v;
  v.model = file_.string("tokenizer.ggml.model");
  v.pre = file_.findString("tokenizer.ggml.pre").value_or("");
  for (std::string_view token : file_.strings("tokenizer.ggml.tokens"))
    v.tokens.emplace_back(token);
  if (file_.has("tokenizer.ggml.scores"))
    for (double score : file_.numbers("tokenizer.ggml.scores"))
      v.scores.push_back(static_cast<float>(score));
  if (file_.has("tokenizer.ggml.token_type"))
    for (int64_t type : file_.integers("tokenizer.ggml.token_type"))
      v.types.push_back(static_cast<int32_t>(type));
  if (file_.has("tokenizer.ggml.merges"))
    for (std::string_view merge : file_.strings("tokenizer.ggml.merges"))
      v.merges.emplace_back(merge);
  v.bos = file_.findInteger("tokenizer.ggml.bos_token_id").value_or(-1);
  v.eos = file_.findInteger("tokenizer.ggml.eos_token_id").value_or(-1);
  v.unknown = file_.findInteger("tokenizer.ggml.unknown_token_id").value_or(-1);
  v.addSpacePrefix = file_.findBoolean("tokenizer.ggml.add_space_prefix");
  v.addBos = file_.findBoolean("tokenizer.ggml.add_bos_token");
  applyTokenizerDefaults(v);
  manifest.bos = v.bos, manifest.eos = v.eos, manifest.addBos = v.addBos.value_or(false);

  // What ends a text: the file's ids, and control tokens that chat models end a turn with whatever id the file names.
  static constexpr std::string_view endings[] = {"<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>",
                                                 "<end_of_turn>", "<|end|>",         "</s>",       "<EOT>"};
  auto ends = [&](int64_t id) {
    if (id >= 0 && id < vocabulary_ && std::ranges::find(manifest.endOfText, id) == manifest.endOfText.end())
      manifest.endOfText.push_back(id);
  };
  ends(v.eos);
  for (const char *key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    ends(file_.findInteger(key).value_or(-1));
  for (size_t id = 0; id < v.tokens.size() && !v.types.empty(); ++id)
    if ((v.types[id] == kControl || v.types[id] == kUserDefined) && std::ranges::find(endings, v.tokens[id]) != std::end(endings))
      ends(static_cast<int64_t>(id));
  std::ranges::sort(manifest.endOfText);
  return buildTokenizerJson(v);
}

std::string GgufModel::chatTemplate() const { return std::string(file_.findString("tokenizer.chat_template").value_or("")); }
