#!/usr/bin/env python3
"""Writes Golden.inc: one row of 256 elements per format and its values by the Python package `gguf` (pip install gguf).

Run it again only when a format is added: python3 make_golden.py > Golden.inc
"""
import numpy as np
from gguf import GGMLQuantizationType as Q, GGML_QUANT_SIZES
from gguf.quants import dequantize

# Offsets of the f16 fields of a block; everything else is random bytes.
HALVES = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
FORMATS = [Q.F16, Q.BF16, *HALVES, Q.MXFP4]  # the last: any bytes
rng = np.random.default_rng(7)


def row(kind):
    elements, size = GGML_QUANT_SIZES[kind]
    if kind == Q.F16: return rng.standard_normal(256).astype(np.float16).view(np.uint8)
    if kind == Q.BF16: return (rng.standard_normal(256).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    blocks = rng.integers(0, 256, (256 // elements, size), dtype=np.uint8)
    for at in HALVES.get(kind, []):
        halves = (rng.standard_normal(len(blocks)) * 0.1).astype(np.float16)
        blocks[:, at:at + 2] = halves.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(-1)


def table(words, per_line):
    return "\n".join("   " + "".join(f" {w}," for w in words[i:i + per_line]) for i in range(0, len(words), per_line))


print("// Written by make_golden.py: rows of 256 elements in file blocks, and the f32 bits of their values by gguf.quants.")
print("// clang-format off")
for kind in FORMATS:
    data = row(kind)
    values = dequantize(data, kind).astype(np.float32).reshape(-1)
    assert len(values) == 256
    print(f"{{Format::{kind.name}, {{")
    print(table([f"0x{b:02x}" for b in data], 24))
    print("  }, {")
    print(table([f"0x{v:08x}" for v in values.view(np.uint32)], 11))
    print("  }},")
