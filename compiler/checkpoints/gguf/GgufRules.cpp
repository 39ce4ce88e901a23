//===- GgufRules.cpp - what GGUF files say that nobody reads --------------------------------------------------------===//
#include "compiler/checkpoints/gguf/GgufCheckpoint.h"

namespace heddle {
namespace {

constexpr Rule kKeyRules[] = {
    // Who made the file, of what, and how it is stored.
    {"general.type", "model", "only whole models can be run: give the model that this file belongs to"},
    {"general.quantization_version", "2", "its quantised blocks are of another version: convert the model again"},
    {"general.*", "*", "where the file comes from, and settings that a client may choose"},
    {"quantize.*", "*", "how the weights were quantised"},
    {"imatrix.*", "*", "what the weights were quantised by"},
    {"training.*", "*", "how far training got"},
    {"split.*", "*", "of which part of a split model this is; the parts were compared"},
    {"adapter.*", "", "it is an adapter, not a model: merge it into its model"},
    {"clip.*", "", "images and sound are not supported: use the file of the text model"},
    {"diffusion.*", "", "diffusion of text is not supported"},
    {"xielu.*", "", "this activation function is not supported"},

    // Of the architecture: what is off, and notes.
    {"@expert_*", "0|false", "mixtures of experts are not supported: use a dense model"},
    {"@leading_dense_block_count", "0", "mixtures of experts are not supported: use a dense model"},
    {"@interleave_moe_layer_step", "0", "mixtures of experts are not supported: use a dense model"},
    {"@moe_*", "0", "mixtures of experts are not supported: use a dense model"},
    {"@router_logit_softcapping", "0", "mixtures of experts are not supported: use a dense model"},
    {"@nextn_predict_layers", "0", "layers that predict further tokens are not supported"},
    {"@use_parallel_residual", "false", "parallel residuals are not supported"},
    {"@logit_scale", "1", "scaled logits are not supported"},
    {"@residual_scale", "1", "scaled residuals are not supported"},
    {"@final_logit_softcapping", "0", "a soft cap of logits is not supported"},
    {"@attention.clamp_kqv", "0", "clamped queries and keys are not supported"},
    {"@attention.max_alibi_bias", "0", "ALiBi is not supported"},
    {"@attention.causal", "true", "attention to later tokens is not supported"},
    {"@attention.shared_kv_layers", "0", "layers that share keys and values are not supported"},
    {"@embedding_length_out", "0", "outputs of another width are not supported"},
    {"@embedding_length_per_layer_input", "0", "inputs of each layer are not supported"},
    {"@pooling_type", "0", "models that pool a text into one vector are not supported"},
    {"@swin_norm", "false", "this norm is not supported"},
    {"@rescale_every_n_layers", "0", "rescaled layers are not supported"},
    {"@rope.scaling.original_context_length", "*", "only YaRN and LongRoPE compute with it"},
    {"@rope.scaling.finetuned", "*", "a note that training went on with the scaling"},
    {"@rope.scaling.attn_factor", "1", ""},
    {"@rope.scaling.yarn_beta_*", "*", "only YaRN computes with it"},
    {"@rope.scaling.yarn_attn_factor", "1", ""},
    {"@rope.scaling.yarn_*", "0", ""},
    {"@*", "", ""},

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
    {"tokenizer.ggml.remove_extra_whitespaces", "false", "only unigram vocabularies (t5) drop spaces of a text"},
    {"tokenizer.huggingface.json", "*", "a copy of the vocabulary for other programs"},
    {"tokenizer.chat_template*", "*", "further templates; the one without a name is used"},
    {"tokenizer.*", "", ""},

    {"*", "*", "notes of whoever made the file: no reader of this architecture looks outside of the names above"},
};

constexpr Rule kTensorRules[] = {
    {"*_exps.*", "", "mixtures of experts are not supported: use a dense model"},
    {"*_shexp.*", "", "mixtures of experts are not supported: use a dense model"},
    {"*.ffn_gate_inp*", "", "mixtures of experts are not supported: use a dense model"},
    {"*.ffn_gate.0.weight", "", "experts in tensors of their own, as in old files, are not supported: convert the model again"},
    {"*.lora_*", "", "it is part of an adapter: merge it into the model"},
};

} // namespace

std::span<const Rule> GgufCheckpoint::settingRules() const { return kKeyRules; }
std::span<const Rule> GgufCheckpoint::tensorRules() const { return kTensorRules; }

} // namespace heddle
