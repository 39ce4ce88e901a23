//===- FileRules.cpp - what a file may say without being read -------------------------------------------------------===//
#include "compiler/driver/FileRules.h"
#include "compiler/graph/ModelSource.h"

namespace heddle {
namespace {

/// `name`: `*` stands for any text, `@` for the architecture. `harmless`: values that change nothing, parted by `|`; "*": every
/// value. The first rule that fits counts. `why` says why it is harmless or, of those with values, what all others would need.
struct Rule {
  std::string_view name, harmless, why;
};

constexpr Rule kKeyRules[] = {
    // Who made the file, of what, and how it is stored.
    {"general.type", "model", "only whole models can be run: give the model that this file belongs to"},
    {"general.quantization_version", "2", "its quantised blocks are of another version: convert the model again"},
    {"general.*", "*", "where the file comes from, and settings that a client may choose"},
    {"quantize.*", "*", "how the weights were quantised"},
    {"imatrix.*", "*", "what the weights were quantised by"},
    {"training.*", "*", "how far training got"},
    {"split.no", "0", "it is one part of several: join them with llama-gguf-split --merge"},
    {"split.tensors.count", "*", "how many tensors the parts had before they were joined"},
    {"adapter.*", "", "it is an adapter, not a model: merge it into its model"},
    {"clip.*", "", "images and sound are not supported: use the file of the text model"},
    {"diffusion.*", "", "diffusion of text is not supported"},
    {"xielu.*", "", "this activation function is not supported"},

    // Of the architecture: what is off, and notes.
    {"llama.tensor_data_layout", "Meta AI original pth", "rows of q and k are expected in that order"},
    {"@.expert_*", "0|false", "mixtures of experts are not supported: use a dense model"},
    {"@.leading_dense_block_count", "0", "mixtures of experts are not supported: use a dense model"},
    {"@.interleave_moe_layer_step", "0", "mixtures of experts are not supported: use a dense model"},
    {"@.moe_*", "0", "mixtures of experts are not supported: use a dense model"},
    {"@.router_logit_softcapping", "0", "mixtures of experts are not supported: use a dense model"},
    {"@.nextn_predict_layers", "0", "layers that predict further tokens are not supported"},
    {"@.use_parallel_residual", "false", "parallel residuals are not supported"},
    {"@.logit_scale", "1", "scaled logits are not supported"},
    {"@.residual_scale", "1", "scaled residuals are not supported"},
    {"@.final_logit_softcapping", "0", "a soft cap of logits is not supported"},
    {"@.attention.clamp_kqv", "0", "clamped queries and keys are not supported"},
    {"@.attention.max_alibi_bias", "0", "ALiBi is not supported"},
    {"@.attention.causal", "true", "attention to later tokens is not supported"},
    {"@.attention.shared_kv_layers", "0", "layers that share keys and values are not supported"},
    {"@.attention.layer_norm_epsilon", "", "layer norms are not supported, only RMS norms"},
    {"@.embedding_length_out", "0", "outputs of another width are not supported"},
    {"@.embedding_length_per_layer_input", "0", "inputs of each layer are not supported"},
    {"@.pooling_type", "0", "models that pool a text into one vector are not supported"},
    {"@.swin_norm", "false", "this norm is not supported"},
    {"@.rescale_every_n_layers", "0", "rescaled layers are not supported"},
    {"@.rope.scaling.original_context_length", "*", "only YaRN and LongRoPE, which are refused, compute with it"},
    {"@.rope.scaling.finetuned", "*", "a note that training went on with the scaling"},
    {"@.rope.scaling.attn_factor", "1", "scaled attention of YaRN or LongRoPE is not supported"},
    {"@.rope.scaling.yarn_beta_*", "*", "only YaRN, which is refused, computes with it"},
    {"@.rope.scaling.yarn_attn_factor", "1", "YaRN is not supported"},
    {"@.rope.scaling.yarn_*", "0", "YaRN is not supported"},
    {"gemma3.vision.*", "*", "the image encoder; only text is read"},
    {"gemma3.mm.*", "*", "the image encoder; only text is read"},
    {"@.*", "", ""},

    // Of the vocabulary: tokens that are never put into a text by us, and copies of what the lists say.
    {"tokenizer.ggml.padding_token_id", "*", "texts are not padded"},
    {"tokenizer.ggml.*_token_id", "*", "marks of infilling, classification and masking, which are not offered; ends are read"},
    {"tokenizer.ggml.add_eos_token", "false", "an end of text after every prompt is not supported"},
    {"tokenizer.ggml.add_sep_token", "false", "separators after a prompt are not supported"},
    {"tokenizer.ggml.add_padding_token", "*", "texts are not padded"},
    {"tokenizer.ggml.add_unknown_token", "*", "the unknown token comes by the vocabulary's own rules"},
    {"tokenizer.ggml.token_type_count", "*", "kinds of sentences, which only encoders tell apart"},
    {"tokenizer.ggml.pre", "*", "how text is cut into words; SentencePiece does not cut it"},
    {"tokenizer.ggml.merges", "*", "SentencePiece joins by scores"},
    {"tokenizer.ggml.scores", "*", "a vocabulary with merges joins by those"},
    {"tokenizer.ggml.remove_extra_whitespaces", "false", "dropping spaces of a text is not supported"},
    {"tokenizer.huggingface.json", "*", "a copy of the vocabulary for other programs"},
    {"tokenizer.chat_template*", "*", "further templates; the one without a name is used"},
    {"tokenizer.*", "", ""},

    {"*", "*", "notes of whoever made the file: no reader of this architecture looks outside of the names above"},
};

constexpr Rule kTensorRules[] = {
    {"*_exps.*", "", "mixtures of experts are not supported: use a dense model"},
    {"*_shexp.*", "", "mixtures of experts are not supported: use a dense model"},
    {"*.ffn_gate_inp*", "", "mixtures of experts are not supported: use a dense model"},
    {"*.ffn_gate.0.weight", "", "mixtures of experts are not supported: use a dense model"}, // one by one, as in old files
    {"*.attn_qkv.*", "", "queries, keys and values in one tensor are not supported: convert the model again"},
    {"*.bias", "", "biases are not supported: use a model without them"},
    {"*.lora_*", "", "it is part of an adapter: merge it into the model"},
    {"gemma3:v.*", "*", "the image encoder; only text is read"},
    {"gemma3:mm.*", "*", "the image encoder; only text is read"},
};

/// Whether `text` is `pattern`, whose `*` stand for any text and `@` for the architecture. Patterns have one `*` at most
/// besides one at an end, so that the time does not explode with a hostile name.
bool fits(std::string_view pattern, std::string_view text, std::string_view architecture) {
  if (pattern.starts_with('@'))
    return text.starts_with(architecture) && fits(pattern.substr(1), text.substr(architecture.size()), architecture);
  size_t star = pattern.find('*');
  if (star == std::string_view::npos)
    return pattern == text;
  if (!text.starts_with(pattern.substr(0, star)))
    return false;
  if (star + 1 == pattern.size())
    return true;
  for (size_t at = star; at <= text.size(); ++at)
    if (fits(pattern.substr(star + 1), text.substr(at), architecture))
      return true;
  return false;
}

bool isOneOf(std::string_view list, std::string_view value) {
  while (!list.empty()) {
    size_t end = list.find('|');
    if (list.substr(0, end) == value)
      return true;
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  }
  return false;
}

/// A key's value as the rules spell it.
std::string plainValue(const GgufFile &file, std::string_view key) {
  std::string shown = file.shownValue(key);
  bool quoted = shown.size() >= 2 && shown.front() == '\'' && shown.back() == '\'';
  return quoted ? shown.substr(1, shown.size() - 2) : shown;
}

[[noreturn]] void refuse(const GgufFile &file, const std::string &what, std::string_view why, std::string_view architecture) {
  std::string reason(why);
  if (reason.empty())
    reason = "this is not known here for architecture " + std::string(architecture) +
             ", and without it answers may be wrong: use another file, or a newer Heddle";
  else if (reason.find(':') == std::string::npos)
    reason += ": use a model without it";
  throw CompileError(file.fileName() + ": " + what + ": " + reason);
}

void checkKey(const GgufFile &file, std::string_view architecture, std::string_view key, bool unknownToo) {
  for (const Rule &rule : kKeyRules)
    if (fits(rule.name, key, architecture)) {
      if (rule.harmless == "*" || isOneOf(rule.harmless, plainValue(file, key)) || (!unknownToo && rule.why.empty()))
        return;
      std::string shown(quotedForError(key));
      return refuse(file, "metadata " + shown.substr(1, shown.size() - 2) + " is " + file.shownValue(key), rule.why,
                    architecture);
    }
}

void checkTensor(const GgufFile &file, std::string_view architecture, std::string_view name, bool unknownToo) {
  const std::string shown = quotedForError(name), plain = shown.substr(1, shown.size() - 2);
  for (const Rule &rule : kTensorRules) {
    std::string_view pattern = rule.name;
    if (size_t colon = pattern.find(':'); colon != std::string_view::npos) {
      if (pattern.substr(0, colon) != architecture)
        continue;
      pattern = pattern.substr(colon + 1);
    }
    if (!fits(pattern, name, architecture))
      continue;
    if (rule.harmless == "*")
      return;
    refuse(file, "tensor " + plain, rule.why, architecture);
  }
  if (unknownToo)
    refuse(file, "tensor " + plain, "", architecture);
}

bool ofTokenizer(std::string_view key) { return key.starts_with("tokenizer."); }

} // namespace

void refuseUnsupported(const GgufFile &file, std::string_view architecture) {
  for (std::string_view key : file.unreadKeys())
    if (!ofTokenizer(key))
      checkKey(file, architecture, key, /*unknownToo=*/false);
  for (std::string_view tensor : file.unreadTensors())
    checkTensor(file, architecture, tensor, /*unknownToo=*/false);
}

void refuseUnread(const GgufFile &file, std::string_view architecture) {
  for (std::string_view key : file.unreadKeys())
    if (!ofTokenizer(key))
      checkKey(file, architecture, key, /*unknownToo=*/true);
  for (std::string_view tensor : file.unreadTensors())
    checkTensor(file, architecture, tensor, /*unknownToo=*/true);
}

void refuseUnreadTokenizer(const GgufFile &file, std::string_view architecture) {
  for (std::string_view key : file.unreadKeys())
    if (ofTokenizer(key))
      checkKey(file, architecture, key, /*unknownToo=*/true);
}

} // namespace heddle
