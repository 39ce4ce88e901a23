"""gguf_damage_test.py - a GGUF file cut off or with a flipped byte is refused in one clear line, or compiles into a plan that runs;
never a crash, a hang or memory without bound."""
import concurrent.futures
import json
import math
import os
import random
import resource
import shutil
import struct
import subprocess
import unittest

import harness
import model_folder
from harness import attempt, folder, refused, tiny, tree

class Damage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        path = tiny(os.path.join(cls.place, "tiny.gguf"), width=32, heads=2, kv_heads=1, head_dim=16, feed_forward=64, layers=1,
                    context=256, vocabulary=260, weights="f16")
        with open(path, "rb") as file:
            cls.bytes = file.read()
        cls.text = os.path.join(cls.place, "text.txt")
        with open(cls.text, "w", encoding="utf8") as file:
            file.write("A loom is a patient machine.")
        cls.data = cls.bytes.rindex(b"token_embd.weight") + 64  # about where the tensors' values begin

    def attempt_all(self, cases):
        """cases: (name, bytes). Two at a time; returns how many were refused."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(self.one, cases))
        self.assertEqual([said for refusal, said in results if said], [])
        return sum(refusal for refusal, said in results)

    def one(self, case):
        """Whether it was refused, and what was wrong with that."""
        name, data = case
        place = os.path.join(self.place, name)
        out = os.path.join(place, "out")
        os.makedirs(out)
        path = os.path.join(place, "m.gguf")
        with open(path, "wb") as file:
            file.write(data)
        plan = os.path.join(out, "m.plan")
        cache = {"XDG_CACHE_HOME": os.path.join(place, "cache"), "OMP_NUM_THREADS": "1"}
        try:
            run = attempt("compile", path, "-o", plan, "--target", "x86-64-v3", environment=cache, timeout=60)
            if run.returncode:
                refused(self, run, status=1)
                self.assertEqual(tree(out), [])
                return True, None
            # It compiled: it must run, or say in one line that its numbers or its words are useless.
            report = attempt("eval", plan, "--text", self.text, "--json", "--threads", 1, environment=cache, timeout=60)
            if report.returncode:
                self.assertRegex(refused(self, report, status=1), r"finite|context|tokens|vocabulary|memory")
            else:
                json.loads(report.stdout)
            return False, None
        except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
            return False, f"{name}: {error}"
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def test_cut_off(self):
        size, generator = len(self.bytes), random.Random(1)
        lengths = sorted({*range(0, 24), 24, 32, 64, 100, size - 1, size - 31, size - 33, size // 2,
                          *(generator.randrange(size) for _ in range(60)),
                          *(generator.randrange(self.data) for _ in range(60))})
        cases = [(f"cut-{n}", self.bytes[:n]) for n in lengths]
        refusals = self.attempt_all(cases)
        # The last tensor may be followed by padding that nobody needs.
        self.assertGreaterEqual(refusals, len(cases) - 2)
        print(f"cut off at {len(cases)} lengths, {refusals} refused")

    def test_flipped_bytes(self):
        generator = random.Random(4)
        places = sorted({*range(0, 24), *(generator.randrange(900) for _ in range(70)),
                         *(generator.randrange(self.data - 900, self.data) for _ in range(50)),
                         *(generator.randrange(self.data) for _ in range(20)), *(generator.randrange(len(self.bytes)) for _ in range(8))})
        cases = []
        for place in places:
            flip = generator.choice([1, 0x80, 0xFF, 1 << generator.randrange(8)])
            data = bytearray(self.bytes)
            data[place] ^= flip
            cases.append((f"flip-{place}-{flip}", bytes(data)))
        refusals = self.attempt_all(cases)
        self.assertGreater(refusals, 20)
        print(f"{len(cases)} flipped bytes, {refusals} refused")

    def test_absurd_numbers(self):
        def at(offset, value, form="<Q"):
            data = bytearray(self.bytes)
            struct.pack_into(form, data, offset, value)
            return bytes(data)

        def after(key, value, form="<I"):
            return at(self.bytes.index(key.encode()) + len(key) + 4, value, form)

        def dimension(value):
            name = b"blk.0.attn_q.weight"
            return at(self.bytes.index(name) + len(name) + 4, value)

        huge = [1 << 63, (1 << 64) - 1, 1 << 40, 1 << 32, 0x7FFFFFFF]
        cases = [(f"tensors-{n}", at(8, n)) for n in huge] + [(f"keys-{n}", at(16, n)) for n in huge]
        cases += [(f"dimension-{n}", dimension(n)) for n in [0, 1, 31, 33, 1 << 31, 1 << 62, (1 << 64) - 1, (1 << 64) - 32]]
        numbers = [0, 1, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
        for key in ["block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
                    "attention.key_length", "rope.dimension_count", "context_length", "vocab_size"]:
            cases += [(f"{key}-{n}", after("llama." + key, n)) for n in numbers]
        cases += [(f"alignment-{n}", after("general.alignment", n)) for n in [0, 1, 3, 1 << 31]]
        cases += [(f"epsilon-{n}", after("llama.attention.layer_norm_rms_epsilon", n, "<f"))
                  for n in [-1.0, float("nan"), float("inf"), 1e38]]
        cases += [(f"base-{n}", after("llama.rope.freq_base", n, "<f")) for n in [0.0, -1.0, float("nan"), float("inf")]]
        cases += [(f"tokens-{n}", at(self.bytes.index(b"tokenizer.ggml.tokens") + 21 + 8, n)) for n in huge]
        refusals = self.attempt_all(cases)
        self.assertGreater(refusals, 40)
        print(f"{len(cases)} absurd numbers, {refusals} refused")

    def test_scales_that_are_no_numbers(self):
        """An infinity or NaN in any f16 field of a block, in any format and place: the tensor is named and no plan is left."""
        last = "blk.0.ffn_down.weight"
        blocks = {"q4_0": (18, [0]), "q4_1": (20, [0, 2]), "q5_0": (22, [0]), "q5_1": (24, [0, 2]), "q8_0": (34, [0]),
                  "q4_k": (144, [0, 2]), "q5_k": (176, [0, 2]), "q6_k": (210, [208])}
        for kind, (size, fields) in blocks.items():
            path = tiny(os.path.join(self.place, kind + ".gguf"), width=256, heads=4, kv_heads=2, head_dim=64, feed_forward=256, layers=1,
                        context=256, vocabulary=300, weights=kind)
            whole = model_folder.Gguf(path)
            for tensor, value, field in (("token_embd.weight", math.nan, fields[0]), (last, math.inf, fields[-1])):
                with self.subTest(f"{kind} {tensor} {value} at {field}"):
                    shape, number, data = whole.tensors[tensor]
                    damaged = bytearray(data)
                    struct.pack_into("<e", damaged, len(data) - size + field, value)  # the last block of the last row
                    bad = model_folder.write_gguf(os.path.join(self.place, "bad.gguf"), whole.raw,
                                                  whole.tensors | {tensor: (shape, number, bytes(damaged))})
                    out = os.path.join(self.place, "bad")
                    os.makedirs(out, exist_ok=True)
                    cache = {"XDG_CACHE_HOME": os.path.join(self.place, "bad-cache")}
                    run = attempt("compile", bad, "-o", os.path.join(out, "bad.plan"), environment=cache, timeout=60)
                    block = 256 if kind.endswith("_k") else 32
                    refused(self, run, "bad.gguf", tensor, "no finite number", f"row {shape[0] - 1}, column {256 - block}", status=1)
                    self.assertEqual(tree(out), [])


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    harness.main()
