//===- FolderRules.cpp - what model folders say that nobody reads ---------------------------------------------------===//
#include "compiler/checkpoints/folder/FolderCheckpoint.h"

namespace heddle {
namespace {

constexpr Rule kKeyRules[] = {
    // Notes and what only training or Python code looks at. `@` also stands for the top of the file.
    {"@model_type", "*", "chooses the family"},
    {"@architectures", "*", "the Python class; tensors say which parts there are"},
    {"@auto_map*", "*", "Python code for older libraries; model_type names a family that is known here"},
    {"@_name_or_path", "*", "where the file comes from"},
    {"@transformers_version", "*", "which program wrote it"},
    {"@transformers.js_config.*", "*", "settings of another program"},
    {"@unsloth_*", "*", "a note of the program that trained it"},
    {"@torch_dtype", "*", "tensors say their own types"},
    {"@dtype", "*", "tensors say their own types"},
    {"@initializer_range", "*", "only training begins with it"},
    {"@initializer_factor", "*", "only training begins with it"},
    {"@*_dropout", "*", "only training drops values"},
    {"@*_dropout_prob", "*", "only training drops values"},
    {"@*_pdrop", "*", "only training drops values"},
    {"@gradient_checkpointing", "*", "only training stores gradients"},
    {"@use_cache", "*", "keys and values are always cached"},
    {"@cache_implementation", "*", "how Python code caches; windows are the same"},
    {"@pretraining_tp", "*", "cuts products in parts whose sum is the same"},
    {"@_attn_implementation*", "*", "which Python code computes the same attention"},
    {"@attn_implementation", "*", "which Python code computes the same attention"},
    {"@return_dict", "*", "what Python code gives back"},
    {"@output_attentions", "*", "what Python code gives back"},
    {"@output_hidden_states", "*", "what Python code gives back"},
    {"@torchscript", "*", "how Python code runs"},
    {"@bos_token_id", "*", "the tokenizer's files are asked first"},
    {"@eos_token_id", "*", "read with the tokenizer's files"},
    {"@pad_token_id", "*", "texts are not padded"},
    {"@sep_token_id", "*", "of pairs of texts, which decoders do not take"},
    {"@id2label*", "*", "names of classes, which only a classification head has"},
    {"@label2id*", "*", "names of classes, which only a classification head has"},
    {"@num_labels", "*", "names of classes, which only a classification head has"},
    {"@problem_type", "*", "how a classification head is trained"},
    {"@task_specific_params*", "*", "hints for pipelines of Python code"},
    {"@max_length", "*", "how long an answer may be is the caller's choice"},
    {"@temperature", "*", "choosing tokens: generation_config.json is read"},
    {"@top_k", "*", "choosing tokens: generation_config.json is read"},
    {"@top_p", "*", "choosing tokens: generation_config.json is read"},
    {"@do_sample", "*", "choosing tokens: generation_config.json is read"},
    {"@repetition_penalty", "*", "choosing tokens: generation_config.json is read"},
    {"@min_length", "*", "choosing tokens: generation_config.json is read"},
    {"@min_p", "*", "choosing tokens: generation_config.json is read"},
    {"@typical_p", "*", "choosing tokens: generation_config.json is read"},
    {"@num_beams", "*", "choosing tokens: generation_config.json is read"},
    {"@num_beam_groups", "*", "choosing tokens: generation_config.json is read"},
    {"@diversity_penalty", "*", "choosing tokens: generation_config.json is read"},
    {"@early_stopping", "*", "choosing tokens: generation_config.json is read"},
    {"@length_penalty", "*", "choosing tokens: generation_config.json is read"},
    {"@no_repeat_ngram_size", "*", "choosing tokens: generation_config.json is read"},
    {"@encoder_no_repeat_ngram_size", "*", "choosing tokens: generation_config.json is read"},
    {"@num_return_sequences", "*", "choosing tokens: generation_config.json is read"},
    {"@output_scores", "*", "choosing tokens: generation_config.json is read"},
    {"@return_dict_in_generate", "*", "choosing tokens: generation_config.json is read"},
    {"@bad_words_ids", "*", "choosing tokens: generation_config.json is read"},
    {"@remove_invalid_values", "*", "choosing tokens: generation_config.json is read"},
    {"@exponential_decay_length_penalty", "*", "choosing tokens: generation_config.json is read"},
    {"@suppress_tokens", "*", "choosing tokens: generation_config.json is read"},
    {"@begin_suppress_tokens", "*", "choosing tokens: generation_config.json is read"},
    {"@forced_bos_token_id", "*", "choosing tokens: generation_config.json is read"},
    {"@forced_eos_token_id", "*", "choosing tokens: generation_config.json is read"},
    {"sentence_transformers.*", "*", "how a vector is made of a text: encoders are asked"},
    {"@position_embedding_type", "absolute", "positions of this kind are not supported"},
    {"@tokenizer_class", "*", "the Python class; tokenizer.json is read"},
    {"@prefix", "*", "hints for pipelines of Python code"},
    {"@finetuning_task", "*", "a note of training"},
    {"@decoder_start_token_id", "*", "only encoder-decoders begin with it"},
    {"@tie_encoder_decoder", "*", "there is no encoder"},
    {"@cross_attention_hidden_size", "*", "there is no encoder"},
    {"@pruned_heads*", "null", "pruned heads are not supported"},
    {"@is_decoder", "*", "the family says it"},
    {"@is_encoder_decoder", "false", "encoder-decoders of this family are not known"},
    {"@add_cross_attention", "false", "attention to an encoder is not known in this family"},
    {"@chunk_size_feed_forward", "*", "cuts a computation in parts that give the same"},
    {"@tf_legacy_loss", "*", "only training has a loss"},
    {"@use_bfloat16", "*", "tensors say their own types"},
    {"@quantization_config.quant_method", "mxfp4", ""},
    {"@quantization_config.modules_to_not_convert*", "*", "tensors say their own types"},
    // What changes the mathematics wherever it stands.
    {"@attention_bias", "false", ""}, // families that have biases read it
    {"@mlp_bias", "false", ""},
    {"@attention_dropout", "*", "only training drops values"},
    {"@num_experts*", "0|1", "mixtures of experts are not supported: use a dense model"},
    {"@num_local_experts", "0|1", "mixtures of experts are not supported: use a dense model"},
    {"@partial_rotary_factor", "1|null", "heads that turn in part are not supported"},
    {"@*", "", ""},
};

constexpr Rule kTensorRules[] = {
    {"*.rotary_emb.inv_freq", "*", "follows from the configuration"},
    {"*.experts.*", "", "mixtures of experts are not supported: use a dense model"},
    {"*.block_sparse_moe.*", "", "mixtures of experts are not supported: use a dense model"},
    {"*.lora_*", "", "it is part of an adapter: merge it into the model"},
    {"*.weight_scale*", "", "its weights are quantised: use the model in F32, F16 or BF16 and --quantize"},
    {"score.*", "", "classification heads are not supported"},
};

} // namespace

std::span<const Rule> FolderCheckpoint::settingRules() const { return kKeyRules; }
std::span<const Rule> FolderCheckpoint::tensorRules() const { return kTensorRules; }

} // namespace heddle
