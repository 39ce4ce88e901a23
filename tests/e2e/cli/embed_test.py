"""embed_test.py - `heddle embed` on small random BERT models against plain Python, alone, among others, over ranks and threads, and what it
says where it cannot."""
import json
import math
import os
import unittest

import bert_model
import harness
from bert_model import WORDS, Bert
from harness import attempt, folder, heddle, refused

# What the tokens of each text are.
TEXTS = {"The cat sat on a mat.": "the cat sat on a mat .",
         "dogs": "dog ##s",
         "Running, unhappy dogs walk 42 cats": "[UNK] , un ##happy dog ##s walk 42 cat ##s",
         "a house is wonderful [SEP] the e": None,
         "The house is wonderful. " * 4 + "the end": None}


def ids_of(text, words):
    return [2] + [WORDS.index(word) for word in words.split()] + [3]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def vectors(*arguments, stdin=None):
    return [json.loads(line)["embedding"] for line in heddle("embed", *arguments, "--json", stdin=stdin).splitlines()]


class Vectors(unittest.TestCase):
    def check(self, model, path, *, within=2e-3, alike=0.99999, options=(), **how):
        known = {text: ids_of(text, words) for text, words in TEXTS.items() if words}
        for vector, ids in zip(vectors(path, *known, *options), known.values(), strict=True):
            exact = model.embedding(ids, **how)
            self.assertEqual(len(vector), model.width)
            self.assertGreaterEqual(cosine(vector, exact), alike)
            self.assertLess(max(abs(x - y) for x, y in zip(vector, exact)), within)

    def test_a_folder_with_sentence_transformers_files(self):
        model, place = Bert(), folder()
        self.check(model, model.write_folder(os.path.join(place, "mean")))
        for pooling in ("cls", "lasttoken"):
            self.check(model, model.write_folder(os.path.join(place, pooling), pooling=pooling), pooling=pooling)
        self.check(model, model.write_folder(os.path.join(place, "raw"), modules=("Transformer", "Pooling")), normalized=False, within=5e-3)
        self.check(model, model.write_folder(os.path.join(place, "none"), modules=()), normalized=False, within=5e-3)
        for word in ("cls", "mean", "lasttoken"):  # as new versions write it
            self.check(model, model.write_folder(os.path.join(place, "new_" + word), pooling=None, pooling_config={"pooling_mode": word, "include_prompt": True}),
                       pooling=word)
        # In old files the mean is what is meant, unless it is said not to be.
        self.check(model, model.write_folder(os.path.join(place, "default"), pooling=None, pooling_config={"pooling_mode_max_tokens": False}))

    def test_a_folder_whose_modules_change_is_another_model(self):
        model = Bert()
        path = model.write_folder(os.path.join(folder(), "model"))
        self.check(model, path)
        other = model.write_folder(os.path.join(folder(), "model"), pooling="cls")
        os.rename(os.path.join(path, "1_Pooling"), os.path.join(path, "0_old"))
        os.rename(os.path.join(other, "1_Pooling"), os.path.join(path, "1_Pooling"))
        self.check(model, path, pooling="cls")

    def test_names_and_shapes_in_the_wild(self):
        model, place = Bert(heads=1, activation="relu", kinds=1), folder()
        self.check(model, model.write_folder(os.path.join(place, "old"), place="bert.", norms=("gamma", "beta")))
        model = Bert(width=48, heads=3, feed_forward=80, layers=3, activation="gelu_new", seed=2)
        notes = {"tie_word_embeddings": True, "output_past": True, "tie_weights_": True, "directionality": "bidi", "pooler_fc_size": 768, "unk_token_id": 1,
                 "model_max_length": 40, "language": "en", "sentence_transformers": {"version": "4.0.1", "modules": ["Transformer", "Dense"]}}
        self.check(model, model.write_folder(os.path.join(place, "new"), config=notes, tensors={"cls.predictions.bias": [0.0] * len(WORDS)},
                                             more={"sentence_bert_config.json": {"max_seq_length": 6, "do_lower_case": False},
                                                   "config_sentence_transformers.json": {"__version__": {"pytorch": "2"}, "prompts": {"query": "q: "},
                                                                                         "default_prompt_name": None, "similarity_fn_name": "cosine"}}))

    def test_roberta(self):
        model, place = Bert(kinds=1), folder()
        self.check(model, model.write_folder(os.path.join(place, "roberta"), family="roberta", place="roberta."))
        words = " ".join(["cat"] * 39)  # 41 tokens, a row of the table less than there are
        refused(self, attempt("embed", os.path.join(place, "roberta"), words), "has 41 tokens, and the model has 40 positions", status=1)
        path = model.write_folder(os.path.join(place, "padding"), family="roberta", config={"pad_token_id": 0})
        refused(self, attempt("embed", path, "the cat"), "pad_token_id is 0", status=1)

    def test_distilbert(self):
        model = Bert(kinds=0, eps=1e-12)
        self.check(model, model.write_folder(os.path.join(folder(), "distilbert"), family="distilbert", place="distilbert."))

    def test_a_gguf_file_is_its_folder(self):
        model, place = Bert(), folder()
        path = model.write_gguf(os.path.join(place, "bert.gguf"))
        self.check(model, path)
        self.assertEqual(heddle("embed", path, *TEXTS, "--json"),
                         heddle("embed", model.write_folder(os.path.join(place, "folder")), *TEXTS, "--json"))
        self.check(model, model.write_gguf(os.path.join(place, "cls.gguf"), pooling=2), pooling="cls")

    def test_quantised_weights(self):
        model, place = Bert(width=64, feed_forward=128), folder()
        path = model.write_folder(os.path.join(place, "folder"))
        self.check(model, path, options=("--quantize", "q8_0"), alike=0.995, within=0.05)
        self.assertNotEqual(vectors(path, "the cat", "--quantize", "q8_0"), vectors(path, "the cat"))

    def test_the_same_bits_for_any_neighbours_ranks_and_threads(self):
        for width, options in ((32, ()), (64, ("--quantize", "q8_0"))):
            path = Bert(width=width, positions=120).write_folder(os.path.join(folder(), "folder"))
            texts = [*TEXTS, "the cat sat on " * 29 + "a mat", *TEXTS]  # more than a chunk of keys
            together = heddle("embed", path, *texts, "--json", *options)
            self.assertEqual("".join(heddle("embed", path, text, "--json", *options) for text in texts), together)
            for words in (["--ranks", 2, "--threads", 1], ["--ranks", 3, "--threads", 2], ["--threads", 3]):
                self.assertEqual(heddle("embed", path, *texts, "--json", *options, *words), together, words)


