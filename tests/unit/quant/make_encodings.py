#!/usr/bin/env python3
"""Writes Encodings.inc: rows that are hard on a quantiser, and their bytes by the Python package `gguf` (pip install gguf numpy);
then one hash per format over many random blocks, which EncodeTest.cpp makes again by the same formula.

Run it again only when a format is added: python3 make_encodings.py > Encodings.inc
The bytes are those of a CPU with AVX-512 where the package's depend on the CPU (blocks that hold zeros of both signs).
"""
import warnings
import numpy as np
from gguf import GGMLQuantizationType as Q
from gguf.quants import quantize

warnings.filterwarnings("ignore")  # overflows are wanted
FORMATS = [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.MXFP4]
rng = np.random.default_rng(15)
TINY, HUGE, LEAST = np.float32(2.0**-126), np.finfo(np.float32).max, np.float32(2.0**-149)


def block(*values):
    """These, and zeros after them."""
    return np.array(list(values) + [0.0] * (32 - len(values)), np.float32)


def signs(values):
    return values * np.where(np.arange(32) % 3 == 1, -1, 1)


BLOCKS = {
    "zeros": block(),
    "negative zeros": -block(),
    "zeros of both signs": signs(block()),
    "zeros of both signs below positives": np.where(np.arange(32) % 5 == 0, np.linspace(0, 3, 32), signs(block())),
    "zeros of both signs above negatives": np.where(np.arange(32) % 7 == 3, -np.linspace(0, 3, 32), -signs(block())),
    "a last zero that is negative": block(*np.arange(1, 32), -0.0),
    "all equal": np.full(32, 0.7),
    "all equal and negative": np.full(32, -3.3),
    "halves of 127": signs(np.arange(32) + 0.5) + block(126.5),
    "halves of 7": signs(np.arange(32) % 8 + 0.5) + block(7.5),
    "halves of 15, from below": np.arange(32) / 2.0,
    "halves of 31": np.arange(32) - 0.5,
    "halves of 8, least first": np.linspace(-8, 7.5, 32),
    "both ends as large": block(-5, 5, 5, -5, 1, 2, 3),
    "both ends as large, positive first": block(5, -5, -5, 5, 1, 2, 3),
    "one huge value": signs(np.full(32, 1e-3)) + block(3e38),
    "the largest numbers of both signs": signs(np.full(32, HUGE)),
    "scales beyond f16": signs(np.linspace(1e6, 3e7, 32)),
    "scales that round up to f16's infinity": signs(np.full(32, 65520.0 * 8)) + block(65520.0 * 127),
    "numbers around f16's largest": block(65504, 65519.996, 65520, -65519.996, -65520, 1e5),
    "numbers around bf16's ties": (np.arange(32, dtype=np.uint32) * 0x4000 + 0x3F800000).view(np.float32),
    "one more than bf16's ties": (np.arange(32, dtype=np.uint32) * 0x8000 + 0x3F808001).view(np.float32),
    "ties of f16": (1 + np.arange(32) * 2.0**-11),
    "denormals of f16": signs(np.arange(32) * 2.0**-25),
    "scales that are denormal in f16": signs(np.linspace(1e-6, 1e-4, 32)),
    "scales that vanish in f16": signs(np.linspace(1e-12, 1e-9, 32)),
    "denormals": signs(np.arange(32) * LEAST),
    "one denormal": block(0, 0, -LEAST),
    "inverses that overflow": signs(np.arange(32) * TINY / 4),
    "the least normal numbers": signs(np.arange(32) * TINY),
    "infinity": block(1, 2, -3, np.inf, 5),
    "negative infinity": block(1, 2, -3, -np.inf, 5),
    "both infinities": block(np.inf, -np.inf, 1),
    "MXFP4's values": np.array([0, .5, 1, 1.5, 2, 3, 4, 6, -0.0, -.5, -1, -1.5, -2, -3, -4, -6] * 2),
    "MXFP4's ties": signs(block(.25, .75, 1.25, 1.75, 2.5, 3.5, 5, 6, 7, .25, .75, 1.25, 1.75, 2.5, 3.5, 5, 7.999)),
    "just below a power of two": block(np.nextafter(np.float32(1024), np.float32(0)), 700, -1, 3),
    "a power of two": block(-1024, 700, 1, 3),
    "normal": rng.standard_normal(32),
    "weights of a model": rng.standard_normal(32) * 0.02,
    "all positive": rng.random(32) + 1,
    "all negative": -rng.random(32) - 1,
}


def words(seed):
    """Knuth's linear congruences, the upper 32 bits of each."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 32


def random_blocks(count):
    """Blocks of numbers of every magnitude, those of one block within a factor of 256; as EncodeTest.cpp has it."""
    source, bits = words(15), np.zeros(32 * count, np.uint32)
    for b in range(count):
        top = next(source) % 255
        for k in range(32):
            word = next(source)
            exponent = max(0, top - (word >> 23) % 8)
            bits[32 * b + k] = word & 0x807FFFFF | exponent << 23
    return bits.view(np.float32)


def encoded(kind, row):
    return np.ascontiguousarray(quantize(row, kind)).view(np.uint8).reshape(-1).tobytes()


def fnv(data):
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


print("// Written by make_encodings.py: blocks as bits of f32, and their bytes by gguf.quants.quantize.")
print("// clang-format off")
for name, values in BLOCKS.items():
    values = np.ascontiguousarray(np.asarray(values, np.float32))
    assert values.shape == (32,)
    print(f'{{"{name}", "{values.view(np.uint8).tobytes().hex()}", {{')
    for kind in FORMATS[1:]:
        print(f'    {{Format::{kind.name}, "{encoded(kind, values.reshape(1, 32)).hex()}"}},')
    print("  }, 0},")
many = random_blocks(4096)
print('{"random", "", {')
for kind in FORMATS:
    print(f'    {{Format::{kind.name}, "{fnv(encoded(kind, many.reshape(16, -1))):016x}"}},')
print("  }, 4096},")
