//===- Roberta.cpp - RoBERTa ----------------------------------------------------------------------------------------===//
//
// Liu et al., arXiv:1907.11692: BERT's equations with another vocabulary and one kind of sentences; Conneau et al.,
// arXiv:1911.02116 (XLM-RoBERTa) of a hundred languages. The first token stands at row 2 of the table of positions: two are kept
// for padding.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Encoder.h"

using namespace heddle;

const Family &HEDDLE_FAMILY(Roberta)() {
  static const Family family{
      .name = "roberta",
      .modelTypes = {{"roberta"}, {"xlm-roberta"}, {"camembert"}},
      .values = encoderValues(),
      .weights = {{"token_embd", "model.embeddings.word_embeddings"},
                  {"token_types", "model.embeddings.token_type_embeddings"},
                  {"position_embd", "model.embeddings.position_embeddings", "rows($, 2, {context_length})"},
                  {"token_embd_norm", "model.embeddings.LayerNorm"}},
      .blockWeights = {{"attn_q", "attention.self.query"},
                       {"attn_k", "attention.self.key"},
                       {"attn_v", "attention.self.value"},
                       {"attn_output", "attention.output.dense"},
                       {"attn_output_norm", "attention.output.LayerNorm"},
                       {"ffn_up", "intermediate.dense"},
                       {"ffn_down", "output.dense"},
                       {"layer_output_norm", "output.LayerNorm"}},
      .places = {"roberta.", ""},
      .layers = "model.encoder.layer.*.",
      .firstPosition = 2,
      .settingRules =
          encoderSettingRules({{"@pad_token_id", "1", "the first position follows it: other padding is not supported"}}),
      .tensorRules = encoderTensorRules({{"lm_head.*", "*", "only a head for masked words reads it"}}),
      .build = buildPostNormEncoder};
  return family;
}
