"""say_model.py - small GGUF files whose greedy answer is known beforehand, for tests of everything around the arithmetic.

All blocks are zero, so the residual stream is the embedding of the last token alone. Each token of `say` has an embedding of its own
and the output head answers it with the next of the list (after the last the first); after every other token comes the first. With
the default vocabulary byte b is token 1 + b, so `say=[66]` answers "A" for ever. Python's standard library only.
"""
import itertools
import struct

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # tokenizer.ggml.token_type
SPACES = ("general.", "tokenizer.", "split.", "adapter.", "quantize.", "training.", "clip.", "vendor.")  # not an architecture's
_U32, _I32, _F32, _BOOL, _STR, _ARRAY, _U64, _I64, _F64 = range(4, 13)   # value types of the GGUF specification


def u32(value):
    return _U32, struct.pack("<I", value)


def f32(value):
    return _F32, struct.pack("<f", value)


def u64(value):
    return _U64, struct.pack("<Q", value)


def i64(value):
    return _I64, struct.pack("<q", value)


def f64(value):
    return _F64, struct.pack("<d", value)


def boolean(value):
    return _BOOL, struct.pack("<?", value)


def text(value):
    return _STR, _string(value)


def u32s(values):
    return _ARRAY, struct.pack("<IQ", _U32, len(values)) + b"".join(struct.pack("<I", v) for v in values)


def i32s(values):
    return _ARRAY, struct.pack("<IQ", _I32, len(values)) + struct.pack(f"<{len(values)}i", *values)


def f32s(values):
    return _ARRAY, struct.pack("<IQ", _F32, len(values)) + struct.pack(f"<{len(values)}f", *values)


def booleans(values):
    return _ARRAY, struct.pack("<IQ", _BOOL, len(values)) + struct.pack(f"<{len(values)}?", *values)


def texts(values):
    return _ARRAY, struct.pack("<IQ", _STR, len(values)) + b"".join(_string(v) for v in values)


