"""stages_test.py - every stage of a plan can be printed, read back, gone on from, looked at by function, and compared."""
import json
import os
import re
import shutil
import subprocess
import unittest

import harness
from harness import attempt, evaluated_hash, folder, heddle, refused, tiny, tree

RESUMED = ["graph", "fused", "sharded", "planned", "kernels", "loops"]
STAGES = [*RESUMED, "llvm", "asm"]


class Stages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = folder()
        cls.gguf = tiny(os.path.join(cls.place, "tiny.gguf"), weights="q4_0", width=96, heads=3, kv_heads=1, head_dim=32)
        cls.plan = os.path.join(cls.place, "tiny.plan")
        heddle("compile", cls.gguf, "-o", cls.plan)
        cls.text = os.path.join(cls.place, "text.txt")
        with open(cls.text, "w", encoding="utf8") as file:
            file.write("Threads cross, and the cloth remembers every one of them.")
        cls.out = os.path.join(cls.place, "logits.npy")
        cls.expected = evaluated_hash(cls.plan, cls.out, text=cls.text)
        cls.files = {}
        for stage in STAGES:
            cls.files[stage] = os.path.join(cls.place, stage + ".mlir")
            with open(cls.files[stage], "w", encoding="utf8") as file:
                file.write(heddle("compile", cls.gguf, "--emit", stage))

    def read(self, stage):
        with open(self.files[stage], encoding="utf8") as file:
            return file.read()

    def code(self, plan):
        name, = os.listdir(os.path.join(plan, "code"))
        return harness.file_hash(os.path.join(plan, "code", name))

    def test_stages_parse_back_and_print_again_the_same(self):
        for stage in RESUMED:
            with self.subTest(stage):
                def opt(text):
                    return subprocess.run([os.path.join(harness.BIN, "heddle-opt"), "-"], input=text, check=True,
                                          capture_output=True, text=True).stdout
                once = opt(self.read(stage))
                self.assertEqual(opt(once), once)
                self.assertEqual(heddle("compile", self.gguf, "--from-stage", self.files[stage], "--emit", stage), self.read(stage))

    def test_going_on_from_each_stage_gives_the_same_code(self):
        for i, stage in enumerate(RESUMED):
            with self.subTest(stage):
                plan = os.path.join(self.place, stage + ".plan")
                heddle("compile", self.gguf, "--from-stage", self.files[stage], "-o", plan)
                self.assertEqual(self.code(plan), self.code(self.plan))
                self.assertEqual(evaluated_hash(plan, self.out, text=self.text), self.expected)
                kept = sorted(name[2:].split(".")[0] for name in os.listdir(os.path.join(plan, "ir")))
                self.assertTrue(set(RESUMED[i:]) <= set(kept), kept)

    def test_an_edit_takes_effect(self):
        """An edited scale of the attention changes the logits."""
        text = self.read("fused")
        edited = os.path.join(self.place, "edited.mlir")
        self.assertIn("scale = 0.176776692", text)
        with open(edited, "w", encoding="utf8") as file:
            file.write(text.replace("scale = 0.176776692", "scale = 0.25"))
        plan = os.path.join(self.place, "edited.plan")
        heddle("compile", self.gguf, "--from-stage", edited, "-o", plan)
        self.assertNotEqual(evaluated_hash(plan, self.out, text=self.text), self.expected)

    def test_an_entry_may_have_any_name(self):
        """What an entry gives tells what it is for."""
        edited = os.path.join(self.place, "renamed.mlir")
        with open(edited, "w", encoding="utf8") as file:
            file.write(self.read("graph").replace("@step", "@continue_texts"))
        plan = os.path.join(self.place, "renamed.plan")
        heddle("compile", self.gguf, "--from-stage", edited, "-o", plan)
        self.assertEqual(evaluated_hash(plan, self.out, text=self.text), self.expected)
        self.assertEqual(json.loads(heddle("inspect", plan, "--json"))["entries"],
                         [{"name": "continue_texts", "outputs": [{"rows": "wanted", "columns": 300}], "states": {"kv": "update"}}])

    def test_a_program_without_logits_continues_no_text(self):
        text = self.read("graph")
        table = re.search(r"@token_embd.weight : (\S+)", text)[1]
        width = int(re.match(r"tensor<\d+x(\d+)x", table)[1])
        edited = os.path.join(self.place, "encoder.mlir")
        with open(edited, "w", encoding="utf8") as file:
            file.write(text[:text.index("  func.func @step()")] + f"""  func.func @hidden() -> tensor<?x{width}xf32> {{
    %ids = heddle.batch ids : tensor<?xi32>
    %table = heddle.get @token_embd.weight : {table}
    %x = heddle.embed %ids, %table : (tensor<?xi32>, {table}) -> tensor<?x{width}xf32>
    return %x : tensor<?x{width}xf32>
  }}
}}
""")
        plan = os.path.join(self.place, "encoder.plan")
        heddle("compile", self.gguf, "--from-stage", edited, "-o", plan)
        self.assertEqual(json.loads(heddle("inspect", plan, "--json"))["entries"],
                         [{"name": "hidden", "outputs": [{"rows": "tokens", "columns": width}], "states": {}}])
        refused(self, attempt("run", plan, "-p", "a", "--raw"), "no entry that gives logits", status=1)

    def test_instructions_are_the_targets(self):
        """Attention shares floats of memory by vpbroadcastd where there are 512 bits, and has none of those registers elsewhere."""
        def attention(target):
            text = heddle("compile", self.gguf, "--target", target, "--emit", "asm")
            return re.search(r"^attention:$(.*?)\.cfi_endproc", text, re.S | re.M)[1]
        wide, narrow = attention("x86-64-v4"), attention("x86-64-v3")
        self.assertRegex(wide, r"vpbroadcastd\t[^%\n]*\(%[^\n]*\), %zmm\d+\n[^\n]*\n\tvfmadd")
        self.assertNotIn("%zmm", narrow)
        self.assertIn("vfmadd", narrow)

    def test_wide_registers_wait_in_cache_lines_of_their_own(self):
        text = heddle("compile", self.gguf, "--target", "x86-64-v4+vnni", "--emit", "asm")
        onto_the_stack = [line for line in text.splitlines() if re.search(r"\bvmov\w+\s+%zmm\d+, -?\d*\(%rsp\)", line)]
        self.assertTrue(onto_the_stack)
        self.assertEqual([line for line in onto_the_stack if not re.search(r"\bvmov(dqa64|aps)\b", line)], [])

    def test_broken_stages_are_refused(self):
        empty = os.path.join(self.place, "empty")
        os.makedirs(empty, exist_ok=True)
        broken = os.path.join(self.place, "broken.mlir")
        gguf = tiny(os.path.join(self.place, "plain.gguf"), weights="f16")  # compiles faster
        texts = {stage: heddle("compile", gguf, "--emit", stage) for stage in [*RESUMED, "llvm"]}
        other = tiny(os.path.join(self.place, "other.gguf"), width=128, heads=8)

        def check(what, text, *words, gguf=gguf):
            with self.subTest(what):
                with open(broken, "wb") as file:
                    file.write(text if isinstance(text, bytes) else text.encode())
                run = attempt("compile", gguf, "--from-stage", broken, "-o", os.path.join(empty, "x.plan"), timeout=60)
                left = tree(empty)
                shutil.rmtree(empty)
                os.makedirs(empty)
                refused(self, run, *words, status=1)
                self.assertEqual(left, [])

        check("empty", "", "broken.mlir")
        check("bytes", bytes(range(256)) * 8, "broken.mlir")
        check("no stage's name", texts["fused"].split("\n", 1)[1], "first line")
        check("a stage that is not there", "// stage 9: nothing\nmodule {}\n", "broken.mlir")
        check("the wrong name", texts["graph"].replace("// stage 0: graph", "// stage 4: kernels"))
        for stage in RESUMED:
            text = texts[stage]
            check(stage + " cut off", text[:len(text) // 2], "broken.mlir")
            check(stage + " without an entry", text.replace("func.func @step", "func.func private @step"), "entry")
            check(stage + " of no functions", text.split("\n")[0] + "\nmodule {\n}\n", "no entry")
            check(stage + " of another model", text, gguf=other)
            check(stage + " with an unknown op", text.replace("func.func @step", "heddle.nonsense\n  func.func @step"),
                  "broken.mlir", "line ")
        check("llvm", texts["llvm"], "first line")
        for stage in ["planned", "kernels", "loops"]:
            text = texts[stage]
            check(stage + " with an entry that takes arguments", text.replace("func.func @step()", "func.func @step(%x: index)"),
                  "must have no arguments")
            check(stage + " without its first output", text.replace("heddle.output 0", "heddle.output 1"), "no output number 0")
            check(stage + " with a weight that is not there", text.replace("heddle.get @output_norm", "heddle.get @other", 1), "@other")
        state = "head_dim 16" if "kv_heads 2 head_dim 16" in texts["kernels"] else None
        self.assertIsNotNone(state)
        check("another cache than its tiles'", texts["kernels"].replace(state, state + " {type = #heddle<cache_type q8>}", 1),
              "broken.mlir", "type")
        unmasked = texts["sharded"].replace("#heddle<mask causal>", "#heddle<mask none>")
        check("what a later pass refuses", unmasked, "broken.mlir", "line ", "mask none")

    def test_inspect(self):
        summary = json.loads(heddle("inspect", self.plan, "--json"))
        self.assertEqual([entry["stage"] for entry in summary["stages"]], STAGES)
        for entry in summary["stages"]:
            stage = entry["stage"]
            with self.subTest(stage):
                text = heddle("inspect", self.plan, "--stage", stage)
                self.assertEqual(text.count("\n"), entry["lines"])
                self.assertTrue({"decoder_block", "step"} <= set(entry["functions"]), entry["functions"])
                if stage in RESUMED:
                    self.assertEqual(text, self.read(stage))
                for name in entry["functions"]:
                    part = heddle("inspect", self.plan, "--stage", stage, "--function", name)
                    self.assertIn(part, text)
                    self.assertIn(name, part.splitlines()[0])
                refused(self, attempt("inspect", self.plan, "--stage", stage, "--function", "nothing"), "decoder_block", status=1)
        for a, b in zip(STAGES, STAGES[1:]):
            diff = heddle("inspect", self.plan, "--diff", a, b)
            self.assertTrue(diff.startswith(f"--- {a}\n+++ {b}\n@@ "), diff[:200])
        self.assertEqual(heddle("inspect", self.plan, "--diff", "fused", "fused"), "")
        diff = heddle("inspect", self.plan, "--diff", "graph", "fused", "--function", "decoder_block")
        self.assertIn("func.func private @decoder_block", diff)
        self.assertNotIn("@step(", diff)

    def located(self, stage, *more, plan=None):
        """Each line of a stage as (layers, roles, lines, text); the first three are empty where it came from nowhere."""
        lines = heddle("inspect", plan or self.plan, "--stage", stage, "--locations", *more).splitlines()
        columns = {line.index(" | ") for line in lines}
        found = [re.fullmatch(r"(?:(\S+)/(\S+)/(\S+))? *\| ?(.*)", line) for line in lines]
        self.assertTrue(all(found), lines[:5])
        self.assertEqual(len(columns), 1, columns)
        return [tuple(part or "" for part in match.groups()) for match in found]

    def test_every_line_says_where_it_came_from(self):
        graph = self.read("graph").splitlines()
        linear = next(i for i, line in enumerate(graph, 1) if "weights(%attn_q)" in line)
        rope = next(i for i, line in enumerate(graph, 1) if "= heddle.rope " in line)
        for stage in STAGES:
            with self.subTest(stage):
                lines = self.located(stage)
                self.assertEqual("".join(text + "\n" for *_, text in lines), self.read(stage))
                roles = {role for _, roles, *_ in lines for role in roles.split("+")}
                self.assertTrue({"attn_norm", "attn_q", "attn_k", "attention", "ffn_gate", "ffn_down", "output"} <= roles, roles)
                if stage in RESUMED:  # each op of a block, but for constants, is of both layers
                    block = self.located(stage, "--function", "decoder_block")
                    self.assertEqual([text for layers, *_, text in block[:-1] if layers != "0-1" and "arith.constant" not in text], [])
        name, = {role for _, role, _, text in self.located("graph") if "weights(%attn_q)" in text}
        self.assertEqual(name, "attn_q")
        self.assertEqual([lines for *_, lines, text in self.located("graph") if "weights(%attn_q)" in text], [str(linear)])
        self.assertEqual({layers for layers, *_, text in self.located("graph") if "call @decoder_block" in text}, {"0", "1"})
        merged, = [line for line in self.located("fused") if "weights(%attn_q, %attn_k, %attn_v)" in line[3]]
        self.assertEqual(merged[:2], ("0-1", "attn_q+attn_k+attn_v"))
        self.assertTrue(merged[2].startswith(str(linear)), merged)
        attention, = [line for line in self.located("fused") if "heddle.attention" in line[3]]
        self.assertEqual(attention[1], "attention+attn_q.rope")
        self.assertTrue(attention[2].startswith(f"{rope},"), attention)

    def test_an_op_is_traced_through_all_stages(self):
        text = heddle("inspect", self.plan, "--trace", "attn_q.rope")
        stages = [line for line in text.splitlines() if not line.startswith(" ")]
        self.assertEqual(stages, STAGES)
        parts = dict(zip(stages, re.split(r"^(?:%s)\n" % "|".join(STAGES), text, flags=re.M)[1:]))
        self.assertRegex(parts["graph"], r"\A  decoder_block\n +\d+  %\S+ = heddle.rope [^\n]*\n\Z")
        self.assertIn("heddle.attention paged query", parts["fused"])
        self.assertNotIn("store_kv", parts["fused"])
        self.assertIn("call @attention(", parts["kernels"])
        self.assertRegex(parts["loops"], r"… \d+ more: heddle inspect MODEL --stage loops --function attention\n")
        self.assertRegex(parts["asm"], r"\A  attention\n +\d+  attention:")
        for stage, part in parts.items():  # the lines are those of the stage
            lines = self.read(stage).splitlines()
            for number, shown in re.findall(r"^ +(\d+)  (.*)$", part, re.M):
                self.assertEqual(lines[int(number) - 1].strip(), shown.strip())
        refused(self, attempt("inspect", self.plan, "--trace", "nothing"), "no op of role 'nothing'", "attn_q.rope", "ffn_down", status=1)
        refused(self, attempt("inspect", self.plan, "--trace", "attn_q", "--stage", "graph"), "--trace", status=2)
        refused(self, attempt("inspect", self.plan, "--locations"), "--stage", status=2)

    def test_debug_info_shows_kernel_role_and_text(self):
        """With -g, instructions know their line of stage loops, their role, and its line of the graph; the code is the same."""
        plan = os.path.join(self.place, "debug.plan")
        heddle("compile", self.gguf, "-g", "-o", plan)

        def code(plan):
            name, = os.listdir(os.path.join(plan, "code"))
            return os.path.join(plan, "code", name)

        def instructions(plan):
            text = heddle("inspect", plan, "--stage", "asm")
            return [line for line in text.splitlines() if line and not re.match(r"\s*(\.|#)|\.L", line)]
        self.assertGreater(len(instructions(plan)), 10000)
        self.assertEqual(instructions(plan), instructions(self.plan))
        self.assertEqual(heddle("inspect", plan, "--stage", "loops"), self.read("loops"))
        self.assertEqual(evaluated_hash(plan, self.out, text=self.text), self.expected)

        symbols = subprocess.run(["llvm-nm-19", "-S", code(plan)], check=True, capture_output=True, text=True).stdout
        kernels = {fields[3]: (int(fields[0], 16), int(fields[1], 16)) for fields in map(str.split, symbols.splitlines())
                   if len(fields) == 4 and fields[2] in "tT"}
        name, (begin, size) = next(item for item in kernels.items() if item[0].startswith("gated_linear"))
        frames = subprocess.run(["llvm-symbolizer-19", "--obj=" + code(plan), "--inlines", "--output-style=JSON"], text=True, check=True,
                                input="".join(f"{at:#x}\n" for at in range(begin, begin + size)), capture_output=True).stdout
        loops, graph = self.read("loops").splitlines(), self.read("graph").splitlines()
        function = next(i for i, line in enumerate(loops, 1) if "func.func private @gated_linear" in line)
        shown = set()
        for at, frame in enumerate(map(json.loads, frames.splitlines())):
            if len(frame["Symbol"]) == 1 and at < 64:  # what LLVM does before a function's first op
                self.assertEqual((frame["Symbol"][0]["FunctionName"], frame["Symbol"][0]["Line"]), (name, function))
                continue
            role, kernel = frame["Symbol"]
            self.assertEqual(role["FunctionName"], "ffn_gate+ffn_up")
            self.assertTrue(role["FileName"].endswith("ir/5-loops.mlir"), role)
            self.assertEqual(kernel["FunctionName"], name)
            self.assertTrue(kernel["FileName"].endswith("ir/0-graph.mlir"), kernel)
            self.assertIn("weights(%ffn_gate)", graph[kernel["Line"] - 1])
            if role["Line"]:  # 0: what LLVM merged from several lines
                self.assertGreaterEqual(role["Line"], function)
                shown.add(re.search(r"[a-z_]+\.[a-z_]+|return", loops[role["Line"] - 1])[0])
        self.assertTrue({"heddle.dot", "math.fma", "vector.load", "scf.for"} <= shown, shown)
        refused(self, attempt("compile", plan, "-g", "--target", "x86-64-v3"), "-g", status=1)

    def test_a_stage_that_was_gone_on_from_is_where_ops_come_from(self):
        edited = os.path.join(self.place, "commented.mlir")
        text = self.read("fused")
        with open(edited, "w", encoding="utf8") as file:
            file.write(text.replace("  func.func private @decoder_block", "  // a line that is not printed again\n  func.func private @decoder_block"))
        plan = os.path.join(self.place, "commented.plan")
        heddle("compile", self.gguf, "--from-stage", edited, "-o", plan)
        line = next(i for i, line in enumerate(text.splitlines(), 1) if "weights(%attn_q, %attn_k, %attn_v)" in line)
        for stage in ["fused", "sharded", "planned"]:
            found = {line[:3] for line in self.located(stage, plan=plan) if "weights(%attn_q, %attn_k, %attn_v)" in line[3]}
            self.assertEqual(found, {("0-1", "attn_q+attn_k+attn_v", str(line))})
        self.assertEqual(heddle("inspect", plan, "--trace", "attn_k").splitlines()[0], "fused")


if __name__ == "__main__":
    harness.main()
