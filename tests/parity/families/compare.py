#!/usr/bin/env python3
"""compare.py BIN NAME… - Heddle's logits and greedy answers on the models of catalogue.py against expected/NAME.json.

    compare.py BIN --self-test      that a wrong expectation is found
    compare.py BIN --report NAME…   also prints what was measured

BIN is the folder of `heddle`. Python's standard library only. Exit status 1 with a line for each thing that is wrong; 77,
skipped, where heddle knows the architecture of none of what was asked, with its own line as the reason.

The bounds, all from the exact logits (double precision, or llama.cpp with everything in F32):
- Floating-point forms: KL at most 1.05 times llama.cpp's on the same form, and no logit further off than 1.05 times its furthest.
  What is lost there is keys and values in halves. FLOOR and FURTHEST are for models that lose next to nothing.
- Forms that round activations (ROUNDED): mean KL over 24 texts at most 1.05 times llama.cpp's. Two engines round differently,
  so both means are samples: ERRORS standard errors of their difference are allowed, some percent. What stands for the exact
  logits of those texts is Heddle on the same numbers in F32, which is compared with the expectation first, and is closer by far.
- Greedy answers are equal, token for token, up to the first step whose margin is within twice the furthest that a logit of
  the text was off: two candidates can each be off by so much.
- A folder and a file that hold the same numbers are less than SAME apart. Where activations are rounded, the last bits of an angle,
  in which gpt-oss's two differ (README.md), round some otherwise: there their packed weights are the same bytes.
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

import arrays
import models
import tokens
from catalogue import ALL

HERE = os.path.dirname(os.path.abspath(__file__))
RATIO, FLOOR, FURTHEST, SAME, ERRORS = 1.05, 1e-6, 2e-3, 1e-6, 2
ALONE = {"kl": 3e-5, "largest": 0.1}  # of models that llama.cpp cannot say: what it has on the others at least
ROUNDED = {"mix": models.EXACT, "mxfp4": "f32"}  # and the form that holds the same numbers without rounding
CONTEXT = 128  # on the same side of LongRoPE's original context as the text alone


class Refused(Exception):
    """heddle's line for a model that it does not take."""


class Heddle:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(folder, "cache"))  # plans go with the models

    def __call__(self, *arguments):
        run = subprocess.run([self.program, *arguments], env=self.environment, capture_output=True, stdin=subprocess.DEVNULL,
                             timeout=300)
        if run.returncode == 1:
            raise Refused((run.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1])
        if run.returncode:
            words, said = " ".join(arguments), run.stderr.decode(errors="replace")[-500:]
            raise AssertionError(f"heddle {words}: exit status {run.returncode}: {said}")
        return run.stdout

    def logits(self, path, text):
        """The ids of the text and a row of logits for each."""
        file, matrix = os.path.join(self.folder, "text"), os.path.join(self.folder, "logits.npy")
        with open(file, "w", encoding="utf8", newline="") as out:
            out.write(text)
        self("eval", path, "--text", file, "--logits", matrix, "--json")
        with open(matrix + ".tokens.json", encoding="utf8") as ids:
            return json.load(ids), arrays.read_npy(matrix)

    def greedy(self, path, text, count):
        answer = json.loads(self("run", path, "--raw", "-p", text, "-n", str(count), "--context", str(CONTEXT), "--json"))
        return [token["id"] for token in answer["tokens"]]


def entry_of(expected, form):
    return expected["forms"]["mix" if form in ("mix", models.EXACT) else "f32"]


def compared(expected, form, ids, rows, answer=None):
    """What is wrong with the logits of the short text, and the answer to it, and what was measured."""
    entry, wrong = entry_of(expected, form), []
    if ids != expected["ids"]:
        return [f"the text is {ids}, not {expected['ids']}"], {}
    exact = arrays.unpacked(entry["rows"])
    if len(rows) != len(ids) or len(rows[0]) != len(exact[0]):
        return [f"{len(rows)} rows of {len(rows[0])} logits, not {len(ids)} of {len(exact[0])}"], {}
    rows = [rows[i] for i in entry["positions"]]
    ours = arrays.apart(exact, rows)
    if form not in ROUNDED:
        peer = entry["llama.cpp"].get(form, ALONE)
        ours["peer"] = peer
        if not ours["kl"] <= max(RATIO * peer["kl"], FLOOR):
            wrong.append(f"KL {ours['kl']:.2e} from the exact logits, llama.cpp has {peer['kl']:.2e}")
        if not ours["largest"] <= max(RATIO * peer["largest"], FURTHEST):
            wrong.append(f"a logit is {ours['largest']:.2e} off, llama.cpp's at most {peer['largest']:.2e}")
    if answer is not None:
        steps = next((i for i, margin in enumerate(entry["margins"]) if margin <= 2 * ours["largest"]), len(entry["margins"]))
        same = next((i for i, (a, b) in enumerate(zip(answer, entry["greedy"])) if a != b), len(answer))
        ours |= {"steps": steps, "same": same}
        if same < steps:
            token = answer[same] if same < len(answer) else "missing"
            wrong.append(f"greedy token {same} is {token}, not {entry['greedy'][same]}, which wins by {entry['margins'][same]}, "
                         f"and no logit of the text is off by more than {ours['largest']:.2e}")
    return wrong, ours


