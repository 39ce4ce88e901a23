#!/usr/bin/env python3
"""saved_test.py BIN NAME… - a folder as transformers saves it gives the bits of the folder that it was loaded from.

saved/NAME.json (saved.py) has each key that transformers writes and how it names the tensors: as a whole, in shards, and as the model
without its head, which is enough where the head is tied to the embeddings. Python's standard library only.
"""
import json
import os
import subprocess
import sys
import tempfile

import blocks
import models
import tokens
from catalogue import ALL

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = "The weaver of the house ran all the threads through heddles, and wove."


def write_json(path, value):
    with open(path, "w", encoding="utf8") as file:
        json.dump(value, file, indent=2)


def write_saved(model, saved, form, path):
    """The folder that transformers would save; `form` is a key of its forms."""
    entry = saved["forms"][form]
    before, after = entry["renamed"]
    os.makedirs(path)
    all_tensors = {}
    for name, tensor in model.make(model.seed, model.shape).folder.items():
        if isinstance(tensor, blocks.Mxfp4Tensor):
            tensor = tensor.dense().transposed()
        if isinstance(tensor, tuple):  # GPT-2's masks, which are not saved
            continue
        if form != "base" or name != "lm_head.weight":
            all_tensors[after + name.removeprefix(before) if name.startswith(before) else name] = tensor
    names = sorted(all_tensors)
    count = 3 if form == "shards" else 1
    weight_map = {}
    for part in range(count):
        file = "model.safetensors" if count == 1 else f"model-{part + 1:05}-of-{count:05}.safetensors"
        own = names[part * len(names) // count:(part + 1) * len(names) // count]
        safetensors(os.path.join(path, file), {name: all_tensors[name] for name in own})
        weight_map |= {name: file for name in own}
    if count > 1:
        write_json(os.path.join(path, "model.safetensors.index.json"), {"metadata": entry["metadata"], "weight_map": weight_map})
    words = tokens.tokenizer_json(model.cut)
    words["model"]["merges"] = [merge.split(" ") for merge in words["model"]["merges"]]
    write_json(os.path.join(path, "tokenizer.json"), words)
    write_json(os.path.join(path, "config.json"), entry["config.json"])
    for file in ("generation_config.json", "tokenizer_config.json"):
        write_json(os.path.join(path, file), saved[file])
    return path


def safetensors(path, tensors):
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        blobs.append(blocks.bytes_of(tensor, blocks.F32, name))
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blobs[-1])]}
        offset += len(blobs[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(blobs)


class Heddle:
    def __init__(self, program, place):
        self.program, self.place = program, place
        self.environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(place, "cache"))
        self.text = os.path.join(place, "text")
        with open(self.text, "w", encoding="utf8") as file:
            file.write(TEXT)

    def logits(self, folder):
        """The bytes of the logits, or None and what was said."""
        out = os.path.join(self.place, "logits.npy")
        run = subprocess.run([self.program, "eval", folder, "--text", self.text, "--logits", out, "--json"], env=self.environment,
                             capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
        if run.returncode:
            return None, run.stderr.decode(errors="replace").strip().splitlines()[-1]
        with open(out, "rb") as file:
            return file.read(), ""


def check(heddle, name):
    """What is wrong with the model's saved forms."""
    with open(os.path.join(HERE, "saved", name + ".json"), encoding="utf8") as file:
        saved = json.load(file)
    model = ALL[name]
    expected, said = heddle.logits(models.write(model, "folder", "f32", os.path.join(heddle.place, name)))
    if expected is None:
        return [f"{name}: {said}"]
    wrong = []
    for form, entry in saved["forms"].items():
        title = f"{name} as transformers {saved['transformers']} saves it ({form})"
        got, said = heddle.logits(write_saved(model, saved, form, os.path.join(heddle.place, f"{name}-{form}")))
        text = entry["config.json"].get("text_config", entry["config.json"])
        if form == "base" and not text["tie_word_embeddings"]:
            if got is not None or "lm_head.weight is missing" not in said:
                wrong.append(f"{title}: not refused for want of a head: {said}")
        elif got is None:
            wrong.append(f"{title}: {said}")
        elif got != expected:
            wrong.append(f"{title}: other logits than those of the folder that was loaded")
    return wrong


def main():
    wrong = []
    with tempfile.TemporaryDirectory(prefix="heddle-saved-") as place:
        heddle = Heddle(os.path.join(sys.argv[1], "heddle"), place)
        for name in sys.argv[2:]:
            wrong += check(heddle, name)
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
