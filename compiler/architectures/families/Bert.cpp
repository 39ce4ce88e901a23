//===- Bert.cpp - BERT ----------------------------------------------------------------------------------------------===//
//
// Devlin et al., arXiv:1810.04805: learned positions and kinds of sentences, attention over the whole text, layer norms after
// each half, GELU between two products, biases everywhere. MiniLM and most embedding models of its size are such.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Encoder.h"

using namespace heddle;

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
      .settingRules =
          encoderSettingRules({{"@pooling_type", "", ""}, // read
                               {"@attention.causal", "false", "a causal mask is not supported in this family"},
                               {"tokenizer.ggml.add_bos_token", "true", "texts without the tokens around them are not supported"},
                               {"tokenizer.ggml.add_sep_token", "true", "texts without the tokens around them are not supported"},
                               {"tokenizer.ggml.add_eos_token", "*", "tokens around a text are those of BERT"}}),
      .tensorRules = encoderTensorRules({{"cls.*", "*", "only a head for masked words reads it"}}),
      .build = buildPostNormEncoder};
  return family;
}
