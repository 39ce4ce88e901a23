"""tokens.py - a byte-level vocabulary of 290 tokens, as a Hugging Face folder and as a GGUF file say it.

Tokens 0 to 255 are the bytes in GPT-2's order, then one token a merge, then two special ones.
"""
import itertools

from numbers_of import random_bytes

MERGES = ["Ġ t", "h e", "Ġt he", "i n", "e r", "a n", "o n", "r e", "Ġ a", "s t", "e n", "o r", "i s", "a t", "e d", "n d",
          "Ġ w", "Ġ s", "a l", "Ġa nd", "o u", "Ġ o", "Ġo f", "in g", "l e", "Ġw h", "Ġ h", "Ġ m", "v e", "ou r", "l l", "Ġs h"]
END, BEGIN = 256 + len(MERGES), 257 + len(MERGES)
SPECIAL = {END: "<|endoftext|>", BEGIN: "<|begin_of_text|>"}
SIZE = 258 + len(MERGES)

TEXT = "The weaver of the house ran all the threads through heddles, and wove."


def many_texts(context):
    """24 texts of random words, at most 230 tokens each, for means that one short text is too little for; shorter ones for a model
    of a shorter context."""
    for number in range(24):
        noise = random_bytes("texts", number, 230 if context >= 256 else 110)
        yield "".join("etaoinshrdlu etaoinw c "[byte % 23] for byte in noise).strip()


# How text is cut before merging: the pattern of the folder, and the name that GGUF has for it. None: GPT-2's own.
CUTS = {
    "gpt-2": None,
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
                 r"\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "gpt-4o": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
              r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
              r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def listing():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = itertools.count(0x100)
    letters = [chr(b) for b in printable] + [chr(next(others)) for b in range(256) if b not in printable]
    return letters + [merge.replace(" ", "") for merge in MERGES] + list(SPECIAL.values())


def tokenizer_json(cut):
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": CUTS[cut] is None}
    if CUTS[cut] is not None:
        split = {"type": "Split", "pattern": {"Regex": CUTS[cut]}, "behavior": "Isolated", "invert": False}
        level = {"type": "Sequence", "pretokenizers": [split, level]}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": word, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                          "special": True} for i, word in SPECIAL.items()],
        "normalizer": {"type": "NFC"} if cut == "qwen2" else None,
        "pre_tokenizer": level,
        "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": cut == "llama-bpe",
                  "vocab": {word: i for i, word in enumerate(listing()[:END])}, "merges": MERGES},
    }


def tokenizer_config(context):
    return {
        "add_bos_token": False, "add_prefix_space": False,
        "added_tokens_decoder": {str(i): {"content": word, "lstrip": False, "normalized": False, "rstrip": False,
                                          "single_word": False, "special": True} for i, word in SPECIAL.items()},
        "bos_token": SPECIAL[BEGIN], "clean_up_tokenization_spaces": False, "eos_token": SPECIAL[END],
        "model_max_length": context, "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": None,
    }


def gguf_vocabulary(cut, rows):
    """Tokens and types for an embedding of `rows` rows: those beyond the vocabulary are unused, as converters write them."""
    words = listing() + [f"[PAD{i}]" for i in range(SIZE, rows)]
    return words, [1] * END + [3] * len(SPECIAL) + [5] * (rows - SIZE)
