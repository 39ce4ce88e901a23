"""blocks.py - a tensor's bytes in each format of GGUF and safetensors that the tests use, in the standard library.

Quantised blocks are made, not found: codes are the leading bits of the tensor's own integers, scales differ at random from
block to block. So every bit of a block counts, and a wrong layout gives another model.
"""
import array
import math
import struct
import sys

from numbers_of import random_bytes

F32, F16, Q4_0, Q4_1, Q5_0, Q8_0, Q4_K, Q6_K, BF16, MXFP4 = 0, 1, 2, 3, 6, 8, 12, 14, 30, 39  # types of the GGUF specification
NAMES = {F32: "F32", F16: "F16", BF16: "BF16"}
BLOCK = {F32: (1, 4), F16: (1, 2), BF16: (1, 2), Q4_0: (32, 18), Q4_1: (32, 20), Q5_0: (32, 22), Q8_0: (32, 34),
         Q4_K: (256, 144), Q6_K: (256, 210), MXFP4: (32, 17)}  # values, bytes


def bytes_of(tensor, kind, name=""):
    """The tensor in format `kind`; `name` seeds the scales."""
    if kind in (F32, BF16):
        data = tensor.values()
        if sys.byteorder == "big":
            data.byteswap()
        data = data.tobytes()
        if kind == BF16:
            halves = array.array("H", data)
            assert not any(halves[0::2]), f"{name} is not exact in BF16"
            data = halves[1::2].tobytes()
        return data
    if kind == F16:
        values = tensor.values()
        return struct.pack(f"<{len(values)}e", *values)
    values, _ = BLOCK[kind]
    assert tensor.shape[-1] % values == 0, f"{name}: rows of {tensor.shape[-1]} do not hold whole blocks"
    count = len(tensor.steps) // values
    noise = random_bytes("scales", name, 32 * count)
    pack = _PACKERS[kind]
    return b"".join(pack(tensor.steps[i * values:(i + 1) * values], tensor.step, noise[32 * i:32 * i + 32])
                    for i in range(count))


def _vary(step, byte):
    """A scale near `step`: 0.75 to 1.25 of it."""
    return step * (0.75 + byte / 512)


def _halves(low, high):
    """Nibbles: the first half of the values below, the second above."""
    return bytes(a | b << 4 for a, b in zip(low, high))


def _q8_0(n, step, noise):
    return struct.pack("<e32b", _vary(step, noise[0]), *n)


def _q4_0(n, step, noise):
    codes = [(x + 128) >> 4 for x in n]
    return struct.pack("<e", _vary(16 * step, noise[0])) + _halves(codes[:16], codes[16:])


def _q4_1(n, step, noise):
    codes = [(x + 128) >> 4 for x in n]
    return struct.pack("<ee", _vary(16 * step, noise[0]), -_vary(120 * step, noise[1])) + _halves(codes[:16], codes[16:])


def _q5_0(n, step, noise):
    codes = [(x + 128) >> 3 for x in n]
    high = sum((code >> 4) << i for i, code in enumerate(codes))
    low = [code & 15 for code in codes]
    return struct.pack("<eI", _vary(8 * step, noise[0]), high) + _halves(low[:16], low[16:])


def _q4_k(n, step, noise):
    """Eight groups of 32 with scales and minima of six bits; two groups share 32 bytes of nibbles."""
    scales, minima = [24 + b % 40 for b in noise[:8]], [24 + b % 40 for b in noise[8:16]]
    packed = [scales[i] | (scales[i + 4] >> 4) << 6 for i in range(4)]
    packed += [minima[i] | (minima[i + 4] >> 4) << 6 for i in range(4)]
    packed += [scales[i + 4] & 15 | (minima[i + 4] & 15) << 4 for i in range(4)]
    codes = [(x + 128) >> 4 for x in n]
    nibbles = b"".join(bytes(a | b << 4 for a, b in zip(codes[i:i + 32], codes[i + 32:i + 64])) for i in range(0, 256, 64))
    return struct.pack("<ee", 16 * step / 44, 120 * step / 44) + bytes(packed) + nibbles


def _q6_k(n, step, noise):
    """Two halves of 128: four groups of 32 share 64 bytes of low nibbles and 32 of the two high bits. Signed scales of 16."""
    codes = [(x + 128) >> 2 for x in n]
    low, high = bytearray(), bytearray()
    for start in (0, 128):
        a, b, c, d = (codes[start + i:start + i + 32] for i in (0, 32, 64, 96))
        low += bytes(x & 15 | (y & 15) << 4 for x, y in zip(a + b, c + d))
        high += bytes(p >> 4 | (q >> 4) << 2 | (r >> 4) << 4 | (s >> 4) << 6 for p, q, r, s in zip(a, b, c, d))
    scales = [(40 + byte % 50) * (1 if byte & 1 else -1) for byte in noise[:16]]
    return bytes(low) + bytes(high) + struct.pack("<16be", *scales, 4 * step / 64)


# ---- reading blocks back: what the numbers of a quantised file are ----


def values_of(data, kind):
    """The numbers that a tensor's bytes stand for, as F32."""
    if kind in (F32, BF16, F16):
        if kind == F16:
            return array.array("f", struct.unpack(f"<{len(data) // 2}e", data))
        data = data if kind == F32 else b"".join(b"\0\0" + data[i:i + 2] for i in range(0, len(data), 2))
        return array.array("f", struct.unpack(f"<{len(data) // 4}f", data))
    size, read = BLOCK[kind][1], _READERS[kind]
    out = array.array("f")
    for start in range(0, len(data), size):
        out.extend(read(data[start:start + size]))
    return out


