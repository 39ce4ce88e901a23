"""folder.py - writes a Hugging Face folder: config.json, generation_config.json, model.safetensors and the tokenizer."""
import json
import os
import struct

import tokens
from blocks import BF16, F16, F32, NAMES, bytes_of

DTYPES = {F32: "float32", F16: "float16", BF16: "bfloat16"}


def write(path, config, tensors, kind, cut):
    """`tensors`: {name: tensor, or (dtype, shape, bytes)}; floating-point tensors are stored in format `kind`."""
    os.makedirs(path)
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        dtype, shape, data = tensor if isinstance(tensor, tuple) else (NAMES[kind], tensor.shape, bytes_of(tensor, kind, name))
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(path, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(blobs)
    context = config.get("max_position_embeddings") or config.get("n_positions") or 512
    generation = {"_from_model_config": True, "bos_token_id": tokens.BEGIN, "eos_token_id": tokens.END,
                  "transformers_version": config.get("transformers_version", "4.41.0")}
    for name, content in {"config.json": config | {"torch_dtype": DTYPES[kind]}, "generation_config.json": generation,
                          "tokenizer.json": tokens.tokenizer_json(cut),
                          "tokenizer_config.json": tokens.tokenizer_config(context)}.items():
        with open(os.path.join(path, name), "w", encoding="utf8") as file:
            json.dump(content, file, indent=2, ensure_ascii=False)
            file.write("\n")
