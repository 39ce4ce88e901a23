"""models.py - writes a model of catalogue.py as a Hugging Face folder or as a GGUF file. Python's standard library only.

    models.py FOLDER [NAME…]     writes all forms of all models, or of these

Forms: f32, bf16 and f16 of folders and files, mix of files alone, and mxfp4 of gpt-oss (with all else in BF16). All but mix,
where each kind of weight has a quantised format of its own, hold the same numbers.
"""
import os
import sys

import blocks
import folder
import gguf_file
import tokens
from blocks import BF16, F16, F32, MXFP4, Q4_0, Q4_1, Q4_K, Q5_0, Q6_K, Q8_0, DenseTensor, Mxfp4Tensor, bytes_of, values_of
from catalogue import ALL

EXACT = "mix in f32"  # not a form to compare, but what the numbers of mix are
MODULES_NOT_CONVERTED = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
MIX = {"token_embd": Q8_0, "output": Q6_K, "attn_q": Q4_0, "attn_k": Q8_0, "attn_v": Q5_0, "attn_qkv": Q4_1, "attn_output": Q4_1,
       "ffn_gate": Q4_0, "ffn_up": Q4_0, "ffn_down": Q6_K, "ffn_gate_exps": Q4_0, "ffn_up_exps": Q4_1, "ffn_down_exps": Q5_0}


def forms(model):
    """(kind of file, form) of all that a model is written as."""
    both = ["f32", "bf16", "f16"] + (["mxfp4"] if model.architecture == "gpt-oss" else [])
    files = [] if model.folder_only else [*both, "mix"]
    return [("folder", form) for form in both] + [("gguf", form) for form in files]


def write(model, kind, form, path):
    (write_folder if kind == "folder" else write_gguf)(model, form, path)
    return path


def write_folder(model, form, path):
    weights = model.make(model.seed, model.shape).folder
    config, tensors = dict(model.config), {}
    for name, tensor in weights.items():
        if not isinstance(tensor, Mxfp4Tensor):
            tensors[name] = tensor
        elif form == "mxfp4":
            stack, rows, columns = tensor.shape
            codes, exponents = tensor.folder()
            tensors[f"{name}_blocks"] = ("U8", (stack, rows, columns // 32, 16), codes)
            tensors[f"{name}_scales"] = ("U8", (stack, rows, columns // 32), exponents)
        else:
            tensors[name] = tensor.dense().transposed()
    if form == "mxfp4":
        config["quantization_config"] = {"modules_to_not_convert": MODULES_NOT_CONVERTED, "quant_method": "mxfp4"}
    folder.write(path, config, tensors, {"f32": F32, "f16": F16}.get(form, BF16), model.cut)


def format_of(name, tensor, form):
    """What the converter, or the quantiser after it, stores a tensor in: vectors and routers stay F32."""
    role = name.removesuffix(".weight").rsplit(".", 1)[-1]
    if len(tensor.shape) == 1 or form == "f32" or name.endswith(".bias") or role in ("ffn_gate_inp", "position_embd"):
        return F32
    if isinstance(tensor, Mxfp4Tensor) and form in ("mxfp4", "mix"):
        return MXFP4
    if form != "mix" or role not in MIX:
        return F16 if form in ("f16", "mix") else BF16
    kind = MIX[role]
    if kind == Q6_K and role == "ffn_down" and name.startswith("blk.1."):
        kind = Q4_K
    if role == "ffn_up" and name.startswith("blk.1."):
        kind = Q4_1  # a gate and an up of different formats
    columns = tensor.shape[-1]
    if columns % blocks.BLOCK[kind][0]:
        kind = Q8_0
    return kind if columns % 32 == 0 else F16


def write_gguf(model, form, path):
    tensors = {}
    weights = model.make(model.seed, model.shape).gguf
    weights |= {name: DenseTensor((len(values),), values) for name, values in model.extra.items()}
    for name, tensor in weights.items():
        kind = format_of(name, tensor, "mix" if form == EXACT else form)
        data = tensor.gguf() if kind == MXFP4 else bytes_of(tensor, kind, name)
        if form == EXACT:
            exact = tensor if kind in (F32, MXFP4) else DenseTensor(tensor.shape, values_of(data, kind))
            kind, data = F32, bytes_of(exact, F32)
        tensors[name] = (tensor.shape, kind, data)
    words, types = tokens.gguf_vocabulary(model.cut, model.shape.rows)
    metadata = {"general.architecture": model.architecture, "general.type": "model",
                "general.name": "random",  # llama.cpp expects Phi-3's own special tokens of a name with phi3
                "general.file_type": {"f32": 0, "f16": 1, "bf16": 32, "mxfp4": 38, "mix": 7, EXACT: 0}[form]}
    metadata |= {f"{model.architecture}.{key}": value for key, value in model.metadata.items()}
    metadata |= {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": model.cut, "tokenizer.ggml.tokens": words,
                 "tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": tokens.MERGES,
                 "tokenizer.ggml.bos_token_id": tokens.BEGIN, "tokenizer.ggml.eos_token_id": tokens.END,
                 "tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_eos_token": False, "general.quantization_version": 2}
    if "pad_token_id" in model.config:
        metadata["tokenizer.ggml.padding_token_id"] = tokens.END
    if model.architecture in ("llama", "granite"):
        metadata["tokenizer.ggml.add_space_prefix"] = False
    gguf_file.write(path, metadata, tensors)


def main():
    target, names = sys.argv[1], sys.argv[2:] or list(ALL)
    for name in names:
        for kind, form in forms(ALL[name]):
            path = os.path.join(target, f"{name}.{form}" + (".gguf" if kind == "gguf" else ""))
            write(ALL[name], kind, form, path)
            print(path)


if __name__ == "__main__":
    main()
