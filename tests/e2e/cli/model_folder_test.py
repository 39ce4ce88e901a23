"""model_folder_test.py - Hugging Face folders, split GGUF files and --quantize: the same model gives the same numbers whatever files it
lies in, and what is wrong with the files is one line that names file and field, with nothing written."""
import json
import math
import os
import shutil
import struct
import unittest

import harness
import model_folder
import say_model
from harness import attempt, evaluate, folder, heddle, refused, tiny, tree
from model_folder import Gguf


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.cache = {"XDG_CACHE_HOME": os.path.join(cls.place, "cache")}
        cls.text = os.path.join(cls.place, "text.txt")
        with open(cls.text, "w", encoding="utf8") as file:
            file.write("A loom is a patient machine. Wörter und 123 mehr, the the end.")

    def at(self, name):
        return os.path.join(self.place, name)

    def logits(self, model, *options):
        return evaluate(model, self.at("logits.npy"), *options, text=self.text, environment=self.cache)["hash"]

    def rows(self, model):
        evaluate(model, self.at("logits.npy"), text=self.text, environment=self.cache)
        file = harness.Npy(self.at("logits.npy"))
        try:
            return [file.row(i) for i in range(file.rows)]
        finally:
            file.close()

    def written(self, name, gguf, **options):
        path = self.at(name)
        shutil.rmtree(path, ignore_errors=True)
        return model_folder.write(path, gguf, **options)


def divergence(p, q):
    """KL(p ‖ q) of two rows of logits."""
    def log_probabilities(row):
        top = max(row)
        total = math.log(sum(math.exp(x - top) for x in row)) + top
        return [x - total for x in row]
    return sum(math.exp(a) * (a - b) for a, b in zip(log_probabilities(p), log_probabilities(q)))


