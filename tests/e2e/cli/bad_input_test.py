"""bad_input_test.py - what is wrong with files, plans and numbers is said in one clear line, with status 1 or 2, and nothing is
written. tests/cli has the command lines that need no model; gguf_damage_test.py has the broken files."""
import json
import os
import shutil
import struct
import subprocess
import unittest

import harness
from harness import attempt, folder, heddle, refused, tiny, tree


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.gguf = tiny(os.path.join(cls.place, "tiny.gguf"), context=128)
        cls.plan = os.path.join(cls.place, "tiny.plan")
        heddle("compile", cls.gguf, "-o", cls.plan)
        cls.text = cls.write("text.txt", b"A loom is a patient machine.")
        os.makedirs(os.path.join(cls.place, "out"))
        cls.npy = os.path.join(cls.place, "out", "x.npy")

    @classmethod
    def write(cls, name, data):
        path = os.path.join(cls.place, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def check(self, *arguments, words=(), status=1, environment=None):
        """Refused in one line, and the folder for results stays empty."""
        line = refused(self, attempt(*arguments, environment=environment, timeout=60), *words, status=status)
        self.assertEqual(tree(os.path.join(self.place, "out")), [])
        return line

    def changed_gguf(self, name, change):
        with open(self.gguf, "rb") as file:
            return self.write(name, change(bytearray(file.read())))

    def changed_plan(self, name, change):
        plan = os.path.join(self.place, name)
        shutil.copytree(self.plan, plan)
        with open(os.path.join(plan, "manifest.json"), encoding="utf8") as file:
            manifest = json.load(file)
        change(plan, manifest)
        harness.write_manifest(plan, manifest)
        return plan

    def test_the_compiler_is_opened_only_to_compile(self):
        linked = subprocess.run(["ldd", harness.HEDDLE], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("LLVM", linked)
        self.assertNotIn("MLIR", linked)

    def test_a_plan_runs_without_the_compiler_and_compiling_says_that_it_is_missing(self):
        program = os.path.join(self.place, "alone", "bin", "heddle")
        os.makedirs(os.path.dirname(program))
        shutil.copy(harness.HEDDLE, program)
        run = subprocess.run([program, "run", self.plan, "-p", "loom", "--raw", "-n", "2", "--json"], capture_output=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(len(json.loads(run.stdout)["tokens"]), 2)
        compiling = [program, "compile", self.gguf, "-o", os.path.join(self.place, "out", "x.plan")]
        refused(self, subprocess.run(compiling, capture_output=True, timeout=60), "libheddle-compiler.so", "missing", "build it", status=1)
        os.makedirs(os.path.join(self.place, "alone", "lib"))
        self.write("alone/lib/libheddle-compiler.so", b"no library")
        refused(self, subprocess.run(compiling, capture_output=True, timeout=60), "libheddle-compiler.so", "build it", status=1)
        self.assertEqual(tree(os.path.join(self.place, "out")), [])

    def test_unsupported_tensor_type_is_named(self):
        def change(data, kind):
            at = data.index(b"blk.0.attn_q.weight") + len("blk.0.attn_q.weight") + 4 + 16
            struct.pack_into("<I", data, at, kind)
            return data
        for kind, word in [(10, "Q2_K"), (16, "IQ2_XXS"), (99, "99"), (4, "4")]:
            path = self.changed_gguf(f"type-{kind}.gguf", lambda data: change(data, kind))
            self.check("compile", path, "-o", os.path.join(self.place, "out", "x.plan"), words=["blk.0.attn_q.weight", word])

    def test_unsupported_architecture_is_named(self):
        path = self.changed_gguf("other.gguf", lambda data: data.replace(b"llama", b"mamba"))
        self.check("compile", path, "-o", os.path.join(self.place, "out", "x.plan"), words=["mamba"])

    def test_no_file_and_no_plan(self):
        out = os.path.join(self.place, "out", "x.plan")
        self.check("compile", os.path.join(self.place, "absent.gguf"), "-o", out, words=["absent.gguf"])
        empty = os.path.join(self.place, "empty")
        os.makedirs(empty)
        for command in (["run", empty, "-p", "x"], ["eval", empty, "--text", self.text, "--logits", self.npy], ["serve", empty],
                        ["bench", empty], ["inspect", empty]):
            self.check(*command, words=["neither manifest.json", "nor config.json"])

    def test_a_folder_that_is_no_plan_is_not_replaced(self):
        precious = os.path.join(self.place, "precious")
        os.makedirs(precious)
        with open(os.path.join(precious, "letter.txt"), "w", encoding="utf8") as file:
            file.write("keep me")
        self.check("compile", self.gguf, "-o", precious, words=["precious"])
        self.assertEqual(tree(precious), ["letter.txt"])

    def test_a_plan_for_another_cpu(self):
        """Refused, with the command that adds the code."""
        def other(plan, manifest):
            name, = manifest["targets"]
            os.rename(os.path.join(plan, "code", name + ".so"), os.path.join(plan, "code", "x86-64-v9.so"))
            manifest["targets"] = ["x86-64-v9"]
            for entry in manifest["files"]:
                entry["name"] = entry["name"].replace(name, "x86-64-v9")
        plan = self.changed_plan("other-cpu.plan", other)
        for ranks in (1, 2):
            self.check("run", plan, "-p", "x", "--raw", "--ranks", ranks, words=["heddle compile", "--target"])
        self.check("eval", plan, "--text", self.text, "--logits", self.npy, words=["heddle compile", "--target"])

    def test_broken_plans(self):
        def no_code(plan, manifest):
            shutil.rmtree(os.path.join(plan, "code"))
        def bad_code(plan, manifest):
            for name in os.listdir(os.path.join(plan, "code")):
                with open(os.path.join(plan, "code", name), "wb") as file:
                    file.write(b"\x7fELF nonsense")
        def short_weights(plan, manifest):
            os.truncate(os.path.join(plan, "weights.bin"), 1000)
        def no_tokenizer(plan, manifest):
            os.unlink(os.path.join(plan, "tokenizer.json"))
        def newer(plan, manifest):
            manifest["heddle_plan"] = 99
        def no_weights(plan, manifest):
            del manifest["weights"]
        def offsets(plan, manifest):
            manifest["weights"][3]["offset"] = 1 << 60
        def negative(plan, manifest):
            manifest["vocabulary"] = -5
        for change in (no_code, bad_code, short_weights, no_tokenizer, newer, no_weights, offsets, negative):
            with self.subTest(change.__name__):
                plan = self.changed_plan(change.__name__ + ".plan", change)
                self.check("eval", plan, "--text", self.text, "--logits", self.npy)
        plan = self.changed_plan("json.plan", lambda *_: None)
        with open(os.path.join(plan, "manifest.json"), "w", encoding="utf8") as file:
            file.write('{"name": ')
        self.check("run", plan, "-p", "x", "--raw", words=["manifest.json"])

    def test_texts(self):
        latin = self.write("latin.txt", b"caf\xe9")
        self.check("eval", self.plan, "--text", latin, "--logits", self.npy, words=["not UTF-8 at byte 3"])
        self.check("run", self.plan, "-p", b"a\xff", "--raw", words=["not UTF-8 at byte 1"], status=2)
        long = self.write("long.txt", b"word " * 100)
        self.check("eval", self.plan, "--text", long, "--logits", self.npy, words=["context", "128"])
        for ranks in (1, 2):
            self.check("run", self.plan, "-p", "word " * 100, "--raw", "--ranks", ranks, words=["context", "128"])
        self.check("run", self.plan, "-p", "word word word", "--raw", "--context", 4, words=["context", "4"])
        short = self.write("short.txt", b"a")
        self.check("eval", self.plan, "--text", short, "--logits", self.npy, words=["at least 2"])
        self.check("eval", self.plan, "--text", self.text, "--logits", os.path.join(self.place, "absent", "x.npy"), words=["x.npy"])

    def test_numbers(self):
        for option, values in {"--ranks": [0, -1, 1000000], "--threads": [0, 1000000], "--temperature": [-1, 11, "nan"],
                               "--top-p": [0, 1.5], "--top-k": [-1], "--min-p": [-0.5, 2], "--repeat-penalty": [0, 11],
                               "--logprobs": [-1, 21], "-n": [0, -3], "--context": [0], "--seed": [-1], "--kv-memory": ["0", "x"],
                               "--stop": ["", "x" * 257]}.items():
            for value in values:
                with self.subTest(f"{option} {value}"):
                    run = attempt("run", self.plan, "-p", "x", "--raw", f"{option}={value}" if option[1] == "-" else option,
                                  *([] if option[1] == "-" else [value]))
                    refused(self, run, status=2)
        self.check("run", self.plan, "-p", "x", "--raw", "--kv-memory", "1", words=["KV memory"], status=(1, 2))


class FullDisk(unittest.TestCase):
    def test_nothing_half_written_remains(self):
        if os.geteuid() != 0:
            self.skipTest("a small file system can only be mounted by root")
        place = folder()
        disk = os.path.join(place, "disk")
        os.makedirs(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True).returncode:
            self.skipTest("mounting is not allowed here")
        try:
            gguf = tiny(os.path.join(place, "tiny.gguf"))
            refused(self, attempt("compile", gguf, "-o", os.path.join(disk, "x.plan")), status=1)
            self.assertEqual(tree(disk), [])
            # The cache too, and logits.
            cached = {"XDG_CACHE_HOME": disk}
            refused(self, attempt("compile", gguf, environment=cached), status=1)
            self.assertEqual([name for name in tree(disk) if ".plan" in name or name.endswith("weights.bin")], [])
            shutil.rmtree(os.path.join(disk, "heddle"))
            plan = os.path.join(place, "x.plan")
            heddle("compile", gguf, "-o", plan)
            text = os.path.join(place, "text.txt")
            with open(text, "w", encoding="utf8") as file:
                file.write("word " * 200)
            refused(self, attempt("eval", plan, "--text", text, "--logits", os.path.join(disk, "x.npy")), "x.npy", status=1)
            self.assertEqual(tree(disk), [])
        finally:
            subprocess.run(["umount", disk], check=True)


if __name__ == "__main__":
    harness.main()
