"""same_bits_test.py - `heddle eval --logits` writes identical files for any ranks, threads, prompt chunks and targets, for real
models, odd shapes and each family."""
import os
import sys
import unittest

import harness
from harness import evaluated_hash, folder, heddle, model, targets, tiny

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "parity", "families"))
import catalogue  # noqa: E402
import models  # noqa: E402


class Models(unittest.TestCase):
    def compare(self, name, gigabytes, cases, *options):
        """One plan with code for all targets that this host can run; every case must give the file of the first."""
        name = model(name)
        place = folder(gigabytes)
        out = os.path.join(place, "logits.npy")
        plan = os.path.join(place, "model.plan")
        names = targets()
        heddle("compile", name, "-o", plan, "--target", names[0])
        for target in names[1:]:
            heddle("compile", plan, "--target", target)
        first = harness.evaluate(plan, out, "--ranks", 1, "--threads", 1, "--target", names[-1], *options)
        self.assertGreaterEqual(first["tokens"], 1500)  # several key chunks, and past Gemma's window of 512
        os.unlink(out)
        expected, wrong = first["hash"], []
        for case in [*cases, *(["--target", target, "--ranks", 2] for target in names[:-1])]:
            if evaluated_hash(plan, out, *case, *options) != expected:
                wrong.append(" ".join(str(word) for word in case))
        self.assertEqual(wrong, [], f"{name}: these differ from one rank, one thread, chunks of 512, target {names[-1]}")
        # Chunks of 1 on the beginning of the text: slower, and rows do not depend on what follows.
        short = os.path.join(place, "short.txt")
        with open(harness.TEXT, encoding="utf8") as whole, open(short, "w", encoding="utf8") as part:
            part.write(whole.read()[:1600])
        self.assertEqual(evaluated_hash(plan, out, "--chunk", 1, *options, text=short),
                         evaluated_hash(plan, out, "--chunk", 512, "--ranks", 2, *options, text=short))
        print(f"{name}: {len(names)} targets, {', '.join(names)}")

    def test_smollm2(self):
        self.compare("smollm2-135m", 0.8, [
            ["--threads", 2, "--chunk", 7],
            ["--ranks", 2, "--threads", 1, "--chunk", 64],
            ["--ranks", 2, "--threads", 2],
            ["--ranks", 3, "--threads", 1],
            ["--ranks", 5, "--threads", 1, "--chunk", 64],
        ])

    def test_gemma3(self):
        self.compare("gemma-3-270m", 2.2, [
            ["--threads", 2, "--chunk", 64],
            ["--ranks", 3, "--threads", 1],
        ], "--bos")


SHAPES = {  # that break assumptions
    "five_heads_one_kv_width_320": dict(width=320, heads=5, kv_heads=1, head_dim=64, feed_forward=864, weights="q4_0"),
    "eight_heads_of_80_q4_0": dict(width=640, heads=8, kv_heads=2, head_dim=80, feed_forward=1056, weights="q4_0"),
    "seven_heads_of_80_f16": dict(width=560, heads=7, kv_heads=7, head_dim=80, feed_forward=1000, weights="f16"),
    "six_heads_mixed_formats": dict(width=256, heads=6, kv_heads=3, head_dim=32, feed_forward=736, weights="q5_1",
                                    attn_q="q6_k", attn_k="mxfp4", ffn_gate="q5_k", attn_v="bf16", token_embd="q8_0"),
    "gemma_three_heads_window_96": dict(architecture="gemma3", width=256, heads=3, kv_heads=1, head_dim=64, feed_forward=544,
                                        window=96, layers=6, weights="q8_0"),
}


class SmallModels(unittest.TestCase):
    """More ranks than heads, and than groups of rows. A part of the text is enough."""

    def compare(self, path, options=(), letters=700):
        place = os.path.dirname(path)
        out, text, plan = (os.path.join(place, name) for name in ("logits.npy", "text.txt", "small.plan"))
        with open(harness.TEXT, encoding="utf8") as whole, open(text, "w", encoding="utf8") as part:
            part.write(whole.read()[:letters])
        names = targets()
        heddle("compile", path, "-o", plan, "--target", names[0], *options)
        for target in names[1:]:
            heddle("compile", plan, "--target", target)
        expected = evaluated_hash(plan, out, "--threads", 1, "--target", names[-1], text=text)
        cases = [["--threads", 2, "--chunk", 1], ["--threads", 2, "--chunk", 7], ["--ranks", 2, "--threads", 2, "--chunk", 64],
                 ["--ranks", 3, "--threads", 1], ["--ranks", 5, "--threads", 1, "--chunk", 7],
                 ["--ranks", 11, "--threads", 1, "--chunk", 64], *(["--target", target] for target in names[:-1])]
        wrong = [" ".join(map(str, case)) for case in cases if evaluated_hash(plan, out, *case, text=text) != expected]
        self.assertEqual(wrong, [], f"{path}: these differ from one rank and one thread")


class OddShapes(SmallModels):
    """Tokens are bytes."""


class Families(SmallModels):
    """Each model of tests/parity/families, with a format of its own for each kind of weight where it is a file."""

    def of(self, name):
        kind, form = ("folder", "bf16") if catalogue.ALL[name].folder_only else ("gguf", "mix")
        path = models.write(catalogue.ALL[name], kind, form, os.path.join(folder(), name + (".gguf" if kind == "gguf" else "")))
        self.compare(path, letters=150)  # GPT-2's context is 128


for shape, sizes in SHAPES.items():
    setattr(OddShapes, "test_" + shape, lambda self, sizes=sizes: self.compare(
        tiny(os.path.join(folder(), "tiny.gguf"), **({"vocabulary": 2100, "context": 2048} | sizes))))
for name in catalogue.ALL:
    setattr(Families, "test_" + name, lambda self, name=name: self.of(name))

if __name__ == "__main__":
    harness.main()