class Texts(unittest.TestCase):
    def setUp(self):
        self.model = Bert()
        self.place = folder()
        self.path = self.model.write_folder(os.path.join(self.place, "folder"))

    def test_files_lines_and_arguments_are_the_same(self):
        texts = list(TEXTS)[:3]
        file = os.path.join(self.place, "texts.txt")
        with open(file, "w", encoding="utf8", newline="") as out:
            out.write("\r\n".join(texts))
        expected = heddle("embed", self.path, *texts, "--json")
        self.assertEqual(heddle("embed", self.path, "--file", file, "--json"), expected)
        self.assertEqual(heddle("embed", self.path, "--json", stdin="\n".join(texts).encode() + b"\n"), expected)

    def test_what_people_see(self):
        lines = heddle("embed", self.path, "the cat", "the cat", "a house").splitlines()
        self.assertRegex(lines[0], r"^1  \[-?\d\.\d{4}, .*, … 32 numbers\]  the cat$")
        self.assertEqual(lines[4], "how alike (cosine)")
        self.assertEqual(lines[6].split()[:3], ["1", "1.000", "1.000"])
        self.assertEqual(len(lines), 9)

    def test_a_text_that_is_too_long(self):
        words = " ".join(["cat"] * 60)
        refused(self, attempt("embed", self.path, "the cat", words), "text 2 has 62 tokens, and the model has 40 positions", "--truncate", status=1)
        cut = vectors(self.path, words, "--truncate")[0]
        self.assertGreater(cosine(cut, self.model.embedding(ids_of("", " ".join(["cat"] * 38)))), 0.99999)

    def test_texts_that_are_none(self):
        for blank in (" \t", "\n", "\u00a0"):
            refused(self, attempt("embed", self.path, "the cat", blank), "text 2 is empty", status=1)
        refused(self, attempt("embed", self.path, b"caf\xe9"), "text 1 is not valid UTF-8 at byte 3", status=1)
        refused(self, attempt("embed", self.path, stdin=b""), "standard input holds no text", status=1)
        refused(self, attempt("embed", self.path, stdin=b"the cat\n\na dog\n"), "standard input, line 2 is empty", status=1)
        refused(self, attempt("embed", self.path, "the cat", "--file", __file__), "not from both", status=2)
        refused(self, attempt("embed", self.path, "--file", os.path.join(self.place, "none")), "none", status=2)

    def test_models_that_cannot(self):
        refused(self, attempt("embed", harness.tiny(os.path.join(self.place, "tiny.gguf")), "the cat"), "cannot embed", "step", status=1)
        refused(self, attempt("run", self.path, "--raw", "-p", "the cat", "-n", "1"), "no entry that gives logits", status=1)


