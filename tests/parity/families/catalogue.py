"""catalogue.py - the models: sizes, config.json with the keys that models of the family carry, metadata of the GGUF file.

Sizes are odd on purpose: five heads over one, heads of 16, 48 and 80, widths that are no multiple of 256, windows shorter than
the text. `folder_only` names what a GGUF file, as llama.cpp reads it, cannot say.
"""
import math
from types import SimpleNamespace

import decoders
import tokens
from decoders import shape

ALL = {}
EPS = 1 / 256  # of norms: far larger than anyone's, so that logits show what becomes of it
FAMILY_KEYS = {"transformers_version": "4.51.0", "use_cache": True, "bos_token_id": tokens.BEGIN, "eos_token_id": tokens.END}


def model(name, architecture, s, config, metadata, *, make=decoders.decoder, cut="gpt-2", context=512, folder_only=None,
          extra=None):
    """`metadata` without the architecture's prefix; `extra` {name: floats} are F32 tensors of the GGUF file alone."""
    ALL[name] = SimpleNamespace(name=name, architecture=architecture, shape=s, config=config, metadata=metadata, make=make,
                                cut=cut, context=context, seed=1, folder_only=folder_only, extra=extra or {})


def config(model_type, architecture, s, context, theta, eps, **more):
    """The keys that all decoders since Llama share."""
    return {"architectures": [architecture], "attention_dropout": 0.0, "hidden_act": "silu", "hidden_size": s.width,
            "initializer_range": 0.02, "intermediate_size": s.feed_forward, "max_position_embeddings": context,
            "model_type": model_type, "num_attention_heads": s.heads, "num_hidden_layers": s.layers,
            "num_key_value_heads": s.kv_heads, "rms_norm_eps": eps, "rope_theta": theta, "tie_word_embeddings": s.tied,
            "vocab_size": s.rows} | FAMILY_KEYS | more


def metadata(s, context, theta, eps, **more):
    """The keys that llama.cpp's converter writes for them; `more` with dots written as two underscores."""
    shared = {"block_count": s.layers, "context_length": context, "embedding_length": s.width,
              "feed_forward_length": s.feed_forward, "attention.head_count": s.heads, "attention.head_count_kv": s.kv_heads,
              "rope.freq_base": theta, "attention.layer_norm_rms_epsilon": eps}
    return shared | {key.replace("__", "."): value for key, value in more.items()}


def llama_file(s, context, theta, eps, **more):
    return metadata(s, context, theta, eps, vocab_size=s.rows, rope__dimension_count=s.head, **more)


def heads(s):
    return {"attention__key_length": s.head, "attention__value_length": s.head}


def llama3_factors(s, theta, factor, low, high, original):
    """What a frequency is divided by (Llama 3.1): by 1 below one wavelength, by `factor` above another, smoothly between."""
    factors = []
    for i in range(0, s.head, 2):
        wavelength = 2 * math.pi * theta ** (i / s.head)
        smooth = min(1.0, max(0.0, (original / wavelength - low) / (high - low)))
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


# ---- Llama ----

s = shape(width=80, heads=5, kv_heads=1, head=16, feed_forward=224, interleaved=True)
model("llama", "llama", s, config("llama", "LlamaForCausalLM", s, 512, 10000.0, EPS, attention_bias=False, mlp_bias=False,
      is_llama_config=True, pretraining_tp=1, rope_interleaved=False, rope_scaling=None), llama_file(s, 512, 10000.0, EPS))

s = shape(width=160, heads=2, kv_heads=1, head=80, feed_forward=256, interleaved=True, qkv_bias=True, o_bias=True, mlp_bias=True)
model("llama_biases", "llama", s, config("llama", "LlamaForCausalLM", s, 512, 10000.0, EPS, attention_bias=True, mlp_bias=True,
      pretraining_tp=1, rope_scaling=None), llama_file(s, 512, 10000.0, EPS, **heads(s)))

