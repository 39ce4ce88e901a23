//===- Encoder.cpp - what encoders have in common ---------------------------------------------------------------------===//
#include "compiler/architectures/Encoder.h"
#include <algorithm>
#include <optional>

using namespace heddle;
using namespace heddle::ir;

constexpr const char *kModules = "pooling.modules";

ir::Activation heddle::readActivation(const ModelSource &m, std::string_view key) {
  // Where a folder is silent the family's values say what is meant, so none is null; GGUF files do not speak of it.
  const std::string name = m.text(key).value_or(m.checkpoint().kind() == Checkpoint::Kind::Gguf ? "gelu" : "null");
  if (name == "gelu")
    return Activation::Gelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh")
    return Activation::GeluTanh;
  if (name == "relu")
    return Activation::Relu;
  if (name == "silu" || name == "swish")
    return Activation::Silu;
  m.refuse(key, "is " + quotedForError(name) + ": this activation function is not supported: use a model without it");
}

std::vector<ValueName> heddle::encoderValues(std::vector<ValueName> own) {
  const std::vector<ValueName> common = {
      {"attention.head_count_kv", {}},
      {"attention.key_length", {}},
      {"attention.layer_norm_rms_epsilon", {"layer_norm_eps"}, {1e-12}, {"attention.layer_norm_epsilon"}},
      {"context_length", {"max_position_embeddings"}, {int64_t{512}}},
      {"token_type_count", {"type_vocab_size"}, {int64_t{2}}},
      {"activation", {"hidden_act"}, {std::string("gelu")}},
      {"pooling_type", {}},
      {kModules, {"sentence-transformers/modules"}},
      {"pooling.mode", {"sentence-transformers/pooling/pooling_mode"}},
      {"pooling.first", {"sentence-transformers/pooling/pooling_mode_cls_token"}},
      {"pooling.mean", {"sentence-transformers/pooling/pooling_mode_mean_tokens"}},
      {"pooling.last", {"sentence-transformers/pooling/pooling_mode_lasttoken"}},
      {"pooling.max", {"sentence-transformers/pooling/pooling_mode_max_tokens"}},
      {"pooling.root_mean", {"sentence-transformers/pooling/pooling_mode_mean_sqrt_len_tokens"}},
      {"pooling.weighted_mean", {"sentence-transformers/pooling/pooling_mode_weightedmean_tokens"}}};
  own.insert(own.end(), common.begin(), common.end()); // the first of a name counts
  return decoderValues(std::move(own));
}

std::vector<Rule> heddle::encoderSettingRules(std::vector<Rule> own) {
  constexpr const char *kHead = "of a head, which is not asked for", *kNote = "a note of training or of another program";
  const std::vector<Rule> common = {
      {"@is_decoder", "false", "a causal mask is not supported in this family"},
      {"@tie_word_embeddings", "*", kHead},
      {"@tie_weights_", "*", kHead},
      {"@pooler_*", "*", kHead},
      {"@unk_token_id", "*", "the tokenizer's files are asked"},
      {"@model_max_length", "*", "the tables of positions say how long a text may be"},
      {"@output_past", "*", kNote},
      {"@directionality", "*", kNote},
      {"@language", "*", kNote},
      {"@name", "*", kNote},
      {"sentence-transformers/pooling/word_embedding_dimension", "*", "the width, again"},
      {"sentence-transformers/pooling/embedding_dimension", "*", "the width, again"},
      {"sentence-transformers/pooling/include_prompt", "*", "no prompt is put before a text"},
      {"sentence-transformers/pooling/*", "false", ""},
      {"sentence-transformers/transformer/do_lower_case", "false", "texts are given to the tokenizer as they are"},
      {"sentence-transformers/transformer/max_seq_length", "*", "texts are cut where that is asked for"},
      {"sentence-transformers/transformer/transformer_task", "feature-extraction", "only vectors of texts are supported"},
      {"sentence-transformers/transformer/modality_config*", "*", "which outputs of Python code hold the rows"},
      {"sentence-transformers/transformer/module_output_name", "*", "which outputs of Python code hold the rows"},
      {"sentence-transformers/transformer/*", "", ""},
      {"sentence-transformers/config/default_prompt_name", "null", "no prompt is put before a text"},
      {"sentence-transformers/config/prompts*", "*", "texts that a caller may put before his own"},
      {"sentence-transformers/config/similarity_fn_name", "*", "how a caller may compare vectors"},
      {"sentence-transformers/config/model_type", "*", kNote},
      {"sentence-transformers/config/__version__*", "*", kNote},
      {"sentence-transformers/config/*", "", ""}};
  own.insert(own.end(), common.begin(), common.end()); // the first that fits counts
  return own;
}

