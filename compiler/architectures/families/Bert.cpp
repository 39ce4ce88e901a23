//===- Bert.cpp - BERT ----------------------------------------------------------------------------------------------===//
//
// Devlin et al., arXiv:1810.04805: learned positions and kinds of sentences, attention over the whole text, layer norms after
// each half, GELU between two products, biases everywhere. MiniLM and most embedding models of its size are such.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Encoder.h"

using namespace heddle;
using namespace heddle::ir;

/// Kinds of sentences. GGUF files leave the number to the table.
static int64_t kindsOf(const ModelSource &m) {
  constexpr int64_t kMost = 1 << 16;
  if (m.checkpoint().kind() == Checkpoint::Kind::Folder)
    return m.requiredInteger("token_type_count", 1, kMost);
  const std::optional<TensorInfo> table = m.tensor("token_types.weight");
  return table && table->shape.size() == 2 ? table->shape.front() : 1;
}

/// The tokens around a text are known of WordPiece vocabularies alone.
static void checkVocabulary(const ModelSource &m) {
  constexpr const char *kModel = "tokenizer.ggml.model";
  const std::optional<Setting> model = m.checkpoint().setting(kModel);
  if (const std::string *name = model ? model->as<std::string>() : nullptr; name && *name != "bert")
    throw CompileError(m.checkpoint().shownKey(kModel) + " is " + quotedForError(*name) +
                       "; only bert is supported in this family: use the model's folder");
}

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  checkVocabulary(m);
  const Decoder d = readDecoder(m);
  const Shape places{{*m.integer("context_length"), d.width}, "context_length × embedding_length"};
  const Shape kinds{{kindsOf(m), d.width}, "token_type_count × embedding_length"};
  const Activation activation = readActivation(m, "activation");
  constexpr auto kBias = GraphBuilder::Bias::Needed;

  g.beginEntry("embed");
  auto x = g.add(g.embed(g.weight("token_embd.weight", d.embeddings())), g.embedTypes(g.weight("token_types.weight", kinds)));
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

const Family &HEDDLE_FAMILY(Bert)() {
  static const Family family = [] {
    std::vector<ValueName> values =
        decoderValues({{"attention.head_count_kv", {}},
                       {"attention.key_length", {}},
                       {"attention.layer_norm_rms_epsilon", {"layer_norm_eps"}, {1e-12}, {"attention.layer_norm_epsilon"}},
                       {"context_length", {"max_position_embeddings"}, {int64_t{512}}},
                       {"token_type_count", {"type_vocab_size"}, {int64_t{2}}},
                       {"activation", {"hidden_act"}, {std::string("gelu")}}});
    for (ValueName &value : poolingValues())
      values.push_back(std::move(value));
    return Family{
        .name = "bert",
        .modelTypes = {{"bert"}},
        .values = std::move(values),
        // Layer norms of old files are called gamma and beta.
        .weights = {{"token_embd", "model.embeddings.word_embeddings"},
                    {"token_types", "model.embeddings.token_type_embeddings"},
                    {"position_embd", "model.embeddings.position_embeddings"},
                    {"token_embd_norm", "model.embeddings.LayerNorm"},
                    {"token_embd_norm", "model.embeddings.LayerNorm.gamma", "$", "", true, "model.embeddings.LayerNorm.beta"}},
        .blockWeights = {{"attn_q", "attention.self.query"},
                         {"attn_k", "attention.self.key"},
                         {"attn_v", "attention.self.value"},
                         {"attn_output", "attention.output.dense"},
                         {"attn_output_norm", "attention.output.LayerNorm"},
                         {"attn_output_norm", "attention.output.LayerNorm.gamma", "$", "", true,
                          "attention.output.LayerNorm.beta"},
                         {"ffn_up", "intermediate.dense"},
                         {"ffn_down", "output.dense"},
                         {"layer_output_norm", "output.LayerNorm"},
                         {"layer_output_norm", "output.LayerNorm.gamma", "$", "", true, "output.LayerNorm.beta"}},
        .places = {"bert.", ""},
        .layers = "model.encoder.layer.*.",
        .settingRules = {{"@pooling_type", "", ""}, // read
                         {"@attention.causal", "false", "a causal mask is not supported in this family"},
                         {"@is_decoder", "false", "a causal mask is not supported in this family"},
                         {"@classifier_dropout", "*", "only training drops values"},
                         {"tokenizer.ggml.add_*_token", "*", "tokens around a text are those of BERT"},
                         {"sentence_transformers.pooling.*", "*",
                          "how to make vectors of several kinds, which are not asked for"}},
        .tensorRules = {{"*embeddings.position_ids", "*", "follows from the configuration"},
                        {"*pooler.dense.*", "*", "only heads for classification read it"},
                        {"cls.*", "*", "only a head for masked words reads it"}},
        .build = build};
  }();
  return family;
}