def _string(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def byte_level(size):
    """Tokens, types and merges of a GPT-2 vocabulary of the 256 bytes: token 0 ends a text, byte b is 1 + b, 257 is " t"."""
    printable = set(itertools.chain(range(0x21, 0x7F), range(0xA1, 0xAD), range(0xAE, 0x100)))
    others = itertools.count(0x100)
    letters = [chr(b) if b in printable else chr(next(others)) for b in range(256)]
    tokens = ["<|endoftext|>", *letters, "Ġt"]
    tokens += [f"<|unused{i}|>" for i in range(size - len(tokens))]
    return tokens, [CONTROL] + [NORMAL] * 257 + [CONTROL] * (size - 258), ["Ġ t"]


def sentence_piece(size):
    """Tokens, types and scores of a SentencePiece vocabulary: 256 bytes from 3 on, then ▁ t h e x th the ▁the from 259 on."""
    pieces = ["▁", "t", "h", "e", "x", "th", "the", "▁the"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *pieces]
    scores = [0.0] * 259 + [-50.0] * 5 + [-1.0, -2.0, -3.0]
    filler = size - len(tokens)
    tokens += [f"<|unused{i}|>" for i in range(filler)]
    return tokens, [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * 8 + [CONTROL] * filler, scores + [-1000.0] * filler


def write(path, *, say=(66,), architecture="llama", layers=1, width=64, heads=4, kv_heads=2, head_size=16, feed_forward=96,
          vocabulary=512, context=4096, pieces=False, tokens=None, typed=True, keys=None, without=(), template=None, tied=False,
          head_rows=None, raised=None, tensors=None, dropped=()):
    """Writes the file and returns its path.

    tokens    {id: (text, type)}, in place of those of the vocabulary; typed=False leaves tokenizer.ggml.token_type out
    pieces    a SentencePiece vocabulary instead of a byte-level one
    keys      {key: u32(…)}, added or replaced; a key belongs to the architecture, "attention.scale" becomes
              "llama.attention.scale", unless it begins with one of SPACES; `without` names keys to leave out
    head_rows rows of output.weight, where they are not the tokens'; raised {(row, column): value} changes it; tied leaves it out
    tensors   {name: (shape, {index: value})}: further F32 tensors, zero but there; shape as in "rows, columns"
    dropped   tensors whose name holds one of these texts are left out
    """
    say = list(say)
    if len(set(say)) != len(say) or len(say) > width - 2:
        raise ValueError("say: distinct ids, at most width - 2 of them")
    listing, types, extra = sentence_piece(vocabulary) if pieces else byte_level(vocabulary)
    for token, (word, kind) in (tokens or {}).items():
        listing[token], types[token] = word, kind
    metadata = {
        "general.architecture": text(architecture), "general.name": text("say"),
        "context_length": u32(context), "embedding_length": u32(width), "block_count": u32(layers),
        "feed_forward_length": u32(feed_forward), "attention.head_count": u32(heads), "attention.head_count_kv": u32(kv_heads),
        "attention.key_length": u32(head_size), "attention.value_length": u32(head_size),
        "attention.layer_norm_rms_epsilon": f32(1e-5), "rope.freq_base": f32(1e4), "vocab_size": u32(len(listing)),
        "tokenizer.ggml.model": text("llama" if pieces else "gpt2"), "tokenizer.ggml.tokens": texts(listing),
        "tokenizer.ggml.bos_token_id": u32(1 if pieces else 0), "tokenizer.ggml.eos_token_id": u32(2 if pieces else 0),
    }
    if architecture == "gemma3":
        metadata["attention.sliding_window"] = u32(512)
    else:
        metadata["rope.dimension_count"] = u32(head_size)
    if pieces:
        metadata |= {"tokenizer.ggml.scores": f32s(extra), "tokenizer.ggml.unknown_token_id": u32(0)}
    else:
        metadata |= {"tokenizer.ggml.pre": text("gpt-2"), "tokenizer.ggml.merges": texts(extra),
                     "tokenizer.ggml.add_bos_token": boolean(False)}
    if typed:
        metadata["tokenizer.ggml.token_type"] = i32s(types)
    if template is not None:
        metadata["tokenizer.chat_template"] = text(template)
    metadata |= keys or {}
    def whole(key):
        return key if key.startswith((*SPACES, architecture + ".")) else f"{architecture}.{key}"
    full = {whole(key): value for key, value in metadata.items()}
    left_out = {whole(key) for key in without}
    entries = {key: value for key, value in full.items() if key not in left_out}

    # Column 0 of the embedding says "not in the list", column n "the n-th of the list"; a head row answers with 10 there.
    embedding = {(row, 0): 1.0 for row in range(len(listing)) if row not in say}
    head = {(say[0], 0): 10.0}
    for slot, token in enumerate(say, 1):
        embedding[token, slot] = 1.0
        head[say[slot % len(say)], slot] = 10.0
    head |= raised or {}
    rows = head_rows or len(listing)
    ones = {(i,): 1.0 for i in range(max(width, head_size))}
    all_tensors = {"token_embd.weight": ((len(listing), width), embedding), "output_norm.weight": ((width,), ones)}
    if not tied:
        all_tensors["output.weight"] = ((rows, width), {at: value for at, value in head.items() if at[0] < rows})
    q, kv = heads * head_size, kv_heads * head_size
    for layer in range(layers):
        block = {"attn_norm": ((width,), ones), "ffn_norm": ((width,), ones), "attn_q": ((q, width), {}),
                 "attn_k": ((kv, width), {}), "attn_v": ((kv, width), {}), "attn_output": ((width, q), {}),
                 "ffn_gate": ((feed_forward, width), {}), "ffn_up": ((feed_forward, width), {}),
                 "ffn_down": ((width, feed_forward), {})}
        if architecture == "gemma3":
            block |= {"attn_q_norm": ((head_size,), ones), "attn_k_norm": ((head_size,), ones),
                      "post_attention_norm": ((width,), ones), "post_ffw_norm": ((width,), ones)}
        all_tensors |= {f"blk.{layer}.{role}.weight": entry for role, entry in block.items()}
    for name, (shape, values) in (tensors or {}).items():
        all_tensors[name] = (shape, {at if isinstance(at, tuple) else (at,): value for at, value in values.items()})
    kept = {name: entry for name, entry in all_tensors.items() if not any(word in name for word in dropped)}
    _write_file(path, entries, kept)
    return path


def _write_file(path, entries, tensors):
    """GGUF version 3, every tensor F32, alignment 32."""
    header = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(entries))]
    header += [_string(key) + struct.pack("<I", kind) + data for key, (kind, data) in entries.items()]
    offset, blobs = 0, []
    for name, (shape, values) in tensors.items():
        blob = _matrix(shape, values)
        header.append(_string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape)) +
                      struct.pack("<IQ", 0, offset))
        blobs.append(blob + b"\0" * (-len(blob) % 32))
        offset += len(blobs[-1])
    head = b"".join(header)
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32))
        file.writelines(blobs)


def _matrix(shape, values):
    size = 1
    for n in shape:
        size *= n
    data = bytearray(4 * size)
    for at, value in values.items():
        index = 0
        inside = all(i < n for i, n in zip(at, shape))
        for i, n in zip(at, shape):
            index = index * n + i
        if inside:
            struct.pack_into("<f", data, 4 * index, value)
    return bytes(data)
