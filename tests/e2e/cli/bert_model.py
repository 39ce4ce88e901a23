"""bert_model.py - small random models of BERT's equations, as Hugging Face folders (of BERT, RoBERTa and DistilBERT) with sentence-transformers'
files and as a GGUF file, and what they make of a text, in plain Python from the paper (Devlin et al., arXiv:1810.04805). Standard library only."""
import json
import math
import os
import random
import struct

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "a", "mat", "dog", "##s", "##ing", "run", "walk", ",", ".", "un",
         "##happy", "house", "is", "wonderful", "42", "é", "##e"]
PAD, UNKNOWN, FIRST, SEPARATOR = 0, 1, 2, 3


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


class Bert:
    """width is heads · head size; positions, layers and the feed-forward width are small."""

    def __init__(self, width=32, heads=2, layers=2, feed_forward=64, positions=40, kinds=2, activation="gelu", seed=1, eps=1e-5):
        self.width, self.heads, self.layers, self.feed_forward = width, heads, layers, feed_forward
        self.positions, self.kinds, self.activation, self.eps = positions, kinds, activation, eps
        noise = random.Random(seed)

        def matrix(rows, columns, size):
            return [[f32(noise.gauss(0, size)) for _ in range(columns)] for _ in range(rows)]

        def vector(n, around=0.0):
            return [f32(around + noise.gauss(0, 0.2)) for _ in range(n)]

        self.table = matrix(len(WORDS), width, 1.0)
        self.kind_table, self.place_table = matrix(kinds, width, 0.5), matrix(positions, width, 0.5)
        self.norm = (vector(width, 1.0), vector(width))
        self.blocks = []
        for _ in range(layers):
            block = {name: (matrix(width, width, 1.5 / math.sqrt(width)), vector(width)) for name in ("q", "k", "v", "o")}
            block["up"] = (matrix(feed_forward, width, 1 / math.sqrt(width)), vector(feed_forward))
            block["down"] = (matrix(width, feed_forward, 1 / math.sqrt(feed_forward)), vector(width))
            block["o_norm"], block["down_norm"] = (vector(width, 1.0), vector(width)), (vector(width, 1.0), vector(width))
            self.blocks.append(block)

    # ---- the equations ----

    def rows(self, ids):
        """The last row of each token of a text."""
        def norm(x, weights):
            mean = sum(x) / len(x)
            root = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + self.eps)
            return [(v - mean) / root * w + b for v, w, b in zip(x, *weights)]

        def linear(x, weights):
            return [sum(w * v for w, v in zip(row, x)) + b for row, b in zip(*weights)]

        def act(x):
            if self.activation == "relu":
                return max(x, 0.0)
            if self.activation == "gelu_new":
                return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
            return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))

        add = lambda a, b: [x + y for x, y in zip(a, b)]
        kind = self.kind_table[0] if self.kinds else [0.0] * self.width
        x = [norm(add(add(self.table[token], kind), self.place_table[i]), self.norm) for i, token in enumerate(ids)]
        size = self.width // self.heads
        for block in self.blocks:
            q, k, v = ([linear(row, block[name]) for row in x] for name in "qkv")
            attended = []
            for query in q:
                out = []
                for head in range(self.heads):
                    part = slice(head * size, head * size + size)
                    scores = [sum(a * b for a, b in zip(query[part], key[part])) / math.sqrt(size) for key in k]
                    highest = max(scores)
                    p = [math.exp(s - highest) for s in scores]
                    out += [sum(w * value[part][j] for w, value in zip(p, v)) / sum(p) for j in range(size)]
                attended.append(out)
            x = [norm(add(row, linear(a, block["o"])), block["o_norm"]) for row, a in zip(x, attended)]
            x = [norm(add(row, linear([act(h) for h in linear(row, block["up"])], block["down"])), block["down_norm"]) for row in x]
        return x

    def embedding(self, ids, pooling="mean", normalized=True):
        rows = self.rows(ids)
        vector = {"cls": rows[0], "lasttoken": rows[-1], "mean": [sum(column) / len(rows) for column in zip(*rows)]}[pooling]
        length = math.sqrt(sum(x * x for x in vector)) if normalized else 1.0
        return [x / length for x in vector]

    # ---- files ----

    def weights(self):
        """{a name of ours: values}, a list of rows or a vector."""
        all_ = {"table": self.table, "kinds": self.kind_table, "places": self.place_table, "norm": self.norm}
        for i, block in enumerate(self.blocks):
            all_ |= {f"{i}.{name}": values for name, values in block.items()}
        return all_

    def write_folder(self, path, *, family="bert", place="", norms=("weight", "bias"), config=None, pooling="mean", modules=("Transformer", "Pooling", "Normalize"),
                     pooling_config=None, tensors=None, more=None):
        """`place` before names; `norms`: what the weights of layer norms are called; without modules, no files of sentence-transformers; `more`:
        other files, {name: JSON}."""
        os.makedirs(path)
        names = {"q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value", "o": "attention.output.dense",
                 "o_norm": "attention.output.LayerNorm", "up": "intermediate.dense", "down": "output.dense", "down_norm": "output.LayerNorm"}
        layers, own = "encoder", {}
        if family == "distilbert":
            layers, names = "transformer", {"q": "attention.q_lin", "k": "attention.k_lin", "v": "attention.v_lin", "o": "attention.out_lin",
                                            "o_norm": "sa_layer_norm", "up": "ffn.lin1", "down": "ffn.lin2", "down_norm": "output_layer_norm"}
            own = {"architectures": ["DistilBertModel"], "model_type": "distilbert", "dim": self.width, "n_layers": self.layers, "n_heads": self.heads,
                   "hidden_dim": self.feed_forward, "activation": self.activation, "dropout": 0.1, "seq_classif_dropout": 0.2, "qa_dropout": 0.1,
                   "attention_dropout": 0.1, "sinusoidal_pos_embds": False, "max_position_embeddings": self.positions, "vocab_size": len(WORDS),
                   "pad_token_id": 0}
        stored = {}
        for name, values in self.weights().items():
            layer, _, role = name.rpartition(".")
            whole = {"table": "embeddings.word_embeddings", "kinds": "embeddings.token_type_embeddings",
                     "places": "embeddings.position_embeddings", "norm": "embeddings.LayerNorm"}.get(name) or f"{layers}.layer.{layer}.{names[role]}"
            if isinstance(values, tuple):
                endings = norms if "orm" in role else ("weight", "bias")
                stored |= {f"{place}{whole}.{ending}": part for ending, part in zip(endings, values)}
            else:
                stored[f"{place}{whole}.weight"] = values
        if family == "distilbert":  # has neither kinds of sentences nor a pooler; its files do not name the epsilon of norms
            stored = {name: values for name, values in stored.items() if "token_type" not in name}
        else:
            stored |= {place + "pooler.dense.weight": self.table[:self.width], place + "pooler.dense.bias": self.table[0]}
        if family == "roberta":  # two rows for padding; nobody reads them
            stored[place + "embeddings.position_embeddings.weight"] = [[9.0] * self.width] * 2 + self.place_table
            own = {"architectures": ["RobertaModel"], "model_type": "roberta", "max_position_embeddings": self.positions + 2, "pad_token_id": 1,
                   "bos_token_id": 0, "eos_token_id": 2}
        stored |= tensors or {}
        stored = {name: values for name, values in stored.items() if values is not None}
        _safetensors(os.path.join(path, "model.safetensors"), stored)
        base = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": self.width, "num_hidden_layers": self.layers,
                                 "num_attention_heads": self.heads, "intermediate_size": self.feed_forward, "hidden_act": self.activation,
                                 "layer_norm_eps": self.eps, "max_position_embeddings": self.positions, "type_vocab_size": self.kinds,
                                 "vocab_size": len(WORDS), "pad_token_id": 0, "position_embedding_type": "absolute"}
        files = {"config.json": (own if family == "distilbert" else base | own) | (config or {}),
                 "tokenizer.json": tokenizer(), "tokenizer_config.json": {"cls_token": "[CLS]", "do_lower_case": True}}
        if modules:
            types = [{"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": "sentence_transformers.models." + kind}
                     for i, kind in enumerate(modules)]
            files["modules.json"] = types
            modes = {f"pooling_mode_{mode}": mode.startswith(pooling or "?") for mode in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")}
            os.makedirs(os.path.join(path, "1_Pooling"))
            files["1_Pooling/config.json"] = {"word_embedding_dimension": self.width} | (modes if pooling else {}) | (pooling_config or {})
        for name, content in (files | (more or {})).items():
            with open(os.path.join(path, name), "w", encoding="utf8") as file:
                json.dump(content, file)
        return path

    def write_gguf(self, path, pooling=1, keys=None):
        string = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
        u32, boolean, floating = (lambda x: struct.pack("<II", 4, x)), (lambda x: struct.pack("<I?", 7, x)), (lambda x: struct.pack("<If", 6, x))
        text = lambda s: struct.pack("<I", 8) + string(s)
        spelt = [w if w in WORDS[:5] else (w[2:] if w.startswith("##") else "\u2581" + w) for w in WORDS]
        all_ = {"general.architecture": text("bert"), "bert.block_count": u32(self.layers), "bert.context_length": u32(self.positions),
                "bert.embedding_length": u32(self.width), "bert.feed_forward_length": u32(self.feed_forward),
                "bert.attention.head_count": u32(self.heads), "bert.attention.layer_norm_epsilon": floating(self.eps),
                "bert.attention.causal": boolean(False), "bert.pooling_type": u32(pooling), "tokenizer.ggml.model": text("bert"),
                "tokenizer.ggml.pre": text("default"), "tokenizer.ggml.token_type_count": u32(self.kinds),
                "tokenizer.ggml.tokens": struct.pack("<IIQ", 9, 8, len(spelt)) + b"".join(map(string, spelt)),
                "tokenizer.ggml.token_type": struct.pack(f"<IIQ{len(spelt)}i", 9, 5, len(spelt), *([3] * 5 + [1] * (len(spelt) - 5))),
                "tokenizer.ggml.bos_token_id": u32(FIRST), "tokenizer.ggml.eos_token_id": u32(SEPARATOR), "tokenizer.ggml.cls_token_id": u32(FIRST),
                "tokenizer.ggml.seperator_token_id": u32(SEPARATOR), "tokenizer.ggml.unknown_token_id": u32(UNKNOWN),
                "tokenizer.ggml.padding_token_id": u32(PAD)} | (keys or {})
        names = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "o_norm": "attn_output_norm", "up": "ffn_up", "down": "ffn_down",
                 "down_norm": "layer_output_norm"}
        tensors = {}
        for name, values in self.weights().items():
            layer, _, role = name.rpartition(".")
            whole = {"table": "token_embd", "kinds": "token_types", "places": "position_embd", "norm": "token_embd_norm"}.get(name) or \
                f"blk.{layer}.{names[role]}"
            for ending, part in zip(("weight", "bias"), values if isinstance(values, tuple) else (values,)):
                shape = (len(part), len(part[0])) if isinstance(part[0], list) else (len(part),)
                tensors[f"{whole}.{ending}"] = (shape, 0, _bytes(part))
        import model_folder
        return model_folder.write_gguf(path, all_, tensors)


def _bytes(values):
    flat = [x for row in values for x in row] if isinstance(values[0], list) else values
    return struct.pack(f"<{len(flat)}f", *flat)


def _safetensors(path, tensors):
    header, data = {}, b""
    for name, values in tensors.items():
        shape = [len(values), len(values[0])] if isinstance(values[0], list) else [len(values)]
        blob = _bytes(values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(blob)]}
        data += blob
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def tokenizer():
    """WordPiece, which cuts and pads: neither may happen."""
    special = lambda token, kind=0: {"SpecialToken": {"id": token, "type_id": kind}}
    part = lambda name, kind: {"Sequence": {"id": name, "type_id": kind}}
    return {"version": "1.0", "truncation": {"max_length": 6, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
            "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
            "added_tokens": [{"id": i, "content": WORDS[i], "special": True, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False} for i in range(5)],
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing", "single": [special("[CLS]"), part("A", 0), special("[SEP]")],
                               "pair": [special("[CLS]"), part("A", 0), special("[SEP]"), part("B", 1), special("[SEP]", 1)],
                               "special_tokens": {t: {"id": t, "ids": [WORDS.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                      "vocab": {word: i for i, word in enumerate(WORDS)}}}
