//===- DistilBert.cpp - DistilBERT ----------------------------------------------------------------------------------===//
//
// Sanh et al., arXiv:1910.01108: BERT's equations without kinds of sentences, half as many layers.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Encoder.h"

using namespace heddle;

const Family &HEDDLE_FAMILY(DistilBert)() {
  static const Family family{
      .name = "distilbert",
      .modelTypes = {{"distilbert"}},
      .values = encoderValues({{"block_count", {"n_layers"}, {int64_t{6}}},
                               {"embedding_length", {"dim"}, {int64_t{768}}},
                               {"feed_forward_length", {"hidden_dim"}, {int64_t{3072}}},
                               {"attention.head_count", {"n_heads"}, {int64_t{12}}},
                               {"attention.layer_norm_rms_epsilon", {"layer_norm_eps"}, {1e-12}}, // no file says it
                               {"activation", {"activation"}, {std::string("gelu")}}}),
      .weights = {{"token_embd", "model.embeddings.word_embeddings"},
                  {"position_embd", "model.embeddings.position_embeddings"},
                  {"token_embd_norm", "model.embeddings.LayerNorm"}},
      .blockWeights = {{"attn_q", "attention.q_lin"},
                       {"attn_k", "attention.k_lin"},
                       {"attn_v", "attention.v_lin"},
                       {"attn_output", "attention.out_lin"},
                       {"attn_output_norm", "sa_layer_norm"},
                       {"ffn_up", "ffn.lin1"},
                       {"ffn_down", "ffn.lin2"},
                       {"layer_output_norm", "output_layer_norm"}},
      .places = {"distilbert.", ""},
      .layers = "model.transformer.layer.*.",
      .settingRules = encoderSettingRules({{"@sinusoidal_pos_embds", "*", "how the table of positions was first filled"},
                                           {"@dropout", "*", "only training drops values"}}),
      .tensorRules = encoderTensorRules({{"vocab_*", "*", "only a head for masked words reads it"}}),
      .build = buildPostNormEncoder};
  return family;
}
