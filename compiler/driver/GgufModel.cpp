//===- GgufModel.cpp - hyperparameters, tensors and vocabulary of a GGUF file ----------------------------------------===//
#include "compiler/driver/GgufModel.h"
#include "compiler/importers/tokenizer/GgufTokenizer.h"
#include <algorithm>
#include <cmath>

using namespace heddle;

GgufModel::GgufModel(const std::filesystem::path &path)
    : file_(GgufFile::open(path)), architecture_(file_.string("general.architecture")),
      vocabulary_(static_cast<int64_t>(file_.strings("tokenizer.ggml.tokens").size())) {}

std::optional<int64_t> GgufModel::integer(std::string_view key) const { return file_.findInteger(prefixed(key)); }

std::optional<double> GgufModel::number(std::string_view key) const {
  if (key == "rope.scaling.factor") { // only linear scaling is a factor on every position; Llama 3's comes as rope_freqs.weight
    auto type = file_.findString(prefixed("rope.scaling.type"));
    if (type && *type != "linear") {
      if (*type == "none" || file_.findTensor("rope_freqs.weight"))
        return std::nullopt;
      throw CompileError(name() + ": RoPE scaling '" + std::string(*type) +
                         "' is not supported (linear, or factors in rope_freqs.weight)");
    }
  }
  return file_.findNumber(prefixed(key));
}

std::optional<TensorInfo> GgufModel::tensor(std::string_view tensorName) const {
  const GgufTensor *tensor = file_.findTensor(tensorName);
  if (!tensor)
    return std::nullopt;
  bool vector = tensor->dims.size() == 1;
  if (tensor->dims.size() > 2)
    throw CompileError(name() + ": tensor " + std::string(tensorName) + " has " + std::to_string(tensor->dims.size()) +
                       " dimensions; a weight has one or two");
  if (tensor->rows() > INT32_MAX || tensor->columns() > INT32_MAX)
    throw CompileError(name() + ": tensor " + std::string(tensorName) + " is too large: at most 2^31-1 rows and columns");
  if (tensorName == "token_embd.weight" && tensor->rows() != vocabulary_)
    throw CompileError(name() + ": token_embd.weight has " + std::to_string(tensor->rows()) + " rows for " +
                       std::to_string(vocabulary_) + " tokens: the file is inconsistent, convert it again");
  return TensorInfo{tensor->format, vector ? 1 : tensor->rows(), tensor->columns(), vector};
}

std::vector<float> GgufModel::vectorValues(std::string_view tensorName) const {
  const GgufTensor &tensor = file_.tensor(tensorName);
  std::vector<double> values(tensor.columns());
  if (tensor.rows() != 1)
    throw CompileError(name() + ": tensor " + std::string(tensorName) + " must be a vector");
  dequantizeRow(tensor.format, tensor.data.data(), tensor.columns(), values.data());
  for (double value : values)
    if (!(value > 0) || !std::isfinite(value))
      throw CompileError(name() + ": tensor " + std::string(tensorName) + " holds a factor that is not positive");
  return std::vector<float>(values.begin(), values.end());
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