class SameModel(Models):
    def test_a_llama_folder_gives_the_bits_of_its_gguf_file(self):
        for weights in ("f32", "f16", "bf16"):
            with self.subTest(weights):
                gguf = tiny(self.at("llama.gguf"), weights=weights, heads=6, kv_heads=3, head_dim=32, layers=2)
                expected = self.logits(gguf)
                self.assertEqual(self.logits(self.written("llama", gguf)), expected)
                self.assertEqual(self.logits(self.written("sharded", gguf, count=3)), expected)
                self.assertEqual(self.logits(self.written("sharded", gguf, count=3), "--ranks", 2), expected)

    def test_norms_of_a_folder_may_be_stored_in_half_precision(self):
        gguf = tiny(self.at("half.gguf"), weights="bf16")
        file, halved = Gguf(gguf), {}
        for name, (dtype, shape, data) in model_folder.folder_tensors(file).items():
            if "norm" in name:
                halved[name] = ("BF16", shape, b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4)))
        cut = {name: (shape, kind, data if "norm" not in name else
                      b"".join(b"\0\0" + data[i + 2:i + 4] for i in range(0, len(data), 4)))
               for name, (shape, kind, data) in file.tensors.items()}
        expected = self.logits(model_folder.write_gguf(self.at("cut.gguf"), file.raw, cut))
        self.assertEqual(self.logits(self.written("half", gguf, tensors=halved)), expected)
        short = {name: (shape, kind, data) if "norm" not in name else
                 (shape, 30, b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4))) for name, (shape, kind, data) in cut.items()}
        self.assertEqual(self.logits(model_folder.write_gguf(self.at("short.gguf"), file.raw, short)), expected)  # a GGUF file too

    def test_an_edited_expression_is_refused_by_name(self):
        gguf = tiny(self.at("edited.gguf"))
        place, stage = self.written("edited", gguf), self.at("edited.mlir")
        text = heddle("compile", place, "--emit", "graph", environment=self.cache)
        for old, new, words in (("permute(model.layers.0.self_attn.q_proj.weight, 4)", "permute(model.layers.0.self_attn.q_proj.weight, 3)",
                                 "3 heads"),
                                ('from "lm_head.weight"', 'from "twist(lm_head.weight)"', "unknown word 'twist'"),
                                ('from "lm_head.weight"', 'from "../lm_head.weight"', "is missing"),
                                ('from "lm_head.weight"', 'from "rows(lm_head.weight, 0, 64)"', "differs from the stage's declaration")):
            self.assertIn(old, text)
            with open(stage, "w", encoding="utf8") as file:
                file.write(text.replace(old, new))
            run = attempt("compile", place, "--from-stage", stage, "-o", self.at("edited.plan"), environment=self.cache, timeout=60)
            refused(self, run, words, status=1)
            self.assertFalse(os.path.exists(self.at("edited.plan")))

    def test_a_gemma_3_folder_is_the_model_of_its_gguf_file(self):
        gguf = tiny(self.at("gemma.gguf"), architecture="gemma3", layers=7, window=16)
        expected, folder_ = self.rows(gguf), self.written("gemma", gguf)
        got = self.rows(folder_)
        self.assertEqual(len(got), len(expected))
        self.assertLess(max(divergence(p, q) for p, q in zip(expected, got)), 1e-6)
        # The multimodal model's folder: values in text_config, defaults left out, tensors elsewhere.
        with open(os.path.join(folder_, "config.json"), encoding="utf8") as file:
            text_config = json.load(file)
        for count, place in enumerate(("language_model.model.", "model.language_model.")):
            images = {"vision_tower.weight": ("F32", (2, 2), bytes(16))}
            other = self.written(f"images{count}", gguf, place=place, tensors=images)
            model_folder.write_json(other, "config.json", {
                "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "mm_tokens_per_image": 256,
                "vision_config": {"hidden_size": 8}, "image_token_index": 5, "text_config": text_config, "eos_token_id": [299]})
            self.assertEqual(self.rows(other), got)

    def test_windows_and_scaling_are_read(self):
        gguf = tiny(self.at("gemma.gguf"), architecture="gemma3", layers=4, window=16)
        def graph(**options):
            return heddle("compile", self.written("graph", gguf, **options), "--emit", "graph", environment=self.cache)
        kinds = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]
        calls = [line for line in graph(config={"layer_types": kinds}).splitlines() if "call @" in line]
        self.assertEqual(["window" in line for line in calls], [True, False, False, True])
        self.assertIn("scale 8.0", graph(config={"rope_scaling": {"factor": 8.0, "rope_type": "linear"}}))
        self.assertIn("scale 8.0", graph(without=["rope_theta", "rope_local_base_freq"], config={"rope_parameters": {
            "full_attention": {"rope_theta": 1e6, "rope_type": "linear", "factor": 8.0},
            "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"}}}))

    def test_llama_3_scaling_is_the_factors_that_gguf_files_have(self):
        gguf = say_model.write(self.at("scaled.gguf"), head_size=64, heads=1, kv_heads=1)
        rule = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64}
        graph = heddle("compile", self.written("scaled", gguf, config={"rope_scaling": rule}), "--emit", "graph", environment=self.cache)
        line = next(line for line in graph.splitlines() if "rope_table" in line)
        factors = [float(word) for word in line[line.index("factors") + 7:].strip("<>[] :f64array").replace("f64:", "").split(",")]
        self.assertEqual(len(factors), 32)
        self.assertEqual((factors[0], factors[-1]), (1.0, 8.0))
        self.assertEqual(factors, sorted(factors))
        self.assertTrue(any(1 < factor < 8 for factor in factors))

    def test_mistral_is_a_llama_with_a_window(self):
        gguf = tiny(self.at("mistral.gguf"))
        self.assertEqual(self.logits(self.written("mistral", gguf, config={"model_type": "mistral", "sliding_window": None})),
                         self.logits(gguf))
        graph = heddle("compile", self.written("mistral", gguf, config={"model_type": "mistral", "sliding_window": 32}), "--emit",
                       "graph", environment=self.cache)
        self.assertIn("window = 32", graph)

    def test_a_stage_finds_its_weights_again(self):
        gguf = tiny(self.at("stage.gguf"))
        place = self.written("stage", gguf)
        stage = self.at("fused.mlir")
        with open(stage, "w", encoding="utf8") as file:
            file.write(heddle("compile", place, "--emit", "fused", "--quantize", "q8_0", environment=self.cache))
        heddle("compile", place, "--from-stage", stage, "-o", self.at("stage.plan"))
        self.assertEqual(self.logits(self.at("stage.plan")), self.logits(place, "--quantize", "q8_0"))

    def test_text_and_ends_come_from_the_folders_files(self):
        gguf = say_model.write(self.at("say.gguf"), say=(66, 67, 68))
        place = self.written("say", gguf, files={"generation_config.json": {"eos_token_id": [0, 68], "temperature": 0.3, "top_k": 20}})
        answer = json.loads(heddle("run", place, "--raw", "-p", "a", "-n", 8, "--json", environment=self.cache))
        self.assertEqual(answer["text"], "AB")
        plan = heddle("compile", place, environment=self.cache).strip()
        with open(os.path.join(plan, "manifest.json"), encoding="utf8") as file:
            manifest = json.load(file)
        self.assertIn(68, manifest["end_of_text"])
        with open(os.path.join(place, "chat_template.jinja"), "w", encoding="utf8") as file:
            file.write("{% for m in messages %}{{ m.content }}{% endfor %}")
        chatted = json.loads(heddle("run", place, "-p", "a", "-n", 8, "--temperature", 0, "--json", environment=self.cache))
        self.assertEqual(chatted["text"], "AB")

    def test_a_qwen_folder_chats_without_a_bos_until_its_end_of_turn(self):
        turns = {258: ("<|im_start|>", say_model.CONTROL), 259: ("<|im_end|>", say_model.CONTROL)}
        gguf = say_model.write(self.at("qwen.gguf"), say=(66, 67, 259, 68), tokens=turns)
        at = "model.layers.0.self_attn."
        biases = {f"{at}{role}_proj.bias": ("F32", (rows,), bytes(4 * rows)) for role, rows in (("q", 64), ("k", 32), ("v", 32))}
        template = ("{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
                    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}")
        tokenizer = {"add_bos_token": False, "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
                     "chat_template": template, "tokenizer_class": "Qwen2Tokenizer", "errors": "replace", "split_special_tokens": False}
        place = self.written("qwen", gguf, tensors=biases, without=("attention_bias", "mlp_bias", "pretraining_tp", "head_dim", "rope_scaling"),
                             config={"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "eos_token_id": 259, "bos_token_id": 0,
                                     "max_window_layers": 1, "sliding_window": 4096, "use_sliding_window": False},
                             files={"tokenizer_config.json": tokenizer,
                                    "generation_config.json": {"bos_token_id": 0, "eos_token_id": [259, 0], "pad_token_id": 0,
                                                               "do_sample": True, "repetition_penalty": 1.05, "temperature": 0.7}})
        answer = json.loads(heddle("run", place, "-p", "a", "-n", 8, "--temperature", 0, "--json", environment=self.cache))
        self.assertEqual(answer["text"], "AB")
        self.assertEqual(answer["usage"]["prompt_tokens"], len("|user.a|.|assistant."), "each mark is one token, and there is no BOS")

    def test_what_changes_in_a_folder_is_compiled_again(self):
        gguf = tiny(self.at("changes.gguf"))
        place = self.written("changes", gguf, count=2)
        first = heddle("compile", place, environment=self.cache)
        self.assertEqual(heddle("compile", place, environment=self.cache), first)
        self.assertNotEqual(heddle("compile", place, "--quantize", "q8_0", environment=self.cache), first)
        model_folder.write_json(place, "generation_config.json", {"eos_token_id": 5})
        self.assertNotEqual(heddle("compile", place, environment=self.cache), first)


