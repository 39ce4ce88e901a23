#!/usr/bin/env python3
"""Compares Heddle's token ids with llama.cpp's (PyPI: llama-cpp-python, gguf, numpy), on text.txt and on random texts.

    compare.py MODEL.gguf --tool build/release/bin/token_ids [--fuzz N] [--seed S] [--pre NAME] [--space-prefix]
               [--all-characters] [--expect NAME] [--write NAME]

Exit status 1 at any difference. --pre and --space-prefix compare as if the file named another pre-tokenizer or asked for a
space before the first word (a copy without tensors is written to a temporary folder). --all-characters takes every character
of Unicode. --write NAME writes llama.cpp's ids of text.txt to expected/NAME.json, which tests without llama.cpp
compare with; --expect NAME checks that the file is what llama.cpp gives now.
"""
import argparse
import ctypes
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

import gguf
import llama_cpp

HERE = os.path.dirname(os.path.abspath(__file__))


def field(reader, key, default=None):
    found = reader.fields.get("tokenizer.ggml." + key)
    return default if found is None else found.contents()


def vocabulary(reader, changes):
    described = {
        "model": field(reader, "model"),
        "pre": field(reader, "pre", ""),
        "tokens": field(reader, "tokens"),
        "scores": field(reader, "scores", []),
        "types": field(reader, "token_type", []),
        "merges": field(reader, "merges", []),
        "unknown": field(reader, "unknown_token_id", -1),
        "add_space_prefix": field(reader, "add_space_prefix"),
    }
    return described | changes


def without_tensors(reader, path, changes):
    """The same metadata with changes and without tensors: enough for llama.cpp's vocab_only."""
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    changed = ["tokenizer.ggml." + key for key in changes]
    for name, entry in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture" and name not in changed:
            writer.add_key_value(name, entry.contents(), entry.types[0], entry.types[1] if len(entry.types) > 1 else None)
    for key, value in changes.items():
        (writer.add_bool if isinstance(value, bool) else writer.add_string)("tokenizer.ggml." + key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


class LlamaCpp:
    def __init__(self, path):
        llama_cpp.llama_backend_init()
        # Keep its hundreds of lines of log out of the way; the callback must outlive the calls.
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            sys.exit(f"compare.py: llama.cpp cannot load {path}")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)

    def encode(self, text, parse_special):
        data = text.encode()
        room = 4 * len(data) + 16
        ids = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), ids, room, False, parse_special)
        assert count >= 0
        return list(ids[:count])


def heddle(tool, vocabulary_path, requests):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    run = subprocess.run([tool, vocabulary_path], input=lines, capture_output=True, text=True)
    sys.stderr.write(run.stderr)
    if run.returncode:
        sys.exit(1)
    return [json.loads(line) for line in run.stdout.splitlines()]


def random_texts(count, seed, tokens):
    """Texts out of all categories of Unicode, of runs, of pieces of the vocabulary and of parts of text.txt."""
    rng = random.Random(seed)
    by_category = {}
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            by_category.setdefault(unicodedata.category(chr(code)), []).append(chr(code))
    categories = sorted(by_category)
    with open(os.path.join(HERE, "text.txt"), encoding="utf8", newline="") as file:
        sample = file.read()
    ascii_text = [chr(code) for code in range(128)]
    spaces = [c for c in map(chr, range(0x3001)) if c.isspace()]
    special = [t for t in tokens if t.startswith("<") and t.endswith(">")]

    def piece():
        kind = rng.randrange(12)
        if kind == 0:
            return rng.choice(by_category[rng.choice(categories)])
        if kind == 1:
            return "".join(rng.choice(by_category[rng.choice(categories)]) for _ in range(rng.randrange(1, 6)))
        if kind == 2:
            return rng.choice(ascii_text) * rng.randrange(1, 40)
        if kind == 3:
            return "".join(rng.choice(spaces) for _ in range(rng.randrange(1, 5)))
        if kind == 4:
            return rng.choice([" ", "\n", "\t", "\r\n"]) * rng.randrange(1, 40)
        if kind == 5:
            return rng.choice(tokens).replace("\u2581", " ").replace("\u0120", " ").replace("\u010a", "\n")
        if kind == 6:
            return rng.choice(special) if special else "<s>"
        if kind == 7:
            return "".join(rng.choice("aeioustnrlhd") for _ in range(rng.randrange(1, 12)))
        if kind == 8:
            return "".join(rng.choice(["ab", "aba", "a", "ha", "ba", "na", "ss", "00"]) for _ in range(rng.randrange(1, 20)))
        if kind == 9:
            return str(rng.randrange(10 ** rng.randrange(1, 15)))
        if kind == 10:
            return rng.choice(["'s", "'T", "'re", "'LL", "'", "\u2581", "\u2581\u2581", "<0x0A>", "\u0130", "\u0000", "\u017f"])
        start = rng.randrange(len(sample))
        return sample[start:start + rng.randrange(1, 40)]

    return ["".join(piece() for _ in range(rng.randrange(1, 12))) for _ in range(count)]


