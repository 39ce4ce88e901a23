"""decoders.py - the weights of a random decoder under both of their names: those of a Hugging Face folder and of a GGUF file.

What a converter changes between the two stands here once: the order of Llama's rows of q and k, Gemma's norms plus one, fused
and stacked tensors, GPT-2's transposed products, gpt-oss's interleaved gate and up.
"""
from types import SimpleNamespace

import tokens
from blocks import DenseTensor, mxfp4_matrices
from numbers_of import Numbers, Tensor, joined, stacked


def shape(**values):
    """Sizes of a model; what is not given is what most models have."""
    ordinary = {"rows": tokens.SIZE, "layers": 3, "tied": False, "embedding": 0.7, "head_gain": 4.0, "experts": 0,
                "qkv_bias": False, "o_bias": False, "mlp_bias": False, "qk_norm": False, "post_norms": False, "fused": False,
                "interleaved": False, "expert_names": None}
    return SimpleNamespace(**(ordinary | values))


class Weights:
    def __init__(self, seed):
        self.numbers = Numbers(seed)
        self.folder, self.gguf = {}, {}

    def add(self, folder_name, gguf_name, tensor, gguf_tensor=None):
        self.folder[folder_name] = tensor
        self.gguf[gguf_name] = gguf_tensor or tensor
        return tensor


def _without_specials(tensor):
    """Zero rows for special and unused tokens: their logit is 0, so that no greedy answer ends or leaves the vocabulary."""
    rows, width = tensor.shape
    return Tensor(tensor.shape, tensor.steps[:tokens.END * width] + [0] * ((rows - tokens.END) * width), tensor.step)


def vocabulary_ends(w, s):
    """The embedding, the last norm and the head."""
    width = s.width
    embedding = w.numbers.vector("embedding", s.rows * width, s.head_gain / width ** 0.5 if s.tied else s.embedding)
    embedding = _without_specials(Tensor((s.rows, width), embedding.steps, embedding.step))
    w.add("model.embed_tokens.weight", "token_embd.weight", embedding)
    norm(w, s, "model.norm.weight", "output_norm.weight", width)
    if not s.tied:
        w.add("lm_head.weight", "output.weight", _without_specials(w.numbers.matrix("head", s.rows, width, s.head_gain)))


def norm(w, s, folder_name, gguf_name, size, scale=1.0):
    """Gemma's folders (those with norms after the blocks too) keep the weight minus one."""
    tensor = w.numbers.norm(gguf_name, size)
    tensor = Tensor(tensor.shape, tensor.steps, tensor.step * scale, scale)
    w.add(folder_name, gguf_name, tensor.shifted(-1.0) if s.post_norms else tensor, tensor)


