"""arrays.py - rows of logits in little room, what two of them differ by, and .npy files. Python's standard library only."""
import array
import ast
import base64
import math
import statistics
import struct
import sys


def packed(rows):
    """Rows of 16-bit steps between the row's least and largest logit: within half of 1/65535 of that range, about 0.0002."""
    codes, lows, highs = array.array("H"), [], []
    for row in rows:
        low, high = min(row), max(row)
        codes.extend(round((x - low) / (high - low) * 65535) for x in row)
        lows.append(round(low, 6))
        highs.append(round(high, 6))
    if sys.byteorder == "big":
        codes.byteswap()
    return {"low": lows, "high": highs, "codes": base64.b64encode(codes.tobytes()).decode()}


def unpacked(entry):
    codes = array.array("H", base64.b64decode(entry["codes"]))
    if sys.byteorder == "big":
        codes.byteswap()
    size = len(codes) // len(entry["low"])
    return [[low + (high - low) / 65535 * code for code in codes[i * size:(i + 1) * size]]
            for i, (low, high) in enumerate(zip(entry["low"], entry["high"]))]


def read_npy(path):
    """An f32 matrix as a list of rows."""
    with open(path, "rb") as file:
        data = file.read()
    size, = struct.unpack_from("<H", data, 8)
    header = ast.literal_eval(data[10:10 + size].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    rows, columns = header["shape"]
    values = array.array("f", data[10 + size:])
    if sys.byteorder == "big":
        values.byteswap()
    return [values[i * columns:(i + 1) * columns] for i in range(rows)]


def log_softmax(row):
    high = max(row)
    total = math.log(math.fsum(math.exp(x - high) for x in row)) + high
    return [x - total for x in row]


def divergences(reference, other):
    """Of each row KL(softmax(reference) || softmax(other)), in nats."""
    for p, q in zip(reference, other, strict=True):
        p, q = log_softmax(p), log_softmax(q)
        yield math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True))


def divergence(reference, other):
    """Their mean."""
    return math.fsum(divergences(reference, other)) / len(reference)


def mean_of_texts(texts):
    """The mean over texts of a text's mean, and its standard error: positions of one text are not independent."""
    means = [statistics.fmean(text) for text in texts]
    return {"kl": statistics.fmean(means), "error": statistics.stdev(means) / len(means) ** 0.5}


def largest(reference, other):
    """The largest difference of two logits."""
    return max(abs(a - b) for p, q in zip(reference, other, strict=True) for a, b in zip(p, q, strict=True))


def apart(reference, other):
    """Both measures, as expectations state them."""
    return {"kl": divergence(reference, other), "largest": largest(reference, other)}
