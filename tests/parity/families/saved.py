#!/usr/bin/env python3
"""saved.py [NAME…] - makes saved/NAME.json: what transformers writes when it saves the models of catalogue.py. Run by people.

Needs pip install torch transformers. Loads each folder of models.py, saves it again (save_pretrained), as it is, as the model without its
head, and in shards, and keeps the JSON files. Nothing is written unless the saved tensors are the loaded ones, under names that begin
otherwise at most, and tokenizer.json is the same but for the spelling of merges.
"""
import json
import os
import sys
import tempfile

import safetensors
import torch
import transformers

import models
from catalogue import ALL

HERE = os.path.dirname(os.path.abspath(__file__))
MASKS = (".attn.bias", ".attn.masked_bias")  # of GPT-2's first folders; nobody saves them today
SETTINGS = ("config.json", "generation_config.json", "tokenizer_config.json")


def read_json(path):
    with open(path, encoding="utf8") as file:
        return json.load(file)


def tensors_of(folder):
    """{name: tensor} of all its files."""
    out = {}
    for file in sorted(name for name in os.listdir(folder) if name.endswith(".safetensors")):
        with safetensors.safe_open(os.path.join(folder, file), "pt") as opened:
            out |= {name: opened.get_tensor(name) for name in opened.keys()}
    return out


def renamed(loaded, saved):
    """(what names began with, what they begin with): of all tensors but a head that is not saved."""
    for before, after in (("", ""), ("", "transformer."), ("model.", "")):
        names = {name: after + name.removeprefix(before) if name.startswith(before) else name for name in loaded}
        kept = {name for name in names if names[name] in saved or not (name == "lm_head.weight" or name.endswith(MASKS))}
        if {names[name] for name in kept} == set(saved) and all(torch.equal(loaded[name], saved[names[name]]) for name in kept):
            return [before, after]
    sys.exit(f"saved tensors are not the loaded ones: {sorted(set(saved) ^ set(loaded))[:9]}")


def save(name, place):
    source = models.write(ALL[name], "folder", "f32", os.path.join(place, "source"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    loaded, out = tensors_of(source), {"transformers": transformers.__version__, "forms": {}}
    for form, cls, how in (("whole", transformers.AutoModelForCausalLM, {}), ("base", transformers.AutoModel, {}),
                           ("shards", transformers.AutoModelForCausalLM, {"max_shard_size": "100KB"})):
        target = os.path.join(place, form)
        cls.from_pretrained(source, dtype=torch.float32).save_pretrained(target, **how)
        tokenizer.save_pretrained(target)
        files = sorted(os.listdir(target))
        known = {"tokenizer.json", *SETTINGS, "model.safetensors.index.json"}
        if other := [file for file in files if file not in known and not file.endswith(".safetensors")]:
            sys.exit(f"{name}: transformers writes files that saved_test.py does not know: {other}")
        words = read_json(os.path.join(target, "tokenizer.json"))
        words["model"]["merges"] = [" ".join(pair) for pair in words["model"]["merges"]]
        if words != read_json(os.path.join(source, "tokenizer.json")):
            sys.exit(f"{name}: tokenizer.json is another one")
        entry = {"renamed": renamed(loaded, tensors_of(target)), "config.json": read_json(os.path.join(target, "config.json"))}
        if "model.safetensors.index.json" in files:
            entry["metadata"] = read_json(os.path.join(target, "model.safetensors.index.json"))["metadata"]
        out["forms"][form] = entry
    for file in SETTINGS[1:]:
        out[file] = read_json(os.path.join(target, file))
    return out


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    os.makedirs(os.path.join(HERE, "saved"), exist_ok=True)
    for name in sys.argv[1:] or ALL:
        with tempfile.TemporaryDirectory() as place:
            text = json.dumps(save(name, place), indent=1)
        with open(os.path.join(HERE, "saved", name + ".json"), "w", encoding="utf8") as file:
            file.write(text + "\n")
        print(name, flush=True)


if __name__ == "__main__":
    main()
