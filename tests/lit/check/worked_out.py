#!/usr/bin/env python3
"""tests/lit/check/worked_out.py [--check] - write the .mlir files beside it whose numbers are worked out here.

The formulas stand here a second time, in plain Python and from the papers and docs/arithmetic.md, not from the interpreter: in f64, and
for what is made of +, *, fma and sqrt alone also in the one arithmetic, every rounding of it. --check writes nothing and exits with 1
where a file is not what would be written.
"""
import math
import pathlib
import struct
import sys
from fractions import Fraction

HERE = pathlib.Path(__file__).resolve().parent


# ---- f32 and f16, one rounding an operation ----

def f32_of(exact):
    """A Fraction rounded to f32, ties to even."""
    if not exact:
        return 0.0
    exponent = math.frexp(float(exact))[1] - 1
    if abs(exact) < Fraction(2) ** exponent:  # the f64 was rounded up to a power of two
        exponent -= 1
    step = Fraction(2) ** (max(exponent, -126) - 23)
    return float(round(exact / step) * step)


def f32(x):
    return f32_of(Fraction(x))


def add(a, b):
    return f32_of(Fraction(a) + Fraction(b))


def mul(a, b):
    return f32_of(Fraction(a) * Fraction(b)) or math.copysign(0.0, math.copysign(1, a) * math.copysign(1, b))


def div(a, b):
    return f32_of(Fraction(a) / Fraction(b))


def fma(a, b, c):
    return f32_of(Fraction(a) * Fraction(b) + Fraction(c))


def sqrt(a):
    return f32(math.sqrt(a))  # of an f32, by way of f64: the second rounding changes nothing