class Refusals(unittest.TestCase):
    """Whatever a folder says of its vectors is done, or refused by name."""

    def check(self, *words, **options):
        path = Bert().write_folder(os.path.join(folder(), "folder"), **options)
        refused(self, attempt("embed", path, "the cat"), *words, status=1)

    def test_pooling(self):
        self.check("1_Pooling/config.json: pooling_mode_max_tokens is true", pooling="max")
        self.check("1_Pooling/config.json: pooling_mode is 'max'", pooling_config={"pooling_mode": "max"})
        self.check("1_Pooling/config.json: pooling_mode is [cls, mean], no text", pooling_config={"pooling_mode": ["cls", "mean"]})
        self.check("pooling_mode_something is true", pooling_config={"pooling_mode_something": True})
        self.check("pooling_mode_mean_tokens is false, and no other kind", pooling_config={"pooling_mode_mean_tokens": False})
        self.check("modules.json: its list ends as number 2", modules=("Transformer",))
        self.check("pooling_mode_mean_tokens is true beside another kind", pooling_config={"pooling_mode_cls_token": True})
        self.check("has the module 'Dense' as number 3", modules=("Transformer", "Pooling", "Dense", "Normalize"))
        self.check("pooling_mode_mean_tokens is 'yes', neither true nor false", pooling_config={"pooling_mode_mean_tokens": "yes"})

    def test_configuration(self):
        self.check("hidden_act is 'mish'", config={"hidden_act": "mish"})
        self.check("hidden_act is 'null'", config={"hidden_act": None})
        self.check("position_embedding_type is 'relative_key'", config={"position_embedding_type": "relative_key"})
        self.check("is_decoder is true", config={"is_decoder": True})
        self.check("a_new_key is 1", config={"a_new_key": 1})
        self.check("type_vocab_size", config={"type_vocab_size": 3})
        self.check("embeddings.position_embeddings.weight", tensors={"embeddings.position_embeddings.weight": None})
        self.check("encoder.layer.0.attention.self.query.lora_A", tensors={"encoder.layer.0.attention.self.query.lora_A": [1.0]})

    def test_files(self):
        lower = {"sentence_bert_config.json": {"max_seq_length": 6, "do_lower_case": True}}
        self.check("sentence_bert_config.json: do_lower_case is true", more=lower)
        prompt = {"config_sentence_transformers.json": {"default_prompt_name": "query", "prompts": {"query": "q: "}}}
        self.check("config_sentence_transformers.json: default_prompt_name is 'query'", more=prompt)
        for name in ("sentence_bert_config.json", "config_sentence_transformers.json"):
            self.check(f"{name}: a_new_key is 1", more={name: {"a_new_key": 1}})
        for path, words in (("../x", "is no folder beside it"), ("none", "there is no config.json"), ("", "is no folder beside it")):
            list_ = [{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": path}]
            self.check("modules.json", words, more={"modules.json": list_})
        self.check("modules.json: the module 'Transformer' has the path '0_x'", more={"modules.json": [{"type": "Transformer", "path": "0_x"}]})
        part, token = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[XX]", "type_id": 0}}
        for frame in ({"type": "Magic"}, {"type": "TemplateProcessing", "single": [token, part], "pair": [part], "special_tokens": {}}):
            self.check("its tokenizer.json cannot frame a text", more={"tokenizer.json": bert_model.tokenizer() | {"post_processor": frame}})
        for wrong in ({}, [1], [{"path": "x"}]):
            self.check("modules.json", more={"modules.json": wrong})
        path = Bert().write_gguf(os.path.join(folder(), "bert.gguf"), pooling=4)
        refused(self, attempt("embed", path, "the cat"), "bert.pooling_type is 4", status=1)
        path = Bert().write_gguf(os.path.join(folder(), "bert.gguf"), keys={"tokenizer.ggml.model": b"\x08\0\0\0" + b"\x04" + bytes(7) + b"gpt2"})
        refused(self, attempt("embed", path, "the cat"), "tokenizer.ggml.model is 'gpt2'; only bert", status=1)

    def test_numbers_that_are_none(self):
        model = Bert()
        model.blocks[-1]["down_norm"] = ([1.0] * model.width, [3e38] * model.width)
        path = model.write_folder(os.path.join(folder(), "folder"), modules=("Transformer", "Pooling"))
        self.assertIn("the vector of text 1 holds a number that is not finite", "".join(harness.complaint(attempt("embed", path, "the cat", "--json"))))


if __name__ == "__main__":
    harness.main()
