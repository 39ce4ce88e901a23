"""numbers_of.py - the numbers of the random models: the same on every machine, and exact in F32, F16 and BF16 alike.

A weight is an integer from -126 to 126 (a sum of four uniform ones, so nearly normal) times a power of two. Eight bits hold it,
so one set of expected values serves all forms that store floating-point numbers.
"""
import array
import hashlib
import math

SPREAD = math.sqrt(4 * (64 * 64 - 1) / 12)  # standard deviation of the integers


class Tensor:
    """`shape` as in "rows, columns"; `steps` are integers and `step` what they are multiplied by. Floats from values()."""

    def __init__(self, shape, steps, step, shift=0.0):
        self.shape, self.steps, self.step, self.shift = tuple(shape), steps, step, shift

    def values(self):
        step, shift = self.step, self.shift
        return array.array("f", [shift + step * n for n in self.steps])

    def rows(self, order):
        """The rows of a matrix, or the elements of a vector, in this order. Of a stack of matrices: the matrices."""
        size = len(self.steps) // self.shape[0]
        steps = []
        for row in order:
            steps += self.steps[row * size:(row + 1) * size]
        return Tensor((len(order), *self.shape[1:]), steps, self.step, self.shift)

    def transposed(self):
        """Of a matrix, or each of a stack of matrices."""
        *stack, rows, columns = self.shape
        size, steps = rows * columns, []
        for start in range(0, len(self.steps), size):
            for column in range(columns):
                steps += self.steps[start + column:start + size:columns]
        return Tensor((*stack, columns, rows), steps, self.step, self.shift)

    def shifted(self, shift):
        return Tensor(self.shape, self.steps, self.step, self.shift + shift)


def joined(tensors):
    """Below one another. All have one step: parts of a tensor that other files hold fused are made with one."""
    assert len({(t.step, t.shift) for t in tensors}) == 1
    steps = [n for t in tensors for n in t.steps]
    return Tensor((sum(t.shape[0] for t in tensors), *tensors[0].shape[1:]), steps, tensors[0].step, tensors[0].shift)


def stacked(tensors):
    one = joined(tensors)
    return Tensor((len(tensors), *tensors[0].shape), one.steps, one.step, one.shift)


def near(deviation):
    """The power of two with which the integers come nearest to this standard deviation."""
    return 2.0 ** round(math.log2(deviation / SPREAD))


def random_bytes(seed, name, count):
    return hashlib.shake_256(f"{seed} {name}".encode()).digest(count)


class Numbers:
    """Tensors by name: a tensor depends on the seed and on its own name only."""

    def __init__(self, seed):
        self.seed = seed

    def steps(self, name, count):
        data = random_bytes(self.seed, name, 3 * count)
        # Three bytes hold four numbers of six bits.
        return [(a >> 2) + (b >> 2) + (c >> 2) + ((a & 3) << 4 | (b & 3) << 2 | c & 3) - 126
                for a, b, c in zip(data[0::3], data[1::3], data[2::3])]

    def matrix(self, name, rows, columns, gain=1.0):
        """Keeps the size of what it is multiplied with, times `gain`, as trained weights do."""
        return Tensor((rows, columns), self.steps(name, rows * columns), near(gain / math.sqrt(columns)))

    def vector(self, name, size, deviation):
        return Tensor((size,), self.steps(name, size), near(deviation))

    def norm(self, name, size, around=1.0):
        """Weights from a half to one and a half, in steps that BF16 holds."""
        return Tensor((size,), [n // 2 for n in self.steps(name, size)], 1 / 128, around)