def f16(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def lanes(values, step):
    """docs/arithmetic.md, Adding up lanes: 16 partial sums, then one tree."""
    partial = [0.0] * 16
    for i, value in enumerate(values):
        partial[i % 16] = step(partial[i % 16], value)
    for half in (8, 4, 2, 1):
        for j in range(half):
            partial[j] = add(partial[j], partial[j + half])
    return partial[0]


# ---- inputs: numbers with whole mantissas, so that the order of sums shows ----

class Noise:
    def __init__(self, seed):
        self.state = seed

    def word(self):  # Knuth's MMIX generator
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 33

    def reals(self, n, size=1.0):
        return [f32((self.word() / 2**30 - 1) * size) for _ in range(n)]

    def rows(self, t, n, size=1.0):
        return [self.reals(n, size) for _ in range(t)]

    def bytes(self, n):
        return bytes(self.word() & 255 for _ in range(n))


# ---- text ----

def literal(x, digits):
    text = f"%.{digits}g" % x
    mantissa, e, exponent = text.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + e + exponent


def nested(values, show):
    return "[" + ", ".join(nested(v, show) if isinstance(v, list) else show(v) for v in values) + "]"


def shape_of(values):
    return [len(values)] + (shape_of(values[0]) if isinstance(values[0], list) else [])


def tensor(values, element):
    return f"tensor<{'x'.join(map(str, shape_of(values)))}x{element}>"


def reals(values):
    return f"dense<{nested(values, lambda x: literal(x, 9))}> : {tensor(values, 'f32')}"


def dynamic(values, element="f32", rank=1):
    """The type with its first `rank` dimensions unknown."""
    shape = shape_of(values)
    return "tensor<" + "x".join(["?"] * rank + list(map(str, shape[rank:]))) + f"x{element}>"


def flat(values):
    return [x for v in values for x in flat(v)] if isinstance(values, list) else [values]


def hexadecimal(data):
    return f'dense<"0x{data.hex().upper()}">'


def given(name, values, kind=None):
    """Few numbers to be read, or the bytes of many."""
    text = reals(values)
    if len(flat(values)) > 16:
        text = f"{hexadecimal(b''.join(struct.pack('<f', x) for x in flat(values)))} : {tensor(values, 'f32')}"
    return f"  %{name} = check.input {text} -> {kind or dynamic(values)}\n"


def integers(name, values):
    return f"  %{name} = check.input dense<{nested(values, str)}> : {tensor(values, 'i32')} -> tensor<?xi32>\n"


def near(name, values, within, meaning=None, kind=None):
    meaning = f" in {meaning}" if meaning else ""
    return (f"  check.expect_almost_eq %{name} is dense<{nested(values, lambda x: literal(x, 17))}> : {tensor(values, 'f64')}"
            f" within {within}{meaning} : {kind or dynamic(values)}\n")


def same_bits(name, values):
    return f"  check.expect_bits %{name} is dense<{nested(values, lambda x: '0x%08X' % bits(x))}> : {tensor(values, 'f32')} : {dynamic(values)}\n"


def vector(name, values):
    """A weight of one dimension."""
    kind = f"tensor<{len(values)}xf32>"
    return f"heddle.weight @{name} : {kind}\ncheck.weight @{name} {reals(values)}\n"


def get(name, kind):
    return f"  %{name} = heddle.get @{name} : {kind}\n"


def test(name, body):
    return f"func.func @{name}() {{\n{body}  return\n}}\n"


def each(rows, f):
    return [[f(x) for x in row] for row in rows]


def pairs(a, b, f):
    return [[f(x, y) for x, y in zip(r, s)] for r, s in zip(a, b)]


WITHIN = "1.0e-12"  # of exact mathematics: the same f64 formulas in another order

# ---- element-wise ops ----


def silu(x):
    return x / (1 + math.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + math.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


def gelu_erf(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def elementwise():
    noise = Noise(1)
    a, b = noise.rows(2, 5, 3.0), noise.rows(2, 5, 3.0)
    kind = "(tensor<?x5xf32>, tensor<?x5xf32>) -> tensor<?x5xf32>"
    one = "(tensor<?x5xf32>) -> tensor<?x5xf32>"
    by = f32(0.22)
    return (test("add", given("a", a) + given("b", b) + f"  %y = heddle.add %a, %b : {kind}\n"
                 + near("y", pairs(a, b, lambda x, y: x + y), WITHIN, "exact") + same_bits("y", pairs(a, b, add)))
            + test("mul", given("a", a) + given("b", b) + f"  %y = heddle.mul %a, %b : {kind}\n"
                   + near("y", pairs(a, b, lambda x, y: x * y), WITHIN, "exact") + same_bits("y", pairs(a, b, mul)))
            + test("scale", given("a", a) + f"  %y = heddle.scale %a by 0.22 : {one}\n"
                   + near("y", each(a, lambda x: x * by), WITHIN, "exact") + same_bits("y", each(a, lambda x: mul(x, by))))
            + "".join(test(name, given("a", a) + f"  %y = heddle.activate {name} %a : {one}\n"
                           # The one arithmetic's tanh and exp are a few units of the last place off.
                           + near("y", each(a, f), bound, "exact") + near("y", each(a, f), "1.0e-6", "one"))
                      for name, f, bound in (("silu", silu, WITHIN), ("gelu_tanh", gelu, "1.0e-9"), ("gelu", gelu_erf, WITHIN),
                                             ("relu", lambda x: max(x, 0.0), WITHIN), ("tanh", math.tanh, WITHIN))))


# ---- norms ----

def rms(x, w, eps):
    r = 1 / math.sqrt(sum(v * v for v in x) / len(x) + eps)
    return [v * r * c for v, c in zip(x, w)]


def rms_one(x, w, eps):
    ss = lanes(x, lambda partial, v: fma(v, v, partial))
    r = div(1.0, sqrt(add(div(ss, float(len(x))), eps)))
    return [mul(mul(v, r), c) for v, c in zip(x, w)]


def layer(x, w, b, eps):
    m = sum(x) / len(x)
    r = 1 / math.sqrt(sum((v - m) ** 2 for v in x) / len(x) + eps)
    return [(v - m) * r * c + (b[i] if b else 0) for i, (v, c) in enumerate(zip(x, w))]


def layer_one(x, w, b, eps):
    n = float(len(x))
    m = div(lanes(x, add), n)
    centred = [add(v, -m) for v in x]
    r = div(1.0, sqrt(add(div(lanes(centred, lambda partial, v: fma(v, v, partial)), n), eps)))
    return [fma(mul(v, r), c, b[i]) if b else mul(mul(v, r), c) for i, (v, c) in enumerate(zip(centred, w))]


def norms():
    noise = Noise(2)
    x, residual = noise.rows(2, 40, 2.0), noise.rows(2, 40, 2.0)
    w, b, small = noise.reals(40), noise.reals(40), noise.reals(10)
    eps = f32(1e-5)
    text = vector("w", w) + vector("b", b) + vector("small", small)
    rows = "tensor<?x40xf32>"
    head = given("x", x) + get("w", "tensor<40xf32>")
    text += test("rms_norm", head + f"  %y = heddle.rms_norm %x, %w eps 1.0e-5 : ({rows}, tensor<40xf32>) -> {rows}\n"
                 + near("y", [rms(r, w, eps) for r in x], WITHIN, "exact") + same_bits("y", [rms_one(r, w, eps) for r in x]))
    heads = lambda f: [[v for h in range(4) for v in f(r[10 * h:10 * h + 10], small, eps)] for r in x]
    text += test("rms_norm_groups", given("x", x) + get("small", "tensor<10xf32>")
                 + f"  %y = heddle.rms_norm %x, %small eps 1.0e-5 {{groups = 4 : i64}} : ({rows}, tensor<10xf32>) -> {rows}\n"
                 + near("y", heads(rms), WITHIN, "exact") + same_bits("y", heads(rms_one)))
    text += test("rms_norm_residual", head + given("r", residual)
                 + f"  %y = heddle.rms_norm %x, %w eps 1.0e-5 residual(%r) : ({rows}, tensor<40xf32>, {rows}) -> {rows}\n"
                 + near("y", pairs([rms(r, w, eps) for r in x], residual, lambda v, r: r + v), WITHIN, "exact")
                 + same_bits("y", pairs([rms_one(r, w, eps) for r in x], residual, lambda v, r: add(r, v))))
    text += test("layer_norm", head + f"  %y = heddle.layer_norm %x, %w eps 1.0e-5 : ({rows}, tensor<40xf32>) -> {rows}\n"
                 + near("y", [layer(r, w, None, eps) for r in x], WITHIN, "exact")
                 + same_bits("y", [layer_one(r, w, None, eps) for r in x]))
    text += test("layer_norm_bias", head + get("b", "tensor<40xf32>")
                 + f"  %y = heddle.layer_norm %x, %w bias(%b) eps 1.0e-5 : ({rows}, tensor<40xf32>, tensor<40xf32>) -> {rows}\n"
                 + near("y", [layer(r, w, b, eps) for r in x], WITHIN, "exact")
                 + same_bits("y", [layer_one(r, w, b, eps) for r in x]))
    return text


# ---- rotary embedding ----

def rotated(x, heads, position, interleaved, dims, base, scale=1.0, factors=None, magnitude=1.0, one=False):
    size, out = len(x) // heads, list(x)
    for h in range(heads):
        for i in range(dims // 2):
            angle = position * math.exp(-(2 * i / dims) * math.log(base)) / (scale * (factors[i] if factors else 1.0))
            c, s = math.cos(angle) * magnitude, math.sin(angle) * magnitude
            p, q = (2 * i, 2 * i + 1) if interleaved else (i, i + dims // 2)
            a, b = x[h * size + p], x[h * size + q]
            if one:
                c, s = f32(c), f32(s)
                out[h * size + p], out[h * size + q] = fma(a, c, -mul(b, s)), fma(a, s, mul(b, c))
            else:
                out[h * size + p], out[h * size + q] = a * c - b * s, a * s + b * c
    return out


def rope():
    noise = Noise(3)
    x = noise.rows(3, 24)
    rows = "tensor<?x24xf32>"
    tables = {
        "plain": ("base 10000.0 dims 12 scale 1.0", dict(dims=12, base=10000.0)),
        "part": ("base 500000.0 dims 8 scale 4.0", dict(dims=8, base=500000.0, scale=4.0)),
        "factors": ("base 10000.0 dims 12 scale 1.0 factors [1.0, 1.0, 2.0, 3.5, 8.0, 8.0] magnitude 1.19",
                    dict(dims=12, base=10000.0, factors=[1.0, 1.0, 2.0, 3.5, 8.0, 8.0], magnitude=1.19)),
    }
    text = "".join(f"heddle.rope_table @{name} {words}\n" for name, (words, _) in tables.items())
    long = [1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    text += ("heddle.rope_table @long base 10000.0 dims 12 scale 1.0 factors [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]"
             f" long_factors {nested(long, str)} beyond 8\n")

    def case(name, table, interleaved, positions, **how):
        style = "interleaved" if interleaved else "neox"
        f = lambda one: [rotated(r, 2, p, interleaved, one=one, **how) for r, p in zip(x, positions)]
        return test(name, f"  check.batch {{positions = array<i32: {', '.join(map(str, positions))}>}}\n" + given("x", x)
                    + f"  %y = heddle.rope {style} %x table @{table} heads 2 : ({rows}) -> {rows}\n"
                    + near("y", f(False), WITHIN, "exact") + same_bits("y", f(True)))

    for style in (True, False):
        for name, (_, how) in tables.items():
            text += case(f"{name}_{'interleaved' if style else 'neox'}", name, style, [0, 3, 1000], **how)
    # Of LongRoPE the served context, here the positions of the step, chooses the list.
    text += case("long_not_beyond", "long", False, [0, 3, 7], dims=12, base=10000.0)
    text += case("long_beyond", "long", False, [0, 3, 8], dims=12, base=10000.0, factors=long)
    return text


# ---- weights in their formats ----

def half(data, at):
    return struct.unpack_from("<e", data, at)[0]


def nibble(data, at, j):
    """Element j of 32: low nibbles are the first half."""
    return data[at + j % 16] >> (4 if j >= 16 else 0) & 15


def k_scales(block):
    """Of Q4_K and Q5_K: eight (scale, minimum) of 6 bits in 12 bytes."""
    s = block[4:16]
    low = [(s[j] & 63, s[j + 4] & 63) for j in range(4)]
    return low + [((s[j + 8] & 15) | (s[j] >> 6) << 4, (s[j + 8] >> 4) | (s[j + 4] >> 6) << 4) for j in range(4)]


# Each gives the sub-blocks of a file block: (codes, scale D, minimum M or None), D and M in f32.
def q4_0(b):
    return [([nibble(b, 2, j) - 8 for j in range(32)], half(b, 0), None)]


def q4_1(b):
    return [([nibble(b, 4, j) for j in range(32)], half(b, 0), half(b, 2))]


def fifth(b, at, j):
    return (struct.unpack_from("<I", b, at)[0] >> j & 1) << 4


def q5_0(b):
    return [([(nibble(b, 6, j) | fifth(b, 2, j)) - 16 for j in range(32)], half(b, 0), None)]


def q5_1(b):
    return [([nibble(b, 8, j) | fifth(b, 4, j) for j in range(32)], half(b, 0), half(b, 2))]


def q8_0(b):
    return [(list(struct.unpack_from("<32b", b, 2)), half(b, 0), None)]


def mxfp4(b):
    values = [0, 1, 2, 3, 4, 6, 8, 12]
    codes = [values[n & 7] * (-1 if n & 8 else 1) for n in (nibble(b, 1, j) for j in range(32))]
    return [(codes, 2.0 ** (b[0] - 128), None)]


def q4_k(b):
    d, least, out = half(b, 0), half(b, 2), []
    for s, (scale, minimum) in enumerate(k_scales(b)):
        codes = [b[16 + 32 * (s // 2) + j] >> (4 * (s % 2)) & 15 for j in range(32)]
        out.append((codes, mul(d, scale), -mul(least, minimum)))
    return out


def q5_k(b):
    d, least, out = half(b, 0), half(b, 2), []
    for s, (scale, minimum) in enumerate(k_scales(b)):
        codes = [(b[48 + 32 * (s // 2) + j] >> (4 * (s % 2)) & 15) | (b[16 + j] >> s & 1) << 4 for j in range(32)]
        out.append((codes, mul(d, scale), -mul(least, minimum)))
    return out


def q6_k(b):
    out = []
    for s in range(16):
        codes = []
        for e in range(16 * s, 16 * s + 16):
            part, i = divmod(e, 128)
            quarter, j = divmod(i, 32)
            low = b[64 * part + 32 * (quarter % 2) + j] >> (4 * (quarter // 2)) & 15
            codes.append((low | (b[128 + 32 * part + j] >> (2 * quarter) & 3) << 4) - 32)
        out.append((codes, mul(half(b, 208), struct.unpack_from("<b", b, 192 + s)[0]), None))
    return out


# name: (sub-blocks, elements of a block, bytes of it, where its f16 fields are)
QUANTISED = {
    "q4_0": (q4_0, 32, 18, (0,)), "q4_1": (q4_1, 32, 20, (0, 2)), "q5_0": (q5_0, 32, 22, (0,)), "q5_1": (q5_1, 32, 24, (0, 2)),
    "q8_0": (q8_0, 32, 34, (0,)), "mxfp4": (mxfp4, 32, 17, ()), "q4_k": (q4_k, 256, 144, (0, 2)), "q5_k": (q5_k, 256, 176, (0, 2)),
    "q6_k": (q6_k, 256, 210, (208,)),
}
FLOATS = {"f32": ("<f", f32), "f16": ("<e", f16), "bf16": (None, None)}


def random_block(format, noise):
    _, _, size, halves = QUANTISED[format]
    block = bytearray(noise.bytes(size))
    for at in halves:
        block[at:at + 2] = struct.pack("<e", f16(noise.reals(1, 0.05)[0]))
    if format == "mxfp4":
        block[0] = 124 + noise.word() % 6
    return bytes(block)


def q8(row):
    """docs/arithmetic.md, Quantised activations: (codes, d) of each block of 32."""
    out = []
    for at in range(0, len(row), 32):
        block = row[at:at + 32]
        amax = max(map(abs, block))
        d, inverse = div(amax, 127.0), div(127.0, amax)
        out.append(([max(-127, min(127, round(Fraction(mul(v, inverse))))) for v in block], d))
    return out


def dot_quantised(blocks, activations):
    """One row of a quantised weight and one token."""
    acc, subs = 0.0, [sub for block in blocks for sub in block]
    at = 0
    for codes, scale, minimum in subs:
        q, d = activations[at // 32]
        part = q[at % 32:at % 32 + len(codes)]
        acc = fma(f32(sum(c * v for c, v in zip(codes, part))), mul(scale, d), acc)
        if minimum is not None:
            acc = fma(minimum, mul(d, f32(sum(part))), acc)
        at += len(codes)
    return acc


def values_of(blocks):
    return [c * scale + (minimum or 0) for block in blocks for codes, scale, minimum in block for c in codes]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def dot_one(w, x):
    acc = 0.0
    for a, b in zip(w, x):
        acc = fma(a, b, acc)
    return acc


class Matrix:
    """A random weight: its text, the values of its rows, and its product in the one arithmetic."""

    def __init__(self, name, format, rows, columns, noise):
        self.name, self.quantised = name, format in QUANTISED
        element = f"!heddle.quant<{format}>" if self.quantised else format
        self.kind = f"tensor<{rows}x{columns}x{element}>"
        if self.quantised:
            read, elements, size, _ = QUANTISED[format]
            data = [[random_block(format, noise) for _ in range(columns // elements)] for _ in range(rows)]
            self.blocks = [[read(block) for block in row] for row in data]
            self.values = [values_of(row) for row in self.blocks]
            raw = b"".join(b"".join(row) for row in data)
            content = f"{hexadecimal(raw)} : tensor<{rows}x{columns // elements * size}xi8>"
        else:
            size = 1 / math.sqrt(columns)
            self.values = noise.rows(rows, columns, size)
            if format == "f16":
                self.values = each(self.values, f16)
            if format == "bf16":
                self.values = each(self.values, lambda x: struct.unpack("<f", struct.pack("<I", bits(x) & 0xFFFF0000))[0])
            pack = {"f32": lambda x: struct.pack("<f", x), "f16": lambda x: struct.pack("<e", x),
                    "bf16": lambda x: struct.pack("<H", bits(x) >> 16)}[format]
            content = f"{hexadecimal(b''.join(pack(x) for row in self.values for x in row))} : {self.kind}"
        self.text = f"heddle.weight @{name} : {self.kind}\ncheck.weight @{name} {content}\n"

    def get(self):
        return get(self.name, self.kind)

    def times(self, x):
        return [[dot(w, row) for w in self.values] for row in x]

    def times_one(self, x):
        if self.quantised:
            return [[dot_quantised(blocks, activations) for blocks in self.blocks] for activations in map(q8, x)]
        return [[dot_one(w, row) for w in self.values] for row in x]


def formats():
    text = ""
    for seed, format in enumerate([*FLOATS, *QUANTISED]):
        noise = Noise(10 + seed)
        columns = 256 if format.endswith("_k") else 64
        w = Matrix(format, format, 3, columns, noise)
        x = noise.rows(2, columns)
        text += w.text + test(f"linear_{format}", given("x", x) + w.get()
                              + f"  %y = heddle.linear %x weights(%{format}) : (tensor<?x{columns}xf32>, {w.kind}) -> tensor<?x3xf32>\n"
                              + near("y", w.times(x), WITHIN, "exact") + same_bits("y", w.times_one(x)))
        ids = [2, 0, 2]
        number = lambda c, scale, minimum: mul(c, scale) if minimum is None else fma(c, scale, minimum)
        rows_one = ([[number(c, s, m) for block in row for codes, s, m in block for c in codes] for row in w.blocks] if w.quantised
                    else w.values)
        scale = f32(1.7)
        text += test(f"embed_{format}", integers("ids", ids) + w.get()
                     + f"  %y = heddle.embed %ids, %{format} {{scale = 1.7 : f32}} : (tensor<?xi32>, {w.kind}) -> tensor<?x{columns}xf32>\n"
                     + near("y", [[v * scale for v in w.values[i]] for i in ids[:2]] + [[v * scale for v in w.values[2]]], WITHIN, "exact",
                            f"tensor<?x{columns}xf32>")
                     + same_bits("y", [[mul(v, scale) for v in rows_one[i]] for i in ids])) if format in ("f16", "q4_1", "q5_0") else ""
    return text


# ---- epilogues of products ----

def epilogues():
    noise = Noise(30)
    text, rows = "", "tensor<?x32xf32>"
    for kind in ("f16", "q5_1"):
        g, u, d = (Matrix(f"{role}_{kind}", kind, n, k, noise) for role, n, k in (("gate", 32, 32), ("up", 32, 32), ("down", 3, 32)))
        bg, bu, bd = noise.reals(32), noise.reals(32), noise.reals(3)
        x, r = noise.rows(2, 32), noise.rows(2, 3)
        scale = f32(0.22)
        text += g.text + u.text + d.text
        text += "".join(vector(f"{name}_{kind}", v) for name, v in (("bias_gate", bg), ("bias_up", bu), ("bias_down", bd)))
        one, wide = f"({rows}, {d.kind}) -> tensor<?x3xf32>", f"({rows}, {g.kind}, tensor<32xf32>) -> {rows}"
        down = d.times(x), d.times_one(x)
        # residual + scale·(x·W): what Granite's blocks end with.
        text += test(f"residual_of_scaled_{kind}", given("x", x) + given("r", r) + d.get()
                     + f"  %p = heddle.linear %x weights(%{d.name}) : {one}\n"
                     + "  %s = heddle.scale %p by 0.22 : (tensor<?x3xf32>) -> tensor<?x3xf32>\n"
                     + "  %y = heddle.add %r, %s : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>\n"
                     + near("y", pairs(r, down[0], lambda a, b: a + b * scale), WITHIN, "exact")
                     + same_bits("y", pairs(r, down[1], lambda a, b: add(a, mul(b, scale)))))
        text += test(f"bias_{kind}", given("x", x) + d.get() + get(f"bias_down_{kind}", "tensor<3xf32>")
                     + f"  %y = heddle.linear %x weights(%{d.name}) biases(%bias_down_{kind}) : ({rows}, {d.kind}, tensor<3xf32>) -> tensor<?x3xf32>\n"
                     + near("y", [[v + b for v, b in zip(row, bd)] for row in down[0]], WITHIN, "exact")
                     + same_bits("y", [[add(v, b) for v, b in zip(row, bd)] for row in down[1]]))
        # A gated feed-forward and one that is not, before their second product.
        biased = lambda m, bias: [[v + b for v, b in zip(row, bias)] for row in m.times(x)]
        biased_one = lambda m, bias: [[add(v, b) for v, b in zip(row, bias)] for row in m.times_one(x)]
        products = (given("x", x) + g.get() + u.get() + get(f"bias_gate_{kind}", "tensor<32xf32>") + get(f"bias_up_{kind}", "tensor<32xf32>")
                    + f"  %g = heddle.linear %x weights(%{g.name}) biases(%bias_gate_{kind}) : {wide}\n")
        for name, f in (("silu", silu), ("gelu_tanh", gelu)):
            activated = each(biased(g, bg), f)
            # In the one arithmetic the arguments differ by what quantising x costs: from its own products on.
            activated_one = each(biased_one(g, bg), f)
            text += test(f"gated_{name}_{kind}", products
                         + f"  %u = heddle.linear %x weights(%{u.name}) biases(%bias_up_{kind}) : {wide}\n"
                         + f"  %a = heddle.activate {name} %g : ({rows}) -> {rows}\n"
                         + f"  %y = heddle.mul %a, %u : ({rows}, {rows}) -> {rows}\n"
                         + near("y", pairs(activated, biased(u, bu), lambda a, b: a * b), "1.0e-8", "exact")
                         + near("y", pairs(activated_one, biased_one(u, bu), lambda a, b: a * b), "4.0e-6", "one"))
            text += test(f"activated_{name}_{kind}", products + f"  %y = heddle.activate {name} %g : ({rows}) -> {rows}\n"
                         + near("y", activated, "1.0e-8", "exact") + near("y", activated_one, "2.0e-6", "one"))
    return text


# ---- attention ----

def attend(q, keys, values, scale, cap=None, bias=None):
    scores = [scale * dot(q, k) for k in keys]
    if cap:
        scores = [cap * math.tanh(s / cap) for s in scores]
    if bias:
        scores = [s + b for s, b in zip(scores, bias)]
    top = max(scores)
    p = [math.exp(s - top) for s in scores]
    return [math.fsum(w * v[j] for w, v in zip(p, values)) / math.fsum(p) for j in range(len(values[0]))]


def heads_of(row, size):
    return [row[i:i + size] for i in range(0, len(row), size)]


def attention():
    heads, kv, size = 4, 2, 8
    noise = Noise(40)
    q, k, v = noise.rows(5, heads * size), noise.rows(5, kv * size), noise.rows(5, kv * size)
    bias = [noise.rows(5, 5) for _ in range(heads)]
    keep = lambda x: x

    def whole(visible, stored, cap=None, bias=None):
        """[T × heads·size]; visible(t) lists the keys of token t; `stored` is what the cache gives back of a number."""
        out = []
        for t in range(len(q)):
            row = []
            for h in range(heads):
                seen = visible(t)
                pick = lambda rows: [[stored(x) for x in heads_of(rows[s], size)[h * kv // heads]] for s in seen]
                row += attend(heads_of(q[t], size)[h], pick(k), pick(v), f32(0.35), cap, [bias[h][t][s] for s in seen] if bias else None)
            out.append(row)
        return out

    def case(name, words, visible, operands="", kinds="", before="", **how):
        inputs = given("q", q) + given("k", k) + given("v", v) + before
        # The one arithmetic rounds keys and values to f16; exp has its own rounding.
        return test(name, inputs
                    + f"  %y = heddle.attention {words[0]} query(%q) keys(%k) values(%v){operands} {{heads = {heads} : i64, kv_heads = {kv} : i64,"
                    f" head_dim = {size} : i64, scale = 0.35 : f32, {words[1]}}}\n"
                    f"      : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>{kinds}) -> tensor<?x32xf32>\n"
                    + near("y", whole(visible, keep, **how), WITHIN, "exact")
                    + near("y", whole(visible, f16, **how), "2.0e-6", "one"))

    everyone = lambda t: range(5)
    text = case("none", ("batch", "mask = #heddle<mask none>"), everyone)
    text += case("soft_cap", ("batch", "mask = #heddle<mask none>, soft_cap = 0.5 : f32"), everyone, cap=0.5)
    text += case("bias", ("batch", "mask = #heddle<mask none>"), everyone, " bias(%bias)", ", tensor<4x?x?xf32>",
                 given("bias", bias, "tensor<4x?x?xf32>"), bias=bias)
    # Two sequences in a step whose tokens alternate; their pages are apart.
    step = ("  check.batch {ids = array<i32: 1, 2, 3, 4, 5>, positions = array<i32: 0, 0, 1, 1, 2>, sequences = array<i32: 0, 1, 0, 1, 0>,\n"
            "      rows = array<i32: 4>, pages = array<i32: 3, 1>, page_width = 1 : i64}\n  %layer = arith.constant 1 : index\n")
    position, sequence = [0, 0, 1, 1, 2], [0, 1, 0, 1, 0]
    before = lambda t: [s for s in range(5) if sequence[s] == sequence[t] and position[s] <= position[t]]
    near_by = lambda t: [s for s in before(t) if position[s] > position[t] - 2]
    text = "heddle.state paged @kv layers 2 heads 4 kv_heads 2 head_dim 8\n" + text
    text += case("causal", ("batch", "mask = #heddle<mask causal>"), before, " state @kv layer(%layer)", ", index", step)
    text += case("window", ("batch", "mask = #heddle<mask window>, window = 2 : i64"), near_by, " state @kv layer(%layer)", ", index", step)
    return text


# ---- rows, and what is stored in 8 bits ----

def rows():
    noise = Noise(50)
    x = noise.rows(3, 64, 4.0)
    x[1][32:] = [0.0] * 32  # a block of zeros has no scale
    stored = lambda row: [c * d for codes, d in (q8(row[:32]) + (q8(row[32:]) if any(row[32:]) else [([0] * 32, 0.0)])) for c in codes]
    text = test("quantize", given("x", x) + "  %y = heddle.quantize %x : (tensor<?x64xf32>) -> tensor<?x64x!heddle.q8>\n"
                + near("y", x, "0.0", "exact", "tensor<?x64x!heddle.q8>")
                + near("y", [stored(row) for row in x], "0.0", "one", "tensor<?x64x!heddle.q8>"))
    small = [row[:4] for row in x]
    text += test("select_rows", given("x", small) + integers("rows", [2, 0, 0, 1])
                 + "  %y = heddle.select_rows %x, %rows : (tensor<?x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>\n"
                 + near("y", [small[i] for i in (2, 0, 0, 1)], "0.0"))
    return text


# ---- one row of each sequence ----

def pooling():
    """Three sequences, of three, one and two tokens."""
    noise, sequences = Noise(51), [0, 0, 0, 1, 2, 2]
    x, types = noise.rows(6, 48, 3.0), [0, 1, 1, 0, 0, 1]
    first, last = [0, 3, 4], [2, 3, 5]
    x[3] = [0.0] * 48  # has no length
    rows, list_ = "tensor<?x48xf32>", "tensor<?xi32>"
    batch = f"  check.batch {{sequences = array<i32: {', '.join(map(str, sequences))}>, types = array<i32: {', '.join(map(str, types))}>}}\n"
    head = batch + given("x", x) + f"  %f = heddle.batch first : {list_}\n  %l = heddle.batch last : {list_}\n"

    def mean(one):
        plus, by = (add, div) if one else (lambda a, b: a + b, lambda a, b: a / b)
        out = []
        for b, e in zip(first, last):
            sums = [0.0] * 48
            for row in x[b:e + 1]:
                sums = [plus(s, v) for s, v in zip(sums, row)]
            out.append([by(s, float(e - b + 1)) for s in sums])
        return out

    def length(row, eps, one):
        return max(sqrt(lanes(row, lambda partial, v: fma(v, v, partial))) if one else math.sqrt(sum(v * v for v in row)), eps)

    def unit(one):
        return [[(div if one else lambda a, b: a / b)(v, length(row, f32(1e-12), one)) for v in row] for row in x]

    table = noise.rows(2, 8)
    return (f"heddle.weight @kinds : {tensor(table, 'f32')}\ncheck.weight @kinds {reals(table)}\n"
            + test("mean_rows", head + f"  %y = heddle.mean_rows %x from %f to %l : ({rows}, {list_}, {list_}) -> {rows}\n"
                   + near("y", mean(False), WITHIN, "exact") + same_bits("y", mean(True)))
            + test("first_rows", head + f"  %y = heddle.select_rows %x, %f : ({rows}, {list_}) -> {rows}\n"
                   + same_bits("y", [x[i] for i in first]))
            + test("last_rows", head + f"  %y = heddle.select_rows %x, %l : ({rows}, {list_}) -> {rows}\n"
                   + same_bits("y", [x[i] for i in last]))
            + test("normalize", batch + given("x", x) + f"  %y = heddle.normalize %x eps 1.0e-12 : ({rows}) -> {rows}\n"
                   + near("y", unit(False), WITHIN, "exact") + same_bits("y", unit(True)))
            + test("types", batch + get("kinds", tensor(table, "f32")) + f"  %t = heddle.batch types : {list_}\n"
                   + f"  %y = heddle.embed %t, %kinds : ({list_}, {tensor(table, 'f32')}) -> tensor<?x8xf32>\n"
                   + same_bits("y", [table[i] for i in types])))


GRAPH = """// RUN: heddle-opt %s -heddle-run-checks=meaning=exact -o /dev/null
// What the fusions and the sharding make of it computes the same:
// RUN: heddle-opt %s -heddle-to-fused -heddle-run-checks -heddle-to-sharded -heddle-run-checks=ranks=1,2,3 -o /dev/null
"""
FUSED = "// RUN: heddle-opt %s -heddle-run-checks=ranks=1,2 -o /dev/null\n"
FILES = {"elementwise": (GRAPH, elementwise), "norms": (GRAPH, norms), "rope": (GRAPH, rope), "formats": (GRAPH, formats),
         "epilogues": (GRAPH, epilogues), "attention": (GRAPH, attention), "rows": (FUSED, rows),
         "pooling": (GRAPH, pooling)}


def main():
    stale = []
    for name, (run, make) in FILES.items():
        path = HERE / f"{name}.mlir"
        text = run + f"// Written by worked_out.py, which works these numbers out; edit that.\n\n{make()}"
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"tests/lit/check: {', '.join(stale)} not as worked_out.py writes them; run tests/lit/check/worked_out.py")


main()