class Quantize(Models):
    def test_weights_are_those_of_a_quantised_file(self):
        gguf = tiny(self.at("whole.gguf"), feed_forward=96, head_dim=32)
        place = self.written("whole", gguf)
        for kind in ("q8_0", "q4_0"):
            expected = self.logits(model_folder.quantized(gguf, self.at(f"{kind}.gguf"), kind))
            self.assertNotEqual(expected, self.logits(gguf))
            for model in (gguf, place):
                self.assertEqual(self.logits(model, "--quantize", kind), expected, f"{kind} {model}")

    def test_every_format_is_one_of_the_plan(self):
        gguf = tiny(self.at("whole.gguf"), feed_forward=40)
        for kind in ("q4_1", "q5_0", "q5_1", "f16", "bf16"):
            plan = self.at(kind + ".plan")
            heddle("compile", gguf, "--quantize", kind, "-o", plan)
            with open(os.path.join(plan, "manifest.json"), encoding="utf8") as file:
                manifest = json.load(file)
            self.assertTrue(manifest["name"].endswith(" " + kind), manifest["name"])
            for weight in manifest["weights"]:
                fits = not kind.startswith("q") or weight["columns"] % 32 == 0
                self.assertEqual(weight["format"], kind if weight["packed"] and fits else "f32", weight)
            run = attempt("run", plan, "--quantize", kind, "-p", "a", "--raw", timeout=60)
            refused(self, run, "--quantize", status=1)

    def test_wrong_formats(self):
        gguf = tiny(self.at("whole.gguf"))
        refused(self, attempt("compile", gguf, "--quantize", "q6_k"), "--quantize", "q8_0", status=2)
        file = Gguf(gguf)
        shape, kind, data = file.tensors["blk.0.ffn_up.weight"]
        large = dict(file.tensors) | {"blk.0.ffn_up.weight": (shape, kind, struct.pack("<f", 1e6) + data[4:])}
        place = model_folder.write_gguf(self.at("large.gguf"), file.raw, large)
        run = attempt("compile", place, "--quantize", "f16", "-o", self.at("large.plan"), timeout=60)
        refused(self, run, "blk.0.ffn_up.weight", "beyond f16", status=1)
        self.assertFalse(os.path.exists(self.at("large.plan")))


