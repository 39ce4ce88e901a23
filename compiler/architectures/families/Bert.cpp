//===- Bert.cpp - BERT ----------------------------------------------------------------------------------------------===//
//
// Devlin et al., arXiv:1810.04805: learned positions and kinds of sentences, attention over the whole text, layer norms after
// each half, GELU between two products, biases everywhere. MiniLM and most embedding models of its size are such.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Encoder.h"

using namespace heddle;

/// The tokens around a text are known of WordPiece vocabularies alone.
static void checkVocabulary(const ModelSource &m) {
  constexpr const char *kModel = "tokenizer.ggml.model";
  const std::optional<Setting> model = m.checkpoint().setting(kModel);
  if (const std::string *name = model ? model->as<std::string>() : nullptr; name && *name != "bert")
    throw CompileError(m.checkpoint().shownKey(kModel) + " is " + quotedForError(*name) +
                       "; only bert is supported in this family: use the model's folder");
}

static void build(GraphBuilder &g) {
  checkVocabulary(g.model());
  buildPostNormEncoder(g);
}

const Family &HEDDLE_FAMILY(Bert)() {
  static const Family family{
      .name = "bert",
      .modelTypes = {{"bert"}},
      .values = encoderValues(),
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
                       {"attn_output_norm", "attention.output.LayerNorm.gamma", "$", "", true, "attention.output.LayerNorm.beta"},
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
                       {"sentence_transformers.pooling.*", "*", "how to make vectors of several kinds, which are not asked for"}},
      .tensorRules = {{"*embeddings.position_ids", "*", "follows from the configuration"},
                      {"*pooler.dense.*", "*", "only heads for classification read it"},
                      {"cls.*", "*", "only a head for masked words reads it"}},
      .build = build};
  return family;
}