def every_character():
    """Each character of Unicode between letters, digits, spaces and punctuation, 16 of them to a text."""
    codes = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), 16):
        yield "".join(f"a{c}b 1{c}2 {c} .{c}{c}," for c in codes[start:start + 16])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--tool", required=True)
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all-characters", action="store_true")
    parser.add_argument("--pre")
    parser.add_argument("--space-prefix", action="store_true")
    parser.add_argument("--expect")
    parser.add_argument("--write")
    options = parser.parse_args()

    reader = gguf.GGUFReader(options.model)
    with open(os.path.join(HERE, "text.txt"), encoding="utf8", newline="") as file:
        sample = file.read()
    with tempfile.TemporaryDirectory() as folder:
        changes = {} if options.pre is None else {"pre": options.pre}
        changes |= {"add_space_prefix": True} if options.space_prefix else {}
        described = vocabulary(reader, changes)
        path = os.path.join(folder, "vocabulary.json")
        with open(path, "w", encoding="utf8") as file:
            json.dump(described, file)
        model = options.model
        if changes:
            model = os.path.join(folder, "model.gguf")
            without_tensors(reader, model, changes)
        peer = LlamaCpp(model)
        texts = [sample, *sample.splitlines(keepends=True)]
        texts += random_texts(options.fuzz, options.seed, described["tokens"]) if options.fuzz else []
        texts += every_character() if options.all_characters else []
        requests = [{"text": text, "parse_special": special} for text in texts for special in (False, True)]
        answers = heddle(options.tool, path, requests)

    wrong = 0
    for request, ours in zip(requests, answers, strict=True):
        theirs = peer.encode(request["text"], request["parse_special"])
        if ours != theirs:
            wrong += 1
            if wrong <= 10:
                at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
                word = [described["tokens"][i] for i in theirs[max(at - 2, 0):at + 4]]
                mine = [described["tokens"][i] for i in ours[max(at - 2, 0):at + 4]]
                print(f"differs (parse_special {request['parse_special']}) at id {at}: {mine} here, {word} in llama.cpp")
                print(f"  text: {request['text'][:200]!r}")
    print(f"{os.path.basename(options.model)} {changes or ''}: {len(requests) - wrong} of {len(requests)} equal")

    ids = {str(special).lower(): peer.encode(sample, special) for special in (False, True)}
    if options.write:
        with open(os.path.join(HERE, "expected", options.write + ".json"), "w", encoding="utf8") as file:
            json.dump({"model": options.write, "text": "text.txt", "parse_special": ids}, file, separators=(",", ":"))
            file.write("\n")
    if options.expect:
        with open(os.path.join(HERE, "expected", options.expect + ".json"), encoding="utf8") as file:
            if json.load(file)["parse_special"] != ids:
                wrong += 1
                print(f"expected/{options.expect}.json is not what llama.cpp gives; write it again with --write")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
