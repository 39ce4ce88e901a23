"""bench_test.py - `heddle bench` holds what it measures against this host, kernel by kernel; `--kv-type` caches in 8 bits."""
import json
import os
import unittest

from harness import attempt, evaluated_hash, folder, heddle, refused, tiny


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.gguf = tiny(os.path.join(cls.place, "tiny.gguf"), weights="q4_0", width=96, heads=3, kv_heads=1, head_dim=32)
        cls.plan = os.path.join(cls.place, "tiny.plan")
        heddle("compile", cls.gguf, "-o", cls.plan)

    def test_the_profile_names_every_kernel_and_its_work(self):
        layers, tokens, prompt = 2, 8, 70
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                report = json.loads(heddle("bench", self.plan, "-p", prompt, "-n", tokens, "-r", 1, "--ranks", ranks, "--threads", 1,
                                           "--depth", 100, "--profile", "--json"))
                for figure in ("read_bandwidth_gb_per_second", "integer_peak_gop_per_second", "float_peak_gflop_per_second",
                               "prefill_tokens_per_second", "decode_tokens_per_second", "weight_bytes_per_token"):
                    self.assertGreater(report[figure], 0, figure)
                for phase, steps in (("prefill", 1), ("decode", tokens)):
                    kernels = {kernel["kernel"]: kernel for kernel in report["kernels"][phase]}
                    calls = {name: kernel["calls"] for name, kernel in kernels.items()}
                    block = ["attn_norm", "attn_q+attn_k+attn_v", "store_kv", "attention", "attn_output", "ffn_norm",
                             "ffn_gate+ffn_up", "ffn_down"]
                    expected = {f"decoder_block.{role}": layers * steps for role in block}
                    for role in ("embed", "select_rows", "rms_norm", "output"):
                        expected[f"step.{role}"] = steps
                    self.assertEqual(calls, expected)
                    self.assertTrue(all(kernel["seconds"] > 0 for kernel in kernels.values()))
                    weights = sum(k["bytes"] for name, k in kernels.items() if not name.endswith(".attention"))
                    norms = report["weight_bytes_per_token"] * steps / ranks - weights
                    self.assertGreaterEqual(norms, 0)  # bytes per token count the vectors of the norms too
                    self.assertLess(norms, 0.05 * weights)
                # A key and its value take 2 x 32 f16; decoding sees 101 keys at first (or 102), then one more each step.
                attention = [k for k in report["kernels"]["decode"] if k["kernel"] == "decoder_block.attention"][0]
                keys = attention["bytes"] * ranks / layers / 128
                self.assertLessEqual(abs(keys - sum(range(101, 101 + tokens))), tokens)

    def test_requests_decode_together_after_long_contexts(self):
        """What is timed are steps of one token of each request, however long their prompts took to read."""
        report = json.loads(heddle("bench", self.plan, "-p", 8, "-n", 5, "-r", 1, "--parallel", 3, "--depth", 700, "--profile", "--json"))
        kernels = {kernel["kernel"]: kernel for kernel in report["kernels"]["decode"]}
        output = kernels["step.output"]
        self.assertEqual(output["calls"], 5)
        rows, columns = 300, 96  # of the tiny model's output head
        self.assertEqual(output["integer_operations"] + output["float_operations"], 5 * 3 * 2 * rows * columns)

    def test_an_8_bit_cache(self):
        plan = os.path.join(self.place, "bytes.plan")
        heddle("compile", self.gguf, "--kv-type", "q8", "-o", plan)
        out, text = os.path.join(self.place, "logits.npy"), os.path.join(self.place, "text.txt")
        with open(text, "w", encoding="utf8") as file:
            file.write("Threads cross, and the cloth remembers every one of them. " * 3)  # past two chunks of keys
        hashes = {evaluated_hash(plan, out, "--ranks", ranks, "--threads", threads, "--chunk", chunk, text=text)
                  for ranks, threads, chunk in ((1, 1, 512), (1, 2, 7), (2, 1, 64), (3, 1, 1))}
        self.assertEqual(len(hashes), 1)
        self.assertNotIn(evaluated_hash(self.plan, out, text=text), hashes)
        self.assertEqual(evaluated_hash(self.gguf, out, "--kv-type", "q8", text=text), hashes.pop())
        self.assertIn("q8", heddle("inspect", plan))
        refused(self, attempt("bench", self.plan, "--kv-type", "q8"), "f16", "--kv-type", status=1)
        refused(self, attempt("bench", self.gguf, "--kv-type", "q4"), "f16", "q8", status=2)


if __name__ == "__main__":
    import harness
    harness.main()