std::vector<Rule> heddle::encoderTensorRules(std::vector<Rule> own) {
  const std::vector<Rule> common = {{"*embeddings.position_ids", "*", "follows from the configuration"},
                                    {"*embeddings.token_type_ids", "*", "follows from the configuration"},
                                    {"*pooler.dense.*", "*", "only heads for classification read it"}};
  own.insert(own.end(), common.begin(), common.end());
  return own;
}

/// The table's rows: GGUF files leave their number to it.
static int64_t rowsOf(const ModelSource &m, const char *table) {
  const std::optional<TensorInfo> info = m.tensor(table);
  return info && info->shape.size() == 2 ? info->shape.front() : 1;
}

/// The tokens around a text are known of WordPiece vocabularies alone.
static void checkVocabulary(const ModelSource &m) {
  constexpr const char *kModel = "tokenizer.ggml.model";
  const std::optional<Setting> model = m.checkpoint().setting(kModel);
  if (const std::string *name = model ? model->as<std::string>() : nullptr; name && *name != "bert")
    throw CompileError(m.checkpoint().shownKey(kModel) + " is " + quotedForError(*name) +
                       "; only bert is supported in this family: use the model's folder");
}

void heddle::buildPostNormEncoder(GraphBuilder &g) {
  const ModelSource &m = g.model();
  checkVocabulary(m);
  const Decoder d = readDecoder(m);
  const bool gguf = m.checkpoint().kind() == Checkpoint::Kind::Gguf;
  m.requiredInteger("context_length", m.family().firstPosition + 1, 1 << 27);
  const Shape places{{m.positions(), d.width}, "positions that a text has × embedding_length"};
  const bool kinds = std::ranges::find(m.family().weights, "token_types", &WeightName::name) != m.family().weights.end();
  const Activation activation = readActivation(m, "activation");
  constexpr auto kBias = GraphBuilder::Bias::Needed;

  g.beginEntry("embed");
  auto x = g.embed(g.weight("token_embd.weight", d.embeddings()));
  if (kinds) {
    const int64_t count = gguf ? rowsOf(m, "token_types.weight") : m.requiredInteger("token_type_count", 1, 1 << 16);
    x = g.add(x, g.embedTypes(g.weight("token_types.weight", {{count, d.width}, "token_type_count × embedding_length"})));
  }
  x = g.add(x, g.embedPositions(g.weight("position_embd.weight", places)));
  x = g.layerNorm(x, g.weight("token_embd_norm.weight", d.features(), kBias), d.eps);
  for (int64_t layer = 0; layer < d.layers; ++layer)
    x = g.block("encoder_block", layer, x,
                {{"attn_q", d.queries(), kBias},
                 {"attn_k", d.keys(), kBias},
                 {"attn_v", d.keys(), kBias},
                 {"attn_output", d.attended(), kBias},
                 {"attn_output_norm", d.features(), kBias},
                 {"ffn_up", d.up(), kBias},
                 {"ffn_down", d.down(), kBias},
                 {"layer_output_norm", d.features(), kBias}},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto q = g.linear(x, w("attn_q")), k = g.linear(x, w("attn_k")), v = g.linear(x, w("attn_v"));
                  auto a = g.attention(q, k, v, {"", d.heads, d.kvHeads, d.headDim, d.scale});
                  x = g.layerNorm(g.add(x, g.linear(a, w("attn_output"))), w("attn_output_norm"), d.eps);
                  auto h = g.activate(g.linear(x, w("ffn_up")), activation);
                  return g.layerNorm(g.add(x, g.linear(h, w("ffn_down"))), w("layer_output_norm"), d.eps);
                });
  g.endEntry(embeddingOf(g, x));
}