def interleaved(tensor, heads):
    """Rows of q or k for a rotation of neighbours, from rows for one of halves."""
    size = tensor.shape[0] // heads
    return tensor.rows([head * size + half * size // 2 + i for head in range(heads) for i in range(size // 2) for half in (0, 1)])


def attention(w, s, layer):
    at, blk, n = f"model.layers.{layer}.self_attn.", f"blk.{layer}.", w.numbers
    q, kv = s.heads * s.head, s.kv_heads * s.head
    parts = {}
    for role, rows, heads in (("q", q, s.heads), ("k", kv, s.kv_heads), ("v", kv, s.kv_heads)):
        weight = n.matrix(f"{blk}{role}", rows, s.width, 1.5 if s.fused or role != "v" else 1.0)
        bias = n.vector(f"{blk}{role} bias", rows, 0.5) if s.qkv_bias else None
        parts[role] = weight
        if s.fused:
            continue
        turn = s.interleaved and role != "v"
        w.add(f"{at}{role}_proj.weight", f"{blk}attn_{role}.weight", weight, interleaved(weight, heads) if turn else None)
        if bias:
            w.add(f"{at}{role}_proj.bias", f"{blk}attn_{role}.bias", bias, interleaved(bias, heads) if turn else None)
    if s.fused:
        w.add(f"{at}qkv_proj.weight", f"{blk}attn_qkv.weight", joined([parts["q"], parts["k"], parts["v"]]))
    if s.qk_norm:
        norm(w, s, f"{at}q_norm.weight", f"{blk}attn_q_norm.weight", s.head, 2.0)
        norm(w, s, f"{at}k_norm.weight", f"{blk}attn_k_norm.weight", s.head)
    w.add(f"{at}o_proj.weight", f"{blk}attn_output.weight", n.matrix(f"{blk}o", s.width, q, 2.0))
    if s.o_bias:
        w.add(f"{at}o_proj.bias", f"{blk}attn_output.bias", n.vector(f"{blk}o bias", s.width, 0.3))


def feed_forward(w, s, layer):
    at, blk, n = f"model.layers.{layer}.mlp.", f"blk.{layer}.", w.numbers
    gate, up = (n.matrix(blk + role, s.feed_forward, s.width, 1.5) for role in ("gate", "up"))
    if s.fused:
        w.add(f"{at}gate_up_proj.weight", f"{blk}ffn_up.weight", joined([gate, up]))
    else:
        w.add(f"{at}gate_proj.weight", f"{blk}ffn_gate.weight", gate)
        w.add(f"{at}up_proj.weight", f"{blk}ffn_up.weight", up)
    w.add(f"{at}down_proj.weight", f"{blk}ffn_down.weight", n.matrix(f"{blk}down", s.width, s.feed_forward, 1.5))
    if s.mlp_bias:
        for role, size in (("gate", s.feed_forward), ("up", s.feed_forward), ("down", s.width)):
            w.add(f"{at}{role}_proj.bias", f"{blk}ffn_{role}.bias", n.vector(f"{blk}{role} bias", size, 0.3))


def experts(w, s, layer):
    """Mixtral's and Qwen3's: a matrix of each expert in the folder, a stack of them in the file."""
    at, blk, n = f"model.layers.{layer}.", f"blk.{layer}.", w.numbers
    place, names = s.expert_names
    w.add(f"{at}{place}.gate.weight", f"{blk}ffn_gate_inp.weight", n.matrix(f"{blk}router", s.experts, s.width, 3.0))
    inner = (s.feed_forward, s.width, 1.5)
    for role, (rows, columns, gain) in {"gate": inner, "up": inner, "down": (s.width, s.feed_forward, 2.0)}.items():
        each = [n.matrix(f"{blk}{role} {e}", rows, columns, gain) for e in range(s.experts)]
        for e, matrix in enumerate(each):
            w.folder[f"{at}{place}.experts.{e}.{names[role]}.weight"] = matrix
        w.gguf[f"{blk}ffn_{role}_exps.weight"] = stacked(each)


def decoder(seed, s):
    """Everything from Llama to Qwen3-MoE."""
    w = Weights(seed)
    vocabulary_ends(w, s)
    for layer in range(s.layers):
        at, blk = f"model.layers.{layer}.", f"blk.{layer}."
        norm(w, s, f"{at}input_layernorm.weight", f"{blk}attn_norm.weight", s.width)
        attention(w, s, layer)
        if s.post_norms:
            norm(w, s, f"{at}post_attention_layernorm.weight", f"{blk}post_attention_norm.weight", s.width, 8.0)
            norm(w, s, f"{at}pre_feedforward_layernorm.weight", f"{blk}ffn_norm.weight", s.width)
            norm(w, s, f"{at}post_feedforward_layernorm.weight", f"{blk}post_ffw_norm.weight", s.width, 8.0)
        else:
            norm(w, s, f"{at}post_attention_layernorm.weight", f"{blk}ffn_norm.weight", s.width)
        (experts if s.experts else feed_forward)(w, s, layer)
    return w


def gemma3_vision(seed, s):
    """A folder of a text model among images: other names, and the encoder of images beside it, which a text does not touch."""
    w = decoder(seed, s)
    w.folder = {f"language_model.{name}": tensor for name, tensor in w.folder.items()}
    tower, size, inner = "vision_tower.vision_model.", 16, 32

    def product(name, rows, columns):
        w.folder[f"{name}.weight"] = w.numbers.matrix(name, rows, columns)
        w.folder[f"{name}.bias"] = w.numbers.vector(f"{name} bias", rows, 0.1)

    def layer_norm(name):
        w.folder[f"{name}.weight"] = w.numbers.norm(name, size)
        w.folder[f"{name}.bias"] = w.numbers.vector(f"{name} bias", size, 0.1)

    patch = w.numbers.vector("patch", size * 3 * 14 * 14, 0.05)
    w.folder[f"{tower}embeddings.patch_embedding.weight"] = Tensor((size, 3, 14, 14), patch.steps, patch.step)
    w.folder[f"{tower}embeddings.patch_embedding.bias"] = w.numbers.vector("patch bias", size, 0.1)
    w.folder[f"{tower}embeddings.position_embedding.weight"] = w.numbers.matrix("places", 4, size)
    for role in ("q_proj", "k_proj", "v_proj", "out_proj"):
        product(f"{tower}encoder.layers.0.self_attn.{role}", size, size)
    product(f"{tower}encoder.layers.0.mlp.fc1", inner, size)
    product(f"{tower}encoder.layers.0.mlp.fc2", size, inner)
    for name in ("encoder.layers.0.layer_norm1", "encoder.layers.0.layer_norm2", "post_layernorm"):
        layer_norm(tower + name)
    w.folder["multi_modal_projector.mm_input_projection_weight"] = w.numbers.matrix("projector", size, s.width)
    w.folder["multi_modal_projector.mm_soft_emb_norm.weight"] = w.numbers.norm("projector norm", size)
    return w


def gpt2(seed, s):
    """Learned positions, norms with biases, products stored transposed in the folder, which also holds the causal mask."""
    w = Weights(seed)
    n, width = w.numbers, s.width
    vocabulary = n.vector("embedding", s.rows * width, s.head_gain / width ** 0.5)
    w.add("wte.weight", "token_embd.weight", _without_specials(Tensor((s.rows, width), vocabulary.steps, vocabulary.step)))
    positions = n.vector("positions", s.context * width, 0.6)
    w.add("wpe.weight", "position_embd.weight", Tensor((s.context, width), positions.steps, positions.step))

    def layer_norm(folder_name, gguf_name):
        w.add(f"{folder_name}.weight", f"{gguf_name}.weight", n.norm(gguf_name, width))
        w.add(f"{folder_name}.bias", f"{gguf_name}.bias", n.vector(f"{gguf_name} bias", width, 0.1))

    def product(folder_name, gguf_name, rows, columns, gain):
        weight = n.matrix(gguf_name, rows, columns, gain)
        w.add(f"{folder_name}.weight", f"{gguf_name}.weight", weight.transposed(), weight)
        w.add(f"{folder_name}.bias", f"{gguf_name}.bias", n.vector(f"{gguf_name} bias", rows, 0.1))

    mask = DenseTensor((1, 1, s.context, s.context), [float(j <= i) for i in range(s.context) for j in range(s.context)])
    for layer in range(s.layers):
        at, blk = f"h.{layer}.", f"blk.{layer}."
        w.folder[f"{at}attn.bias"] = mask
        layer_norm(f"{at}ln_1", f"{blk}attn_norm")
        product(f"{at}attn.c_attn", f"{blk}attn_qkv", 3 * width, width, 1.5)
        product(f"{at}attn.c_proj", f"{blk}attn_output", width, width, 4.0)
        layer_norm(f"{at}ln_2", f"{blk}ffn_norm")
        product(f"{at}mlp.c_fc", f"{blk}ffn_up", 4 * width, width, 1.5)
        product(f"{at}mlp.c_proj", f"{blk}ffn_down", width, 4 * width, 4.0)
    layer_norm("ln_f", "output_norm")
    return w


def gpt_oss(seed, s):
    """Sinks, biases everywhere, and experts in MXFP4 whose gate and up alternate by rows in the folder."""
    w = Weights(seed)
    n, ff, width = w.numbers, s.feed_forward, s.width
    vocabulary_ends(w, s)
    for layer in range(s.layers):
        at, blk = f"model.layers.{layer}.", f"blk.{layer}."
        norm(w, s, f"{at}input_layernorm.weight", f"{blk}attn_norm.weight", width)
        attention(w, s, layer)
        w.add(f"{at}self_attn.sinks", f"{blk}attn_sinks.weight", n.vector(f"{blk}sinks", s.heads, 1.5))
        norm(w, s, f"{at}post_attention_layernorm.weight", f"{blk}post_attention_norm.weight", width)
        w.add(f"{at}mlp.router.weight", f"{blk}ffn_gate_inp.weight", n.matrix(f"{blk}router", s.experts, width, 3.0))
        w.add(f"{at}mlp.router.bias", f"{blk}ffn_gate_inp.bias", n.vector(f"{blk}router bias", s.experts, 1.0))
        both = mxfp4_matrices(n, f"{blk}gate_up", s.experts, 2 * ff, width, 3.0)  # large enough for the clamp at 7
        bias = n.vector(f"{blk}gate_up bias", s.experts * 2 * ff, 0.5)
        down = mxfp4_matrices(n, f"{blk}down", s.experts, width, ff, 0.7)
        down_bias = n.vector(f"{blk}down bias", s.experts * width, 0.3)
        w.folder[f"{at}mlp.experts.gate_up_proj"] = both
        w.folder[f"{at}mlp.experts.gate_up_proj_bias"] = Tensor((s.experts, 2 * ff), bias.steps, bias.step)
        w.add(f"{at}mlp.experts.down_proj", f"{blk}ffn_down_exps.weight", down)
        w.add(f"{at}mlp.experts.down_proj_bias", f"{blk}ffn_down_exps.bias",
              Tensor((s.experts, width), down_bias.steps, down_bias.step))
        for first, role in ((0, "gate"), (1, "up")):
            w.gguf[f"{blk}ffn_{role}_exps.weight"] = both.rows(range(first, 2 * ff, 2))
            w.gguf[f"{blk}ffn_{role}_exps.bias"] = Tensor((s.experts, ff), bias.steps[first::2], bias.step)
    return w
