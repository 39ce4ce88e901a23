#!/usr/bin/env python3
"""unigram.py TOOL - unigram vocabularies (tokenizer.ggml.model = t5) against the packages that such models are made and run with.

Trains small vocabularies with SentencePiece on text.txt, with its rules of normalisation and without, and compares ids and texts of
token_ids (TOOL) with SentencePiece's own, and where a tokenizer.json can say the same with those of Hugging Face's `tokenizers`. The
packages (PyPI) are fetched with pip into ~/.cache/heddle-tests (or XDG_CACHE_HOME), once; where that is impossible the exit status is
77, skipped, with the reason. Exit status 1 at any difference.
"""
import base64
import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = ["sentencepiece==0.2.3", "tokenizers==0.23.3", "protobuf>=7.36,<8"]
RANDOM_TEXTS = 3000


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def fetch():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    place = os.path.join(cache, "heddle-tests", "-".join([*PACKAGES, f"{sys.version_info[0]}.{sys.version_info[1]}"]).translate(str.maketrans("=<>,", "----")))
    done = os.path.join(place, "complete")
    if not os.path.exists(done):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", place, "--upgrade", *PACKAGES]
        try:
            run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            skip("the packages could not be fetched with pip in 5 minutes")
        if run.returncode:
            skip(f"the packages could not be fetched with pip: {(run.stderr.strip().splitlines() or ['?'])[-1][-300:]}")
        with open(done, "w", encoding="utf8"):
            pass
    sys.path.insert(0, place)
    return importlib.import_module("sentencepiece"), importlib.import_module("tokenizers")


def train(sentencepiece, sample, folder, name, **options):
    """A model of SentencePiece, and the same as GGUF files name it."""
    prefix = os.path.join(folder, name)
    settings = dict(vocab_size=700, hard_vocab_limit=False, model_type="unigram", character_coverage=0.98, unk_surface="?",
                    user_defined_symbols=["<tool>"], minloglevel=2, num_threads=1)
    sentencepiece.SentencePieceTrainer.train(input=sample, model_prefix=prefix, **(settings | options))
    processor = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
    proto = importlib.import_module("sentencepiece.sentencepiece_model_pb2").ModelProto()
    with open(prefix + ".model", "rb") as file:
        proto.ParseFromString(file.read())
    vocabulary = {
        "model": "t5", "pre": "", "merges": [],
        "tokens": [piece.piece for piece in proto.pieces], "scores": [piece.score for piece in proto.pieces],
        "types": [piece.type for piece in proto.pieces],  # GGUF's numbers are SentencePiece's
        "unknown": processor.unk_id(), "add_space_prefix": proto.normalizer_spec.add_dummy_prefix,
        "remove_extra_whitespaces": proto.normalizer_spec.remove_extra_whitespaces,
        "precompiled_charsmap": list(proto.normalizer_spec.precompiled_charsmap),
    }
    return processor, proto, vocabulary


def fast(tokenizers, proto, unknown):
    """The tokenizer that Hugging Face makes of such a model."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    tokenizer = Tokenizer(models.Unigram([(piece.piece, piece.score) for piece in proto.pieces], unknown, False))
    steps = [normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)]
    tokenizer.normalizer = normalizers.Sequence(steps + [normalizers.Strip(left=True, right=True), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always")
    return tokenizer


def random_texts(count, tokens, sample):
    """Texts out of all categories of Unicode, of runs of spaces, of pieces of the vocabulary and of the sample."""
    rng = random.Random(1)
    letters = {}
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            letters.setdefault(unicodedata.category(chr(code)), []).append(chr(code))
    categories = sorted(letters)

    def piece():
        kind = rng.randrange(8)
        if kind == 0:
            return "".join(rng.choice(letters[rng.choice(categories)]) for _ in range(rng.randrange(1, 6)))
        if kind == 1:
            return rng.choice([" ", "\u3000", "\u00a0", "\t", "\n", "\u2581", "\u200b"]) * rng.randrange(1, 5)
        if kind == 2:
            return rng.choice(["ﬁ", "①", "Å", "Å", "ﾊﾟ", "ℌ", "½", "한", "é", "ǆ", "…", "㌀", "\u0301", "\ufeff", "\u0000"])
        if kind == 3:
            return rng.choice(tokens).replace("\u2581", " ")
        if kind == 4:
            return "".join(rng.choice("aeioustnrlhd") for _ in range(rng.randrange(1, 30)))
        start = rng.randrange(len(sample))
        return sample[start:start + rng.randrange(1, 60)]

    return ["".join(piece() for _ in range(rng.randrange(1, 10))) for _ in range(count)]


def ask(tool, vocabulary, folder, requests):
    path = os.path.join(folder, "vocabulary.json")
    with open(path, "w", encoding="utf8") as file:
        json.dump(vocabulary, file)
    run = subprocess.run([tool, path], input="".join(json.dumps(request) + "\n" for request in requests), capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"unigram.py: {run.stderr.strip()}")
    return [json.loads(line) for line in run.stdout.split("\n")[:-1]]


def compare(name, texts, ours, theirs):
    different = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
    for i in different[:5]:
        print(f"{name}: {texts[i][:100]!r}: {ours[i][:300]}, not {theirs[i][:300]}")
    print(f"{name}: {len(texts) - len(different)} of {len(texts)} equal")
    return len(different)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: unigram.py TOOL")
    sentencepiece, tokenizers = fetch()
    sample_path = os.path.join(HERE, "text.txt")
    with open(sample_path, encoding="utf8", newline="") as file:
        sample = file.read()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("nmt_nfkc", {}), ("nfkc_cf", {"normalization_rule_name": "nfkc_cf"}),
                              ("identity", {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}),
                              ("no_prefix", {"add_dummy_prefix": False}), ("bytes", {"byte_fallback": True, "vocab_size": 1000})):
            processor, proto, vocabulary = train(sentencepiece, sample_path, folder, name, **options)
            # A user-defined token cuts the text for us and for llama.cpp; SentencePiece goes on with its score.
            texts = [text for text in [sample, *sample.splitlines(), "", " ", "  a  b  ", *random_texts(RANDOM_TEXTS, vocabulary["tokens"], sample)]
                     if "<tool>" not in text and "<" not in text]
            ids = ask(sys.argv[1], vocabulary, folder, [{"text": text, "parse_special": False} for text in texts])
            wrong += compare(f"{name}, ids of SentencePiece", texts, ids, [processor.encode(text) for text in texts])
            known = [list for list in ids if processor.unk_id() not in list]
            decoded = ask(sys.argv[1], vocabulary, folder, [{"ids": list, "skip_special": True} for list in known])
            wrong += compare(f"{name}, texts of SentencePiece", known, decoded, [processor.decode(list) for list in known])
            if name == "nmt_nfkc":
                peer = fast(tokenizers, proto, processor.unk_id())
                # The package spells whole graphemes, so letters with marks of their own are left to SentencePiece.
                plain = [i for i, text in enumerate(texts) if unicodedata.normalize("NFKC", text).isascii()]
                wrong += compare(f"{name}, ids of tokenizers", [texts[i] for i in plain], [ids[i] for i in plain],
                                 [peer.encode(texts[i]).ids for i in plain])
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