using Pooling = GraphBuilder::Pooling;

/// pooling_type of a GGUF file, as llama.cpp numbers them.
static Pooling poolingOfGguf(const ModelSource &m) {
  if (!m.integer("pooling_type"))
    m.refuse("pooling_type", "is missing, so how vectors are made is not known: " + m.again());
  switch (*m.integer("pooling_type")) {
  case 1:
    return Pooling::Mean;
  case 2:
    return Pooling::First;
  case 3:
    return Pooling::Last;
  default:
    m.refuse("pooling_type", "is " + std::to_string(*m.integer("pooling_type")) +
                                 "; only 1 (mean), 2 (first token) and 3 (last token) are supported");
  }
}

/// Of sentence-transformers' Pooling module: one word in new files; in old ones a flag for each kind, of which the mean is set
/// unless it is said not to be. Vectors of several kinds at once are put side by side there, which is not supported.
static Pooling poolingOfFolder(const ModelSource &m) {
  constexpr std::pair<const char *, Pooling> kFlags[] = {
      {"pooling.first", Pooling::First}, {"pooling.mean", Pooling::Mean}, {"pooling.last", Pooling::Last}};
  constexpr std::pair<std::string_view, Pooling> kWords[] = {
      {"cls", Pooling::First}, {"mean", Pooling::Mean}, {"lasttoken", Pooling::Last}};
  constexpr const char *kOnly = "only the first or last token or their mean is supported: use a model without it";
  for (auto [key, how] : kFlags)
    m.flag(key); // read, and checked, whatever counts
  for (const char *other : {"pooling.max", "pooling.root_mean", "pooling.weighted_mean"})
    if (m.flag(other).value_or(false))
      m.refuse(other, std::string("is true: ") + kOnly);
  if (std::optional<std::string> word = m.text("pooling.mode")) {
    for (auto [name, how] : kWords)
      if (*word == name)
        return how;
    m.refuse("pooling.mode", "is " + quotedForError(*word) + ": " + kOnly);
  }
  std::optional<Pooling> asked;
  for (auto [key, how] : kFlags)
    if (m.flag(key).value_or(how == Pooling::Mean)) {
      if (asked)
        m.refuse(key,
                 "is true beside another kind: vectors of several kinds at once are not supported: use a model without them");
      asked = how;
    }
  if (!asked)
    m.refuse("pooling.mean", std::string("is false, and no other kind is asked for: ") + kOnly);
  return *asked;
}

mlir::Value heddle::embeddingOf(GraphBuilder &g, mlir::Value x) {
  const ModelSource &m = g.model();
  if (m.checkpoint().kind() == Checkpoint::Kind::Gguf)
    return g.normalize(g.pool(x, poolingOfGguf(m)));
  const std::optional<std::vector<std::string>> modules = m.texts(kModules);
  if (!modules)
    return g.pool(x, Pooling::Mean);
  const std::vector<std::string> kKnown = {"Transformer", "Pooling", "Normalize"};
  for (size_t i = 0; i < std::max<size_t>(modules->size(), 2); ++i)
    if (i >= modules->size() || i >= kKnown.size() || (*modules)[i] != kKnown[i])
      m.refuse(kModules, (i < modules->size() ? "has the module " + quotedForError((*modules)[i]) : std::string("ends")) +
                             " as number " + std::to_string(i + 1) +
                             "; only Transformer, Pooling and then perhaps Normalize are supported: use a model without others");
  x = g.pool(x, poolingOfFolder(m));
  if (modules->size() == kKnown.size())
    x = g.normalize(x);
  return x;
}