s = shape(width=160, heads=4, kv_heads=2, head=48, feed_forward=192, interleaved=True, tied=True)
model("llama31", "llama", s, config("llama", "LlamaForCausalLM", s, 512, 500000.0, EPS, attention_bias=False, head_dim=48,
      mlp_bias=False, pretraining_tp=1, rope_scaling={"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                                      "original_max_position_embeddings": 64, "rope_type": "llama3"}),
      llama_file(s, 512, 500000.0, EPS, **heads(s)), cut="llama-bpe",
      extra={"rope_freqs.weight": llama3_factors(s, 500000.0, 8.0, 1.0, 4.0, 64)})

s = shape(width=96, heads=6, kv_heads=2, head=32, feed_forward=256, interleaved=True)
model("mistral", "llama", s, config("mistral", "MistralForCausalLM", s, 512, 1000000.0, EPS, head_dim=32, sliding_window=None),
      llama_file(s, 512, 1000000.0, EPS, **heads(s)))

s = shape(width=96, heads=6, kv_heads=2, head=16, feed_forward=160, interleaved=True)
model("mistral_window", "llama", s, config("mistral", "MistralForCausalLM", s, 512, 10000.0, EPS, sliding_window=16), {},
      folder_only="llama.cpp's files of Mistral do not name the window")

s = shape(width=144, heads=3, kv_heads=1, head=48, feed_forward=160, interleaved=True, embedding=0.1, head_gain=32.0)
model("granite", "granite", s, config("granite", "GraniteForCausalLM", s, 512, 10000.0, EPS, attention_bias=False,
      attention_multiplier=0.1, embedding_multiplier=12.0, logits_scaling=8.0, mlp_bias=False, pad_token_id=tokens.END,
      residual_multiplier=0.4, rope_scaling=None),
      llama_file(s, 512, 10000.0, EPS, attention__scale=0.1, embedding_scale=12.0, residual_scale=0.4, logit_scale=8.0))

# ---- Gemma 3 ----


def gemma3(name, s, scalar, window, **more):
    """The text models of 270M and 1B, which name everything."""
    scaling = {"factor": 8.0, "rope_type": "linear"} if "rope__scaling__type" in more else None
    kinds = ["sliding_attention" if (i + 1) % 6 else "full_attention" for i in range(s.layers)]
    described = config("gemma3_text", "Gemma3ForCausalLM", s, 512, 1000000.0, EPS, _sliding_window_pattern=6,
                       attention_bias=False, attn_logit_softcapping=None, final_logit_softcapping=None, head_dim=s.head,
                       hidden_activation="gelu_pytorch_tanh", layer_types=kinds, pad_token_id=tokens.END,
                       query_pre_attn_scalar=scalar, rope_local_base_freq=10000.0, rope_scaling=scaling, sliding_window=window,
                       use_bidirectional_attention=False)
    del described["hidden_act"], described["tie_word_embeddings"]
    model(name, "gemma3", s, described, metadata(s, 512, 1000000.0, EPS, attention__sliding_window=window,
                                                 rope__freq_base_swa=10000.0, **heads(s), **more))


s = shape(width=64, heads=4, kv_heads=1, head=48, feed_forward=96, layers=7, tied=True, post_norms=True, qk_norm=True)
gemma3("gemma3", s, 48, 16)
s = shape(width=48, heads=2, kv_heads=1, head=16, feed_forward=32, layers=62, tied=True, post_norms=True, qk_norm=True)
gemma3("gemma3_27b", s, 24, 16, rope__scaling__type="linear", rope__scaling__factor=8.0)

# From 4B on the folder is one of texts and images: the text's sizes lie deeper, and what is as in the library is not named.
s = shape(width=64, heads=4, kv_heads=2, head=48, feed_forward=96, layers=7, tied=True, post_norms=True, qk_norm=True)
text = {"head_dim": 48, "hidden_size": 64, "intermediate_size": 96, "model_type": "gemma3_text", "num_attention_heads": 4,
        "num_hidden_layers": 7, "num_key_value_heads": 2, "query_pre_attn_scalar": 32,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 16, "vocab_size": s.rows}
vision = {"hidden_size": 16, "image_size": 28, "intermediate_size": 32, "model_type": "siglip_vision_model",
          "num_attention_heads": 2, "num_hidden_layers": 1, "patch_size": 14, "vision_use_head": False}
model("gemma3_vision", "gemma3", s, {
    "architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": tokens.BEGIN, "eoi_token_index": tokens.BEGIN,
    "eos_token_id": [tokens.END, tokens.BEGIN], "image_token_index": tokens.BEGIN, "initializer_range": 0.02,
    "mm_tokens_per_image": 4, "model_type": "gemma3", "text_config": text, "transformers_version": "4.50.0.dev0",
    "vision_config": vision}, {}, make=decoders.gemma3_vision,
      folder_only="llama.cpp knows the scale of attention by the number of layers alone")

# ---- Qwen ----

s = shape(width=128, heads=4, kv_heads=2, head=32, feed_forward=192, rows=304, tied=True, qkv_bias=True)
model("qwen2", "qwen2", s, config("qwen2", "Qwen2ForCausalLM", s, 512, 1000000.0, EPS, max_window_layers=3, sliding_window=512,
      use_sliding_window=False), metadata(s, 512, 1000000.0, EPS), cut="qwen2")

s = shape(width=96, heads=3, kv_heads=1, head=48, feed_forward=160, rows=304, tied=True, qk_norm=True)
model("qwen3", "qwen3", s, config("qwen3", "Qwen3ForCausalLM", s, 512, 1000000.0, EPS, attention_bias=False, head_dim=48,
      max_window_layers=3, rope_scaling=None, sliding_window=None, use_sliding_window=False),
      metadata(s, 512, 1000000.0, EPS, **heads(s)), cut="qwen2")

QWEN_EXPERTS = ("mlp", {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"})
for name, norm_topk in (("qwen3_moe", True), ("qwen3_moe_unnormed", False)):
    s = shape(width=96, heads=3, kv_heads=1, head=48, feed_forward=64, qk_norm=True, experts=8, expert_names=QWEN_EXPERTS)
    model(name, "qwen3moe", s, config("qwen3_moe", "Qwen3MoeForCausalLM", s, 512, 1000000.0, EPS, attention_bias=False,
          decoder_sparse_step=1, head_dim=48, intermediate_size=160, max_window_layers=3, mlp_only_layers=[],
          moe_intermediate_size=64, norm_topk_prob=norm_topk, num_experts=8, num_experts_per_tok=2, output_router_logits=False,
          rope_scaling=None, router_aux_loss_coef=0.001, sliding_window=None, use_sliding_window=False),
          metadata(s, 512, 1000000.0, EPS, **heads(s), expert_count=8, expert_used_count=2, expert_feed_forward_length=64,
                   feed_forward_length=160), cut="qwen2",
          folder_only=None if norm_topk else "llama.cpp always normalises the weights of the chosen experts")

# ---- Phi ----


def phi3(name, s, context, original, rotated=None, window=2047, scaling=None, theta=10000.0, folder_only=None, **more):
    described = config("phi3", "Phi3ForCausalLM", s, context, theta, EPS, attention_bias=False, embd_pdrop=0.0,
                       original_max_position_embeddings=original, pad_token_id=tokens.END, resid_pdrop=0.0,
                       rope_scaling=scaling, sliding_window=window,
                       auto_map={"AutoConfig": "configuration_phi3.Phi3Config",
                                 "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"})
    file = metadata(s, context, theta, EPS, rope__dimension_count=rotated or s.head, attention__sliding_window=window or 0,
                    rope__scaling__original_context_length=original)
    factors = {}
    if scaling:
        ratio = context / original
        file |= {"rope.scaling.attn_factor": math.sqrt(1 + math.log(ratio) / math.log(original))}
        factors = {"rope_factors_long.weight": scaling["long_factor"], "rope_factors_short.weight": scaling["short_factor"]}
    model(name, "phi3", s, described | more, file, context=context, extra=factors,
          folder_only=folder_only)


def long_rope(count):
    return {"long_factor": [1.0 + i * i / 8 for i in range(count)], "short_factor": [1.0 + i / 16 for i in range(count)],
            "type": "longrope"}


s = shape(width=160, heads=5, kv_heads=5, head=32, feed_forward=192, fused=True)
phi3("phi3", s, 4096, 4096)
phi3("phi3_window", s, 4096, 4096, window=16, folder_only="llama.cpp ignores the window of Phi-3")
s = shape(width=96, heads=2, kv_heads=2, head=48, feed_forward=160, fused=True)
phi3("phi3_short", s, 1024, 256, window=262144, scaling=long_rope(24))
phi3("phi3_long", s, 256, 32, window=262144, scaling=long_rope(24))
s = shape(width=128, heads=2, kv_heads=1, head=64, feed_forward=192, fused=True, tied=True)
phi3("phi4_mini", s, 256, 32, rotated=48, window=262144, scaling=long_rope(24), full_attn_mod=1, interpolate_factor=1,
     lm_head_bias=False, mlp_bias=False, partial_rotary_factor=0.75)
s = shape(width=128, heads=4, kv_heads=1, head=32, feed_forward=192, fused=True)
phi3("phi4", s, 512, 512, window=None, theta=250000.0)

# ---- GPT-2 ----

s = shape(width=96, heads=6, kv_heads=6, head=16, feed_forward=384, context=128, tied=True)
model("gpt2", "gpt2", s, {
    "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": tokens.END,
    "embd_pdrop": 0.1, "eos_token_id": tokens.END, "initializer_range": 0.02, "layer_norm_epsilon": EPS, "model_type": "gpt2",
    "n_ctx": 128, "n_embd": 96, "n_head": 6, "n_layer": 3, "n_positions": 128, "resid_pdrop": 0.1, "summary_activation": None,
    "summary_first_dropout": 0.1, "summary_proj_to_labels": True, "summary_type": "cls_index", "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "vocab_size": s.rows},
    {"block_count": 3, "context_length": 128, "embedding_length": 96, "feed_forward_length": 384, "attention.head_count": 6,
     "attention.layer_norm_epsilon": EPS}, make=decoders.gpt2, context=128)

# ---- mixtures of experts ----

s = shape(width=96, heads=3, kv_heads=1, head=32, feed_forward=64, interleaved=True, experts=8,
          expert_names=("block_sparse_moe", {"gate": "w1", "up": "w3", "down": "w2"}))
model("mixtral", "llama", s, config("mixtral", "MixtralForCausalLM", s, 512, 1000000.0, EPS, num_experts_per_tok=2,
      num_local_experts=8, output_router_logits=False, router_aux_loss_coef=0.02, sliding_window=None),
      llama_file(s, 512, 1000000.0, EPS, expert_count=8, expert_used_count=2))

# llama.cpp rounds the ends of YaRN's ramp to whole dimensions, the model's authors do not ("truncate": false). With this base the
# upper end lies a hair below 5 and the lower one below 0, so that both mean the same.
YARN_ORIGINAL, YARN_END = 64, 4.999998
theta = math.exp(32 * math.log(YARN_ORIGINAL / (2 * math.pi)) / (2 * YARN_END))
s = shape(width=96, heads=4, kv_heads=2, head=32, feed_forward=64, layers=4, experts=4, qkv_bias=True, o_bias=True)
described = config("gpt_oss", "GptOssForCausalLM", s, 2048, theta, EPS, attention_bias=True, experts_per_token=2, head_dim=32,
                   initial_context_length=YARN_ORIGINAL, layer_types=["sliding_attention", "full_attention"] * 2,
                   num_experts_per_tok=2, num_local_experts=4, output_router_logits=False, pad_token_id=tokens.END,
                   rope_scaling={"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0,
                                 "original_max_position_embeddings": YARN_ORIGINAL, "rope_type": "yarn", "truncate": False},
                   router_aux_loss_coef=0.9, sliding_window=16, swiglu_limit=7.0)
del described["bos_token_id"]
model("gpt_oss", "gpt-oss", s, described, metadata(s, 2048, theta, EPS, **heads(s), attention__sliding_window=16, expert_count=4,
      expert_used_count=2, expert_feed_forward_length=64, rope__scaling__type="yarn", rope__scaling__factor=32.0,
      rope__scaling__original_context_length=YARN_ORIGINAL, rope__scaling__yarn_beta_fast=32.0,
      rope__scaling__yarn_beta_slow=1.0), make=decoders.gpt_oss, cut="gpt-4o", context=2048)

# Seeds whose exact greedy answers have wide margins and many different tokens (expected.py --seeds).
for name, seed in {"llama": 2, "llama31": 11, "mistral": 3, "mistral_window": 14, "granite": 8, "gemma3": 4, "gemma3_27b": 3,
                   "gemma3_vision": 18, "qwen2": 13, "qwen3": 10, "qwen3_moe": 12, "qwen3_moe_unnormed": 12, "phi3": 4,
                   "phi3_window": 7, "phi3_short": 8, "phi3_long": 11, "phi4_mini": 1, "phi4": 3, "gpt2": 8, "mixtral": 13,
                   "gpt_oss": 2}.items():
    ALL[name].seed = seed
