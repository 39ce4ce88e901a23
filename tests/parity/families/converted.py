#!/usr/bin/env python3
"""converted.py SOURCE [NAME…] - compares files that models.py writes with those of llama.cpp's own converter. Run by people.

SOURCE is llama.cpp's source, such as vendor/llama.cpp of the source package of llama-cpp-python; needs pip install torch
transformers sentencepiece numpy. Every key, and every tensor's shape and bytes, must be the same, but for what HARMLESS lists.
"""
import logging
import os
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[1], os.path.join(sys.argv[1], "gguf-py")]
import conversion  # noqa: E402
import gguf  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from conversion.base import ModelBase, TextModel  # noqa: E402
from conversion.gpt2 import GPT2Model  # noqa: E402
from conversion.phi import Phi3MiniModel  # noqa: E402

import models  # noqa: E402
from catalogue import ALL  # noqa: E402

HARMLESS = {"general.name", "general.size_label", "general.file_type"}  # what the model is called, not what it is
LAST_BIT = {"rope_freqs.weight"}  # computed there in single precision
OLDER = {"llama.attention.key_length", "llama.attention.value_length"}  # the model `llama` is as older converters write it


def converted(model, folder, form, path):
    TextModel.get_vocab_base_pre = lambda self, tokenizer: model.cut  # found by a hash of known vocabularies
    Phi3MiniModel.set_vocab = TextModel._set_vocab_gpt2  # SentencePiece alone otherwise
    kind = gguf.LlamaFileType.ALL_F32 if form == "f32" else gguf.LlamaFileType.MOSTLY_BF16
    with torch.inference_mode():
        reader = conversion.get_model_class(ModelBase.load_hparams(folder, False)["architectures"][0])
        reader(folder, kind, path).write()


def without_masks(original):
    """GPT-2's masks are in its folder; the newest converter stumbles over them."""
    return lambda self, data, name, block: [] if name.endswith(".attn.bias") else original(self, data, name, block)


def differences(ours, theirs):
    keys = [{name: field.contents() for name, field in file.fields.items() if not name.startswith("GGUF.")}
            for file in (ours, theirs)]
    for key in sorted((keys[0].keys() | keys[1].keys()) - HARMLESS):
        values = [side.get(key) for side in keys]
        if values[0] != values[1] and not (values[0] is None and key in OLDER):
            yield f"{key}: {str(values[0])[:80]} here, {str(values[1])[:80]} there"
    tensors = [{tensor.name: tensor for tensor in file.tensors} for file in (ours, theirs)]
    for name in sorted(tensors[0].keys() | tensors[1].keys()):
        one, other = (side.get(name) for side in tensors)
        if one is None or other is None or list(one.shape) != list(other.shape) or one.tensor_type != other.tensor_type:
            yield f"{name}: {one and (one.shape, one.tensor_type)} here, {other and (other.shape, other.tensor_type)} there"
        elif name in LAST_BIT:
            if not numpy.allclose(one.data, other.data, rtol=1e-6):
                yield f"{name}: other numbers"
        elif one.data.tobytes() != other.data.tobytes():
            yield f"{name}: other bytes"


def main():
    logging.disable(logging.WARNING)
    GPT2Model.modify_tensors = without_masks(GPT2Model.modify_tensors)
    wrong = 0
    for name in sys.argv[2:] or list(ALL):
        model = ALL[name]
        for kind, form in models.forms(model):
            if kind != "gguf" or form not in ("f32", "bf16", "mxfp4"):
                continue
            with tempfile.TemporaryDirectory() as place:
                ours = models.write(model, "gguf", form, os.path.join(place, "ours.gguf"))
                theirs = Path(place, "theirs.gguf")
                converted(model, Path(models.write(model, "folder", form, os.path.join(place, "folder"))), form, theirs)
                found = list(differences(gguf.GGUFReader(ours), gguf.GGUFReader(theirs)))
            wrong += len(found)
            print(f"{name} in {form}: " + ("the same" if not found else "".join(f"\n  {line}" for line in found)), flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
