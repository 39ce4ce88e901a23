"""model_folder.py - Hugging Face folders and split or quantised GGUF files of the same small model, made from a GGUF file of F32, F16 or
BF16 tensors (harness.tiny, say_model). Python's standard library only; written from the formats' descriptions, apart from the readers.
"""
import array
import json
import os
import struct

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # GGUF's value types
_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TYPES = {0: "F32", 1: "F16", 30: "BF16"}  # ggml's tensor types
_BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 12: (256, 144), 13: (256, 176),
           14: (256, 210), 39: (32, 17)}  # elements and bytes

BLOCK = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
LLAMA = BLOCK | {"ffn_norm": "post_attention_layernorm"}
GEMMA3 = BLOCK | {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_norm": "pre_feedforward_layernorm",
                  "post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}


class Gguf:
    """A whole file: keys {name: value}, raw keys {name: bytes} and tensors {name: (shape, ggml type, bytes)}; shape as in
    "rows, columns"."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.at = 4
        _, tensors, keys = struct.unpack("<IQQ", self._take(20))
        self.keys, self.raw = {}, {}
        for _ in range(keys):
            name, begin = self._string(), self.at
            self.keys[name] = self._value(self._number("I"))
            self.raw[name] = self.data[begin:self.at]
        infos = []
        for _ in range(tensors):
            name = self._string()
            dims = [self._number("Q") for _ in range(self._number("I"))]
            infos.append((name, tuple(reversed(dims)), self._number("I"), self._number("Q")))
        begin = (self.at + 31) // 32 * 32
        self.tensors = {}
        for name, shape, kind, offset in infos:
            elements, size = _BLOCKS[kind]
            for n in shape:
                size *= n
            size //= elements
            self.tensors[name] = (shape, kind, self.data[begin + offset:begin + offset + size])

    def _take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def _number(self, code):
        return struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0]

    def _string(self):
        return self._take(self._number("Q")).decode()

    def _value(self, kind):
        if kind == 8:
            return self._string()
        if kind == 9:
            element, count = self._number("I"), self._number("Q")
            if element == 8:
                return [self._string() for _ in range(count)]
            return list(struct.unpack(f"<{count}{_CODES[element]}", self._take(count * _SIZES[element])))
        return self._number(_CODES[kind])


def write_gguf(path, raw_keys, tensors):
    """A GGUF file of keys as they stand in another and tensors {name: (shape, ggml type, bytes)}."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(raw_keys))]
    for name, raw in raw_keys.items():
        head.append(struct.pack("<Q", len(name.encode())) + name.encode() + raw)
    offset = 0
    for name, (shape, kind, data) in tensors.items():
        head.append(struct.pack("<Q", len(name.encode())) + name.encode() + struct.pack("<I", len(shape)) +
                    struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", kind, offset))
        offset += (len(data) + 31) // 32 * 32
    text = b"".join(head)
    with open(path, "wb") as file:
        file.write(text + b"\0" * (-len(text) % 32))
        for _, _, data in tensors.values():
            file.write(data + b"\0" * (-len(data) % 32))
    return path


def split(gguf, stem, count):
    """The model as `count` files STEM-00001-of-…; their paths."""
    file = Gguf(gguf)
    names = list(file.tensors)
    paths = []
    for part in range(count):
        own = {"split.no": struct.pack("<IH", 2, part), "split.count": struct.pack("<IH", 2, count),
               "split.tensors.count": struct.pack("<Ii", 5, len(names))}
        kept = names[part * len(names) // count:(part + 1) * len(names) // count]
        paths.append(write_gguf(f"{stem}-{part + 1:05}-of-{count:05}.gguf", (file.raw if part == 0 else {}) | own,
                                {name: file.tensors[name] for name in kept}))
    return paths


# ---- quantised blocks of 32, as the gguf package makes them ----

def _f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def _round_away(x):
    return int(abs(x) + 0.5) * (1 if x >= 0 else -1)


def _q8_0(block):
    d = _f32(max(abs(x) for x in block) / 127)
    inverse = _f32(1 / d) if d else 0.0
    return struct.pack("<e32b", d, *(_round_away(_f32(x * inverse)) for x in block))


def _q4_0(block):
    best = max(block, key=abs)
    d = _f32(best / -8)
    inverse = _f32(1 / d) if d else 0.0
    codes = [min(15, int(_f32(_f32(x * inverse) + 8.5))) for x in block]
    return struct.pack("<e16B", d, *(codes[i] | codes[i + 16] << 4 for i in range(16)))


def quantized(gguf, path, kind):
    """The model with its matrices of rows that divide into blocks in `kind`."""
    file = Gguf(gguf)
    number, encode = {"q8_0": (8, _q8_0), "q4_0": (2, _q4_0)}[kind]
    tensors = {}
    for name, (shape, stored, data) in file.tensors.items():
        if len(shape) < 2 or shape[-1] % 32:
            tensors[name] = (shape, stored, data)
            continue
        values = array.array("f", data)
        tensors[name] = (shape, number, b"".join(encode(values[i:i + 32]) for i in range(0, len(values), 32)))
    return write_gguf(path, file.raw, tensors)


# ---- folders ----

def _halves_apart(data, rows, heads):
    """Rows of heads in which turned pairs are neighbours, with the two halves apart, as folders have them."""
    width, size = len(data) // rows, rows // heads
    order = [head * size + i for head in range(heads) for i in (*range(0, size, 2), *range(1, size, 2))]
    return b"".join(data[row * width:(row + 1) * width] for row in order)


def _less_one(data):
    return array.array("f", (x - 1 for x in array.array("f", data))).tobytes()


def folder_tensors(file, place="model."):
    """{name: (dtype, shape, bytes)} of a folder of the model in `file`, a Gguf."""
    gemma = file.keys["general.architecture"] == "gemma3"
    heads = {"attn_q": file.keys[f"{file.keys['general.architecture']}.attention.head_count"],
             "attn_k": file.keys[f"{file.keys['general.architecture']}.attention.head_count_kv"]}
    whole = {"token_embd.weight": place + "embed_tokens.weight", "output_norm.weight": place + "norm.weight",
             "output.weight": "lm_head.weight"}
    out = {}
    for name, (shape, kind, data) in file.tensors.items():
        role = name.split(".")[-2]
        if name.startswith("blk."):
            stored = f"{place}layers.{name.split('.')[1]}.{(GEMMA3 if gemma else LLAMA)[role]}.weight"
        else:
            stored = whole[name]
        if role in heads and not gemma:
            data = _halves_apart(data, shape[0], heads[role])
        if gemma and "norm" in role:
            data = _less_one(data)
        out[stored] = (_TYPES[kind], shape, data)
    return out


def safetensors(path, tensors):
    """One file; {name: (dtype, shape, bytes)}."""
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(data for _, _, data in tensors.values())
    return path


def shards(folder, tensors, count):
    """The tensors in `count` files and their index."""
    names, weight_map = list(tensors), {}
    for part in range(count):
        own = names[part * len(names) // count:(part + 1) * len(names) // count]
        file = f"model-{part + 1:05}-of-{count:05}.safetensors"
        safetensors(os.path.join(folder, file), {name: tensors[name] for name in own})
        weight_map |= {name: file for name in own}
    write_json(folder, "model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": weight_map})


def config_of(file):
    """config.json of the model in `file`, a Gguf."""
    keys, name = file.keys, file.keys["general.architecture"]
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": keys[name + ".embedding_length"],
        "num_hidden_layers": keys[name + ".block_count"], "intermediate_size": keys[name + ".feed_forward_length"],
        "num_attention_heads": keys[name + ".attention.head_count"], "num_key_value_heads": keys[name + ".attention.head_count_kv"],
        "head_dim": keys[name + ".attention.key_length"], "max_position_embeddings": keys[name + ".context_length"],
        "vocab_size": len(keys["tokenizer.ggml.tokens"]), "rms_norm_eps": 1e-5, "rope_theta": keys[name + ".rope.freq_base"],
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "attention_dropout": 0.0, "initializer_range": 0.02,
        "pretraining_tp": 1, "rope_scaling": None, "tie_word_embeddings": "output.weight" not in file.tensors, "torch_dtype": "float32",
        "transformers_version": "4.50.0", "use_cache": True, "bos_token_id": 0, "eos_token_id": keys["tokenizer.ggml.eos_token_id"],
    }
    if name == "gemma3":
        config |= {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "rms_norm_eps": 1e-6,
                   "hidden_activation": "gelu_pytorch_tanh", "sliding_window": keys[name + ".attention.sliding_window"],
                   "sliding_window_pattern": 6, "rope_local_base_freq": 10000.0, "attn_logit_softcapping": None,
                   "final_logit_softcapping": None, "query_pre_attn_scalar": keys[name + ".attention.key_length"]}
        for key in ("hidden_act", "mlp_bias", "pretraining_tp"):
            del config[key]
    return config


def tokenizer_of(file):
    """tokenizer.json of a GPT-2 vocabulary."""
    tokens, types = file.keys["tokenizer.ggml.tokens"], file.keys["tokenizer.ggml.token_type"]
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for i, (token, kind) in enumerate(zip(tokens, types)) if kind == 3]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False,
                      "vocab": {token: i for i, (token, kind) in enumerate(zip(tokens, types)) if kind != 3},
                      "merges": [merge.split(" ") for merge in file.keys["tokenizer.ggml.merges"]]}}


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf8") as file:
        json.dump(value, file)