def compared_over_many_texts(expected, form, exact, rows):
    """The same of a rounded form's mean divergence from the exact logits of the same numbers."""
    ours = arrays.mean_of_texts([list(arrays.divergences(p, q)) for p, q in zip(exact, rows, strict=True)])
    peer = entry_of(expected, form)["llama.cpp"][form]
    allowed = RATIO * peer["kl"] + ERRORS * math.hypot(ours["error"], RATIO * peer["error"])
    wrong = [f"KL {ours['kl']:.2e} ± {ours['error']:.0e} from the exact logits over many texts, llama.cpp has {peer['kl']:.2e} ± "
             f"{peer['error']:.0e}"] if ours["kl"] > allowed else []
    return wrong, ours | {"peer": peer}


def only_unknown(model, kind, line):
    """Whether a refusal only says that Heddle does not know this kind of model yet."""
    known = re.search(r"\(known: ([^)]*)\)", line)
    if known:
        name = model.architecture if kind == "gguf" else model.config["model_type"]
        return name not in [word.strip() for word in known.group(1).split(",")]
    return False


class Check:
    """One model in all of its forms: complaints in `wrong`, reasons in `skipped`, forms that were compared in `rows`."""

    def __init__(self, heddle, name, report):
        self.heddle, self.model, self.report = heddle, ALL[name], report
        self.wrong, self.skipped, self.rows = [], [], {}
        with open(os.path.join(HERE, "expected", name + ".json"), encoding="utf8") as file:
            self.expected = json.load(file)
        unknown = set()
        for kind, form in models.forms(self.model):  # f32 is the first of each kind
            try:
                if kind not in unknown:
                    self.form(kind, form)
            except Refused as line:
                if only_unknown(self.model, kind, str(line)):
                    unknown.add(kind)
                    self.skipped.append(f"{self.title(kind, form)} (and other forms): {line}")
                else:
                    self.wrong.append(f"{self.title(kind, form)}: {line}")
        for form in ("f32", "bf16", "f16", "mxfp4"):
            if ("folder", form) in self.rows and ("gguf", form) in self.rows:
                (self.same_weights if form in ROUNDED else self.same)(form)

    def title(self, kind, form):
        return f"{self.model.name}, {kind} in {form}"

    def written(self, kind, form):
        path = os.path.join(self.heddle.folder, f"{self.model.name}.{form}" + (".gguf" if kind == "gguf" else ""))
        return path if os.path.exists(path) else models.write(self.model, kind, form, path)

    def judge(self, title, wrong, measured):
        self.wrong += [f"{title}: {line}" for line in wrong]
        if self.report and measured:
            print(f"{title}: " + ", ".join(f"{key} {value}" if isinstance(value, (int, dict)) else f"{key} {value:.2e}"
                                           for key, value in measured.items()), flush=True)

    def form(self, kind, form):
        text, path = self.expected["text"], self.written(kind, form)
        ids, rows = self.heddle.logits(path, text)
        answer = self.heddle.greedy(path, text, len(entry_of(self.expected, form)["greedy"]))
        self.rows[kind, form] = rows
        self.judge(self.title(kind, form), *compared(self.expected, form, ids, rows, answer))
        if form in ROUNDED and kind == "gguf":
            exact = self.written("gguf", ROUNDED[form])
            ids, rows = self.heddle.logits(exact, text)  # what the many texts are compared with is compared itself
            self.judge(self.title(kind, ROUNDED[form]), *compared(self.expected, ROUNDED[form], ids, rows))
            texts = list(tokens.many_texts(self.model.context))
            rows = [[self.heddle.logits(one, text)[1] for text in texts] for one in (exact, path)]
            self.judge(self.title(kind, form), *compared_over_many_texts(self.expected, form, *rows))

    def packed(self, kind, form):
        """{name of a weight that is quantised: its bytes} of the plan."""
        plan = os.path.join(self.heddle.folder, f"{self.model.name}.{form}.{kind}.plan")
        self.heddle("compile", self.written(kind, form), "-o", plan)
        with open(os.path.join(plan, "manifest.json"), encoding="utf8") as file:
            weights = json.load(file)["weights"]
        with open(os.path.join(plan, "weights.bin"), "rb") as file:
            data = file.read()
        return {w["name"]: data[w["offset"]:w["offset"] + w["bytes"]] for w in weights if w["format"] not in ("f32", "f16", "bf16")}

    def same_weights(self, form):
        ours, theirs = self.packed("folder", form), self.packed("gguf", form)
        wrong = [f"weight {name} has other bytes" for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        self.judge(f"{self.model.name}, folder and file in {form}", wrong if ours else ["no weight is quantised"],
                   {"equal weights": len(ours) - len(wrong)})

    def same(self, form):
        apart = arrays.divergence(self.rows["gguf", form], self.rows["folder", form])
        wrong = [] if apart < SAME else [f"KL {apart:.2e} apart"]
        self.judge(f"{self.model.name}, folder and file in {form}", wrong, {"kl": apart})


def self_test(heddle):
    """A right expectation passes, and each wrong one is found."""
    model = ALL["llama"]
    with open(os.path.join(HERE, "expected", "llama.json"), encoding="utf8") as file:
        text = file.read()
    expected = json.loads(text)
    path = models.write(model, "gguf", "f32", os.path.join(heddle.folder, "llama.gguf"))
    ids, rows = heddle.logits(path, expected["text"])
    answer = heddle.greedy(path, expected["text"], 64)
    assert not compared(expected, "f32", ids, rows, answer)[0], compared(expected, "f32", ids, rows, answer)[0]

    def spoiled(change):
        other = json.loads(text)
        change(other, other["forms"]["f32"])
        return compared(other, "f32", ids, rows, answer)[0]

    def one_logit(_, entry):
        exact = arrays.unpacked(entry["rows"])
        exact[10][100] += 0.05
        entry["rows"] = arrays.packed(exact)

    def another_row(_, entry):
        exact = arrays.unpacked(entry["rows"])
        exact[7], exact[8] = exact[8], exact[7]
        entry["rows"] = arrays.packed(exact)

    def widest_token(_, entry):
        entry["greedy"][entry["margins"].index(max(entry["margins"]))] ^= 1

    def another_id(whole, _):
        whole["ids"][3] ^= 1

    def another_family(_, entry):
        with open(os.path.join(HERE, "expected", "mistral.json"), encoding="utf8") as file:
            entry["rows"] = json.load(file)["forms"]["f32"]["rows"]

    for change in (one_logit, another_row, widest_token, another_id, another_family):
        assert spoiled(change), f"{change.__name__} is not found"
        print(f"{change.__name__}: {spoiled(change)[0][:160]}")


def main():
    options = [word for word in sys.argv[2:] if word.startswith("--")]
    names = [word for word in sys.argv[2:] if not word.startswith("--")]
    if len(sys.argv) < 3 or set(options) - {"--self-test", "--report"}:
        sys.exit("usage: compare.py BIN --self-test | compare.py BIN [--report] NAME…")
    program = os.path.join(os.path.abspath(sys.argv[1]), "heddle")
    wrong, skipped, ran = [], [], 0
    with tempfile.TemporaryDirectory(prefix="heddle-families-") as folder:
        heddle = Heddle(program, folder)
        if "--self-test" in options:
            return self_test(heddle)
        for name in names:
            one = Check(heddle, name, "--report" in options)
            wrong, skipped, ran = wrong + one.wrong, skipped + one.skipped, ran + len(one.rows)
    for line in skipped:
        print(f"SKIP: {line.replace(folder + '/', '')}")
    for line in wrong:
        print(f"WRONG: {line.replace(folder + '/', '')}")
    print(f"{ran} forms compared, {len(skipped)} skipped, {len(wrong)} things wrong")
    return 1 if wrong else 77 if not ran else 0


if __name__ == "__main__":
    sys.exit(main())