class SplitFiles(Models):
    def test_all_parts_are_read(self):
        gguf = tiny(self.at("whole.gguf"))
        parts = model_folder.split(gguf, self.at("model"), 3)
        self.assertEqual(self.logits(parts[0]), self.logits(gguf))

    def test_what_is_wrong_with_parts(self):
        def check(path, *words):
            refused(self, attempt("compile", path, "--emit", "graph", environment=self.cache, timeout=60), *words, status=1)
        gguf = tiny(self.at("whole.gguf"))
        parts = model_folder.split(gguf, self.at("broken"), 3)
        check(parts[1], "part 2", "give the first one")
        renamed = shutil.copy(parts[0], self.at("renamed.gguf"))
        check(renamed, "split into 3", "llama-gguf-split --merge")
        os.rename(parts[2], self.at("away"))
        check(parts[0], "broken-00003-of-00003.gguf", "missing")
        shutil.copy(parts[1], parts[2])
        check(parts[0], "broken-00003-of-00003.gguf", "is no part 3")
        other = tiny(self.at("other.gguf"), layers=3)
        shutil.copy(model_folder.split(other, self.at("foreign"), 3)[2], parts[2])
        check(parts[0], "broken-00003-of-00003.gguf", "is no part 3")


class Refusals(Models):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gguf = tiny(os.path.join(cls.place, "tiny.gguf"))
        os.makedirs(os.path.join(cls.place, "out"))

    def check(self, *words, change=None, **options):
        """The folder is refused in one line, by compiling it into a plan, and nothing is written."""
        with self.subTest(f"{words}"):
            place = self.written("wrong", self.gguf, **options)
            if change:
                change(place)
            run = attempt("compile", place, "-o", self.at("out/x.plan"), environment=self.cache, timeout=60)
            line = refused(self, run, *words, status=1)
            self.assertTrue("wrong" in line, line)
            self.assertEqual(tree(self.at("out")), [])

    def test_files_that_are_missing(self):
        def without(*names):
            return lambda place: [os.unlink(os.path.join(place, name)) for name in names]
        def pickle(place):
            os.rename(os.path.join(place, "model.safetensors"), os.path.join(place, "pytorch_model.bin"))
        self.check("model-00002-of-00003.safetensors", "missing", count=3, change=without("model-00002-of-00003.safetensors"))
        self.check("neither model.safetensors nor", change=without("model.safetensors"))
        self.check("pytorch_model.bin", "pickle", change=pickle)
        self.check("tokenizer.json", "missing", change=without("tokenizer.json"))
        self.check("neither manifest.json", "nor config.json", change=without("config.json"))
        self.check("config.json", "is empty", change=lambda place: open(os.path.join(place, "config.json"), "w", encoding="utf8").close())

    def test_files_that_are_no_files(self):
        def replaced(name, make):
            def change(place):
                path = os.path.join(place, name)
                if os.path.exists(path):
                    os.unlink(path)
                make(path)
            return change
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            self.check(name, "not a regular file", change=replaced(name, os.mkdir))
            self.check(name, "not a regular file", change=replaced(name, os.mkfifo))  # which nobody writes
            self.check(name, "not a regular file", change=replaced(name, lambda path: os.symlink("/dev/zero", path)))
            self.check(name, "links to a file that is not there", change=replaced(name, lambda path: os.symlink("away/x", path)))
            self.check(name, "symbolic links", change=replaced(name, lambda path: os.symlink(path, path)))
            self.check(name, "is empty", change=replaced(name, lambda path: open(path, "w", encoding="utf8").close()))
            pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
            def lfs(path):
                with open(path, "w", encoding="utf8") as file:
                    file.write(pointer)
            self.check(name, "download", change=replaced(name, lfs))
        shard = "model-00002-of-00003.safetensors"
        self.check(shard, "not a regular file", count=3, change=replaced(shard, os.mkdir))
        self.check(shard, "links to a file that is not there", count=3, change=replaced(shard, lambda path: os.symlink("away/x", path)))
        self.check("chat_template.jinja", "links to a file that is not there",
                   change=replaced("chat_template.jinja", lambda path: os.symlink("away/x", path)))
        self.check("adapter_config.json", "merge it", files={"adapter_config.json": {"peft_type": "LORA", "r": 8}})

    def test_headers_of_safetensors(self):
        """What a header may claim, one thing wrong at a time."""
        name = "model.layers.0.mlp.up_proj.weight"
        def header(change):
            def rewrite(place):
                path = os.path.join(place, "model.safetensors")
                with open(path, "rb") as file:
                    whole = file.read()
                size = struct.unpack("<Q", whole[:8])[0]
                entries, data = json.loads(whole[8:8 + size]), whole[8 + size:]
                text = change(entries, data)
                text = text if isinstance(text, bytes) else json.dumps(entries).encode()
                with open(path, "wb") as file:
                    file.write(struct.pack("<Q", len(text)) + text + data)
            return rewrite
        def field(key, value):
            return header(lambda entries, _: entries[name].__setitem__(key, value))
        def length(n):
            def change(place):
                with open(os.path.join(place, "model.safetensors"), "r+b") as file:
                    file.write(struct.pack("<Q", n))
            return change
        for n in (100_000_001, 2**31, 2**63, 2**64 - 1):
            self.check(f"claims a header of {n} bytes", change=length(n))
        self.check("the header is no JSON", change=length(0))
        def offsets(change):
            return header(lambda entries, data: entries[name].__setitem__("data_offsets", change(*entries[name]["data_offsets"], len(data))))
        for words, change in (("overlaps", lambda begin, end, size: [begin - 4, end - 4]), 
                              ("lies at bytes", lambda begin, end, size: [end, begin]), ("lies at bytes", lambda begin, end, size: [begin, size + 4]),
                              ("is not {", lambda begin, end, size: [-4, end]), ("is not {", lambda begin, end, size: [2**64, end]),
                              ("is not {", lambda begin, end, size: [begin + 0.5, end]), ("1 data_offsets", lambda begin, end, size: [begin]),
                              ("is not {", lambda begin, end, size: [begin, end, end]), ("is not {", lambda begin, end, size: ["0", "4"])):
            self.check(name, words, change=offsets(change))
        self.check("leaves a gap", change=offsets(lambda begin, end, size: [2**63, 2**63]))
        for dtype, words in (("f32", "unknown type 'f32'"), ("F32\n", "unknown type"), (7, "is not {"), (None, "is not {"), ("F64", "not those of its shape")):
            self.check(name, words, change=field("dtype", dtype))
        for shape, words in (([], "not those"), ([96], "not those"), ([-96, -64], "is not {"), ([2**62, 4, 96], "not those"), ([96, 0], "not those"),
                             ([1] * 9, "impossible shape"), ([2**63, 0], "impossible shape"), ([96.0, 64], "is not {"), ([[96], 64], "is not {"),
                             (None, "is not {")):
            self.check(name, words, change=field("shape", shape))
        self.check(name, "has no dtype", change=header(lambda entries, _: entries[name].pop("dtype") and None))
        self.check(name, "is not {", change=field("more", 1))
        self.check("'z'", "is not {", change=header(lambda entries, _: entries.__setitem__("z", None)))
        self.check("no object of tensors", change=header(lambda entries, _: entries.__setitem__("__metadata__", {"a": {"b": {}}})))
        self.check("overlaps", change=header(lambda entries, _: json.dumps(entries).encode()[:-1] + f', "{name}": {json.dumps(entries[name])}}}'.encode()))
        self.check("does not begin with '{'", change=header(lambda entries, _: "\ufeff".encode() + json.dumps(entries).encode()))
        self.check("is no JSON", change=header(lambda entries, _: json.dumps(entries).encode() + b"}"))
        self.check("is no JSON", change=header(lambda entries, _: json.dumps(entries).encode().replace(b"up_proj", b"up\xff\xfeproj", 1)))
        self.check("is not {", change=header(lambda entries, _: b'{"a":' * 100000))
        self.check("belong to no tensor", change=lambda place: open(os.path.join(place, "model.safetensors"), "ab").write(bytes(16)) and None)

    def test_shards_that_do_not_belong_together(self):
        first, second = (f"model-0000{n}-of-00002.safetensors" for n in (1, 2))
        def doubled(place):
            tensors = model_folder.folder_tensors(Gguf(self.gguf))
            name = next(iter(tensors))
            kept = list(tensors)[len(tensors) // 2:]
            model_folder.safetensors(os.path.join(place, second), {n: tensors[n] for n in [name, *kept]})
        def unlisted(place):
            model_folder.safetensors(os.path.join(place, first), {"other": ("F32", (1,), bytes(4))})
        def outside(place):
            model_folder.write_json(place, "model.safetensors.index.json", {"weight_map": {"a": "../x.safetensors"}})
        for file in ("/etc/x.safetensors", "sub/x.safetensors", "x\0y.safetensors", "x\ny.safetensors", "m" * 5000 + ".safetensors", "model.bin", 7, None):
            self.check("weight_map of 'a'", "names no .safetensors file of this folder", count=2,
                       change=lambda place, file=file: model_folder.write_json(place, "model.safetensors.index.json", {"weight_map": {"a": file}}))
        def swapped(place):
            os.rename(os.path.join(place, second), os.path.join(place, first))
            shutil.copy(os.path.join(place, first), os.path.join(place, second))
        self.check(second, "doubled", count=2, change=doubled)
        self.check(first, "'other' is not in model.safetensors.index.json", count=2, change=unlisted)
        self.check("weight_map", "names no .safetensors file of this folder", count=2, change=outside)
        self.check(first, "doubled", count=2, change=swapped)
        self.check("weight_map", "missing", count=2, change=lambda place: model_folder.write_json(place, "model.safetensors.index.json", {}))

    def test_tensors(self):
        name = "model.layers.0.mlp.up_proj.weight"
        def value(number, at=5):
            data = bytearray(4 * 96 * 64)
            struct.pack_into("<f", data, 4 * at, number)
            return {name: ("F32", (96, 64), bytes(data))}
        self.check("model.safetensors", name, "NaN", "row 0, column 5", tensors=value(math.nan))
        self.check("model.safetensors", name, "infinite", "row 95, column 63", tensors=value(math.inf, 96 * 64 - 1))
        self.check("model.safetensors", name, "96 × 32", "config.json needs 96 × 64", "intermediate_size × hidden_size",
                   tensors={name: ("F32", (96, 32), bytes(4 * 96 * 32))})
        self.check(name, "missing", dropped=[name])
        self.check("lm_head.weight", "missing", dropped=["lm_head.weight"])
        self.check(name, "type I64", tensors={name: ("I64", (96, 64), bytes(8 * 96 * 64))})
        for kind, value, words in (("F16", b"\x00\x7e", "NaN"), ("F16", b"\x00\xfc", "infinite"), ("BF16", b"\xc0\x7f", "NaN"), ("BF16", b"\x80\x7f", "infinite")):
            self.check(name, words, "row 95, column 63", tensors={name: (kind, (96, 64), bytes(2 * 96 * 64 - 2) + value)})
        self.check("model.norm.weight", "NaN", tensors={"model.norm.weight": ("F32", (64,), struct.pack("<64f", *[math.nan] * 64))})
        for extra in ("model.layers.0.self_attn.q_proj.bias", "model.layers.5.input_layernorm.weight", "something.else",
                      "model.layers.0.mlp.experts.0.w1.weight", "score.weight"):
            self.check(extra, tensors={extra: ("F32", (64,), bytes(256))})

    def test_config(self):
        wrong = {"model_type": ("strange", "model_type 'strange' is not supported"), "num_hidden_layers": (0, "num_hidden_layers is 0"),
                 "hidden_act": ("relu", "activation"), "rms_norm_eps": (math.nan, "config.json"),
                 "rope_scaling": ({"rope_type": "dynamic", "factor": 4.0}, "'dynamic'"), "vocab_size": (400, "vocab_size is 400"),
                 "quantization_config": ({"quant_method": "gptq"}, "gptq"), "num_experts": (8, "mixtures of experts"),
                 "max_position_embeddings": (2**40, "max_position_embeddings"), "head_dim": (100, "a head size of 100"),
                 "hidden_size": ("64", "no whole number"), "num_key_value_heads": (3, "does not divide"), "a_new_key": (1, "a_new_key is 1"),
                 "sliding_window": (64, "sliding_window is 64"), "tie_word_embeddings": ("yes", "neither true nor false"),
                 "partial_rotary_factor": (0.5, "partial_rotary_factor"), "rope_theta": (0, "rope_theta is 0")}
        for key, (value, words) in wrong.items():
            self.check("config.json", words, config={key: value})
        for key, value, words in (("hidden_act", None, "hidden_act is null"), ("hidden_size", [64], "hidden_size is [64], no whole number"),
                                  ("num_key_value_heads", [2, 2], "num_key_value_heads is [2, 2], no whole number")):
            self.check("config.json", words, config={key: value})
        for key, tensor in (("attention_bias", "layers.0.self_attn.q_proj.bias"), ("mlp_bias", "layers.0.mlp.gate_proj.bias")):
            self.check(tensor, "is missing", config={key: True})
        self.check("config.json", "model_type is missing", without=["model_type"])
        self.check("config.json", "vocab_size is missing", without=["vocab_size"])
        embedding = {"lm_head.weight": ("F32", (300, 64), bytes(4 * 300 * 64))}
        self.check("tie_word_embeddings is true", "lm_head.weight is no copy", config={"tie_word_embeddings": True}, tensors=embedding)
        self.check("rope_parameters.type contradicts rope_parameters.rope_type", config={"rope_parameters": {"rope_type": "linear", "factor": 2.0, "type": "su"}})
        def rewrite(text):
            def change(place):
                with open(os.path.join(place, "config.json"), "w", encoding="utf8") as file:
                    file.write(text)
            return change
        self.check("config.json", "appears twice", change=rewrite('{"model_type": "llama", "a": 1, "a": 2}'))
        self.check("config.json", "no JSON", change=rewrite('{"model_type": "llama"'))
        self.check("config.json", "no JSON object", change=rewrite("[]"))
        for literal in ("NaN", "Infinity", "-Infinity", "1e999"):
            self.check("config.json", "no JSON" if literal != "1e999" else "out of range", change=rewrite('{"model_type": "llama", "a": ' + literal + "}"))
        self.check("config.json", "no JSON", change=rewrite('{"model_type": "llama"} {}'))
        self.check("config.json", "a\\x0ab is 1", change=rewrite('{"a\\nb": 1, ' + json.dumps(model_folder.config_of(Gguf(self.gguf)))[1:]))
        self.check("config.json", "more than the 67108864", change=rewrite('{"model_type": "' + "l" * (65 << 20) + '"}'))
        self.check("config.json", "k0 is 1", change=rewrite(  # many keys are no reason to take long
            json.dumps(model_folder.config_of(Gguf(self.gguf)))[:-1] + "".join(f', "k{i}": 1' for i in range(200000)) + "}"))
        self.check("config.json", "nested", change=rewrite('{"model_type": "llama", "a": ' + "[" * 100000 + "]" * 100000 + "}"))

    def test_tokenizers(self):
        def larger(words):
            words["model"]["vocab"]["zz"] = 300
        def half(words):
            words["model"]["vocab"] = {token: i for token, i in words["model"]["vocab"].items() if i < 150}
            words["added_tokens"] = [entry for entry in words["added_tokens"] if entry["id"] < 150]
            words["model"]["merges"] = []
        def unknown(words):
            words["model"]["type"] = "Magic"
        def after(words):
            words["post_processor"] = {"type": "TemplateProcessing", "single": [
                {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}], "pair": [],
                "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}}
        names = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
        self.check("vocab_size is 300", "301 tokens", tokenizer=larger)
        self.check("vocab_size is 300", "150 tokens", tokenizer=half, files={"tokenizer_config.json": names}, config={"eos_token_id": 0})
        self.check("tokenizer.json", tokenizer=unknown)
        self.check("tokenizer.json", "post_processor", tokenizer=after)
        self.check("tokenizer_config.json", "add_eos_token", files={"tokenizer_config.json": names | {"add_eos_token": True}})
        for wrong in (7, ["a"], {"content": 1}):
            self.check("tokenizer_config.json", "bos_token is neither", files={"tokenizer_config.json": names | {"bos_token": wrong}})
        self.check("tokenizer_config.json", "add_bos_token is neither", files={"tokenizer_config.json": names | {"add_bos_token": "yes"}})
        for wrong in (5, [5], [{"name": "default"}], {"default": "x"}):
            self.check("tokenizer_config.json", "chat_template is neither", files={"tokenizer_config.json": names | {"chat_template": wrong}})
        self.check("bos_token is '<bos>'", files={"tokenizer_config.json": names | {"bos_token": "<bos>"}})
        self.check("eos_token_id names token 5000", files={"generation_config.json": {"eos_token_id": 5000}})
        self.check("added_tokens.json", files={"added_tokens.json": {"<|endoftext|>": 7}, "tokenizer_config.json": names})

    def test_harmless_words_are_taken(self):
        place = self.written("harmless", self.gguf, config={"pruned_heads": {}, "rope_scaling": None, "num_experts": None, "mlp_bias": None, "a_new_key": None, "auto_map": {"AutoModel": "x.Y"}, "id2label": {"0": "a"}},
                             tensors={"model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", (8,), bytes(32))},
                             files={"special_tokens_map.json": {"eos_token": {"content": "<|endoftext|>"}}})
        self.assertEqual(self.logits(place), self.logits(self.gguf))


if __name__ == "__main__":
    harness.main()