def _nibbles(data):
    return [byte & 15 for byte in data] + [byte >> 4 for byte in data]


def _read_q8_0(b):
    d, *codes = struct.unpack("<e32b", b)
    return [d * code for code in codes]


def _read_q4_0(b):
    d, = struct.unpack_from("<e", b)
    return [d * (code - 8) for code in _nibbles(b[2:])]


def _read_q4_1(b):
    d, m = struct.unpack_from("<ee", b)
    return [d * code + m for code in _nibbles(b[4:])]


def _read_q5_0(b):
    d, high = struct.unpack_from("<eI", b)
    return [d * ((code | (high >> i & 1) << 4) - 16) for i, code in enumerate(_nibbles(b[6:]))]


def _read_q4_k(b):
    d, m = struct.unpack_from("<ee", b)
    s, out = b[4:16], []
    for group in range(8):
        if group < 4:
            scale, least = s[group] & 63, s[group + 4] & 63
        else:
            scale, least = s[group + 4] & 15 | s[group - 4] >> 6 << 4, s[group + 4] >> 4 | s[group] >> 6 << 4
        quarter = b[16 + 32 * (group // 2):48 + 32 * (group // 2)]
        out += [d * scale * (byte >> 4 * (group % 2) & 15) - m * least for byte in quarter]
    return out


def _read_q6_k(b):
    d, = struct.unpack_from("<e", b, 208)
    scales, out = struct.unpack_from("<16b", b, 192), []
    for half in range(2):
        low, high = b[64 * half:64 * half + 64], b[128 + 32 * half:160 + 32 * half]
        for group in range(4):
            quarter = low[32 * (group % 2):32 * (group % 2) + 32]
            for i, (byte, bits) in enumerate(zip(quarter, high)):
                code = (byte >> 4 * (group // 2) & 15) | (bits >> 2 * group & 3) << 4
                out.append(d * scales[8 * half + 2 * group + i // 16] * (code - 32))
    return out


# MXFP4: the sixteen numbers of E2M1 times a power of two for 32 of them.
FP4 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0]


class Mxfp4Tensor:
    """A stack of matrices of blocks of 32 `codes` with one exponent each (127 stands for one). Exact in F16 and BF16."""

    def __init__(self, shape, codes, exponents):
        self.shape, self.codes, self.exponents = tuple(shape), codes, exponents

    def values(self):
        return array.array("f", [2.0 ** (self.exponents[i >> 5] - 127) * FP4[code] for i, code in enumerate(self.codes)])

    def dense(self):
        return DenseTensor(self.shape, self.values())

    def rows(self, order):
        """Of each matrix of the stack, these rows."""
        stack, rows, columns = self.shape
        codes, exponents = bytearray(), bytearray()
        for one in range(stack):
            for row in order:
                at = (one * rows + row) * columns
                codes += self.codes[at:at + columns]
                exponents += self.exponents[at // 32:(at + columns) // 32]
        return Mxfp4Tensor((stack, len(order), columns), codes, exponents)

    def gguf(self):
        """Blocks of one exponent and sixteen bytes: value i of the block low, value i + 16 high."""
        return b"".join(bytes([e]) + _halves(self.codes[32 * i:32 * i + 16], self.codes[32 * i + 16:32 * i + 32])
                        for i, e in enumerate(self.exponents))

    def folder(self):
        """Of a Hugging Face folder: bytes of neighbours, the first low, and the exponents in a tensor of their own."""
        return bytes(a | b << 4 for a, b in zip(self.codes[0::2], self.codes[1::2])), bytes(self.exponents)


class DenseTensor:
    """Floats as they are; for what is not made of integers times a step."""

    def __init__(self, shape, values):
        self.shape, self._values = tuple(shape), array.array("f", values)

    def values(self):
        return self._values

    def transposed(self):
        *stack, rows, columns = self.shape
        size, values = rows * columns, array.array("f")
        for start in range(0, len(self._values), size):
            for column in range(columns):
                values.extend(self._values[start + column:start + size:columns])
        return DenseTensor((*stack, columns, rows), values)


def mxfp4_matrices(numbers, name, stack, rows, columns, gain=1.0):
    """A stack of matrices, scaled as Numbers.matrix does."""
    count = stack * rows * columns
    by_size = sorted(range(16), key=lambda code: (FP4[code], code == 0))  # negative zero below zero
    codes = bytearray(by_size[min(15, max(0, (n + 64) // 8))] for n in numbers.steps(name, count))
    base = 127 + max(-8, round(math.log2(gain / columns ** 0.5 / 2.4)))
    exponents = bytearray(base + (byte % 3 == 0) - (byte % 5 == 0) for byte in random_bytes(numbers.seed, name + " exponents",
                                                                                           count // 32))
    return Mxfp4Tensor((stack, rows, columns), codes, exponents)


_PACKERS = {Q8_0: _q8_0, Q4_0: _q4_0, Q4_1: _q4_1, Q5_0: _q5_0, Q4_K: _q4_k, Q6_K: _q6_k}
_READERS = {Q8_0: _read_q8_0, Q4_0: _read_q4_0, Q4_1: _read_q4_1, Q5_0: _read_q5_0, Q4_K: _read_q4_k, Q6_K: _read_q6_k}