def write(folder, gguf, *, count=1, config=None, without=(), place="model.", tensors=None, dropped=(), tokenizer=None, files=None):
    """Writes the folder and returns its path.

    count     of shards; 1: model.safetensors
    config    keys of config.json, added or replaced; `without` names some to leave out
    tensors   {name: (dtype, shape, bytes)}, added or replaced; `dropped` names some to leave out
    tokenizer called with tokenizer.json's object, to change it
    files     {name: object}: further JSON files
    """
    os.makedirs(folder, exist_ok=True)
    file = Gguf(gguf)
    settings = config_of(file)
    written = {key: value for key, value in (settings | (config or {})).items() if key not in without}
    write_json(folder, "config.json", written)
    all_tensors = {name: entry for name, entry in (folder_tensors(file, place) | (tensors or {})).items() if name not in dropped}
    if count == 1:
        safetensors(os.path.join(folder, "model.safetensors"), all_tensors)
    else:
        shards(folder, all_tensors, count)
    words = tokenizer_of(file)
    if tokenizer:
        tokenizer(words)
    write_json(folder, "tokenizer.json", words)
    for name, value in ({"tokenizer_config.json": {"bos_token": "<|endoftext|>", "add_bos_token": False, "tokenizer_class": "GPT2Tokenizer",
                                                   "eos_token": file.keys["tokenizer.ggml.tokens"][settings["eos_token_id"]]}} | (files or {})).items():
        write_json(folder, name, value)
    return folder
