"""Random chains of operations on maps: results and gradients beside PyTorch's.

What one operation computes, other tests know. Here operations meet that wait for each other, join into one pass, lie in
different orders of memory, read what is changed in place behind them, or run backward together.
"""

import dataclasses
import math
import random

import numpy as np
import pytest
import swiftnet
import torch

# Whose result may or may not be the operand's memory, depending on an order of memory that the library chooses.
REARRANGING = ("channels_last", "contiguous", "flatten", "linear")
VIEWS = ("slice", "narrow", "permute", "expand")
IN_PLACE = ("add_", "mul_", "relu_")


@dataclasses.dataclass
class Step:
    """An operation on an earlier result; `other` is a second one."""

    kind: str
    source: int
    arguments: tuple = ()
    other: int = 0


class Program:
    """A list of steps that depends on the seed alone, and the input."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numbers = np.random.RandomState(seed)
        dimensions = self.random.choice([2, 2, 2, 3])
        sizes = [self.random.choice([1, 2, 5, 8, 13, 17, 20]) for _ in range(dimensions)]
        if self.random.random() < 0.4:
            sizes[-2:] = [self.random.choice([13, 20, 31])] * 2
        shape = (self.random.choice([1, 2, 3, 5]), self.random.choice([1, 3, 4, 8, 16, 17, 32]), *sizes)
        self.input = self.values(*shape)
        self.is_channels_last = self.random.random() < 0.6
        self.is_recorded = self.random.random() < 0.75
        self.shapes = [shape]
        # Results that share memory have the same owner; of some owners it is not known who shares it.
        self.owners = [0]
        self.unclear = set()
        self.steps = []
        for _ in range(self.random.randint(4, 14)):
            self.add_step()

    def values(self, *shape):
        return self.numbers.randn(*shape).astype(np.float32)

    def add_step(self):
        last = len(self.shapes) - 1
        source = self.random.randrange(last + 1) if self.random.random() < 0.35 else last
        shape = self.shapes[source]
        kind = self.random.choice(KINDS)
        if kind in IN_PLACE and (self.owners[source] in self.unclear or source == 0):
            return
        made = getattr(self, f"make_{kind}", self.make_elementwise)(source, shape)
        if made is None:
            return
        step, result = made
        step.kind = kind
        if math.prod(result) > 2_000_000:
            return
        owner = self.owners[source] if kind in REARRANGING + VIEWS + IN_PLACE else len(self.shapes)
        if kind in REARRANGING:
            self.unclear.add(owner)
        self.steps.append(step)
        self.shapes.append(tuple(result))
        self.owners.append(owner)

    def make_elementwise(self, source, shape):
        return Step("", source, (self.random.choice([0.5, 2.0, -1.0]),)), shape

    def make_convolution(self, source, shape):
        kernel, stride = self.random.choice([1, 3]), self.random.choice([1, 1, 2])
        padding = self.random.choice([0, 1]) if kernel == 3 else 0
        if len(shape) < 4 or any(n + 2 * padding < kernel for n in shape[2:]):
            return None
        channels = self.random.choice([1, 4, 8, 16, 24, 32])
        weight = 0.3 * self.values(channels, shape[1], *[kernel] * (len(shape) - 2))
        bias = self.values(channels) if self.random.random() < 0.5 else None
        sizes = [(n + 2 * padding - kernel) // stride + 1 for n in shape[2:]]
        return Step("", source, (weight, bias, stride, padding)), (shape[0], channels, *sizes)

    def make_batch_norm(self, source, shape):
        # PyTorch's own gradient in evaluation is wrong for operands that are not dense in one of its two orders.
        if len(shape) < 4 or math.prod(shape) // shape[1] < 8:
            return None
        training = self.random.random() < 0.6
        numbers = [self.values(shape[1]) for _ in range(3)] + [0.5 + abs(self.values(shape[1]))]
        return Step("", source, (training, *numbers)), shape

    def make_pool(self, source, shape):
        if len(shape) < 4 or any(n < 2 for n in shape[2:]):
            return None
        stride = self.random.choice([1, 2])
        return Step("", source, (stride,)), (*shape[:2], *[(n - 2) // stride + 1 for n in shape[2:]])

    make_max_pool = make_average_pool = make_pool

    def make_sum_of_two(self, source, shape):
        same = [i for i, other in enumerate(self.shapes) if other == shape]
        return Step("", source, other=self.random.choice(same)), shape

    make_where = make_sum_of_two

    def make_with_mirrored(self, source, shape):
        axes = range(len(shape))
        pairs = [(a, b) for a in axes for b in axes if a < b and shape[a] == shape[b] > 1]
        return (Step("", source, self.random.choice(pairs)), shape) if pairs else None

    def make_with_shifted(self, source, shape):
        axis = self.random.randrange(len(shape))
        if shape[axis] < 2:
            return None
        return Step("", source, (axis,)), (*shape[:axis], shape[axis] - 1, *shape[axis + 1 :])

    def make_cat(self, source, shape):
        def fits(other):
            return len(other) == len(shape) and other[0] == shape[0] and other[2:] == shape[2:]

        other = self.random.choice([i for i, other in enumerate(self.shapes) if fits(other)])
        return Step("", source, other=other), (shape[0], shape[1] + self.shapes[other][1], *shape[2:])

    def make_slice(self, source, shape):
        first = self.random.randrange(shape[1])
        end = self.random.randint(first + 1, shape[1])
        return Step("", source, (first, end)), (shape[0], end - first, *shape[2:])

    def make_narrow(self, source, shape):
        axis = self.random.randrange(len(shape))
        first = self.random.randrange(shape[axis])
        count = self.random.randint(1, shape[axis] - first)
        return Step("", source, (axis, first, count)), (*shape[:axis], count, *shape[axis + 1 :])

    def make_permute(self, source, shape):
        order = self.random.sample(range(len(shape)), len(shape))
        return Step("", source, tuple(order)), [shape[axis] for axis in order]

    def make_expand(self, source, shape):
        if shape[1] != 1:
            return None
        # An expanded tensor cannot be written to.
        self.unclear.add(self.owners[source])
        return Step("", source, (shape[0], 3, *shape[2:])), (shape[0], 3, *shape[2:])

    def make_flatten(self, source, shape):
        return Step("", source), (shape[0], math.prod(shape[1:]))

    def make_linear(self, source, shape):
        return Step("", source, (0.1 * self.values(5, math.prod(shape[1:])),)), (shape[0], 5)

    def make_sum(self, source, shape):
        axis = self.random.randrange(len(shape))
        return Step("", source, (axis,)), [1 if d == axis else n for d, n in enumerate(shape)]


def channels_last(library, x):
    formats = {4: library.channels_last, 5: library.channels_last_3d}
    return x.contiguous(memory_format=formats[x.dim()]) if x.dim() in formats else x.contiguous()


class Run:
    """A program's run on one library."""

    def __init__(self, library, program, dtype="float32"):
        self.library, self.functional = library, library.nn.functional
        self.dtype = getattr(library, dtype)
        self.leaves = []
        with library.set_grad_enabled(program.is_recorded):
            x = self.leaf(program.input) * 1.0
            self.results = [channels_last(library, x) if program.is_channels_last else x]
            for step in program.steps:
                self.results.append(getattr(self, step.kind)(self.results[step.source], step))
            loss = (self.results[-1] * 1.0).pow(2).mean() + self.results[len(self.results) // 2].mean()
            # Copies: what follows may change the results.
            self.values = [np.array(result.detach().numpy()) for result in [*self.results, loss]]
            if program.is_recorded:
                loss.backward()
        self.gradients = [None if leaf.grad is None else leaf.grad.numpy() for leaf in self.leaves]

    def tensor(self, values):
        return self.library.tensor(values.copy(), dtype=self.dtype)

    def leaf(self, values):
        self.leaves.append(self.tensor(values).requires_grad_())
        return self.leaves[-1]

    def for_volumes(self, name, x):
        return getattr(self.functional, f"{name}{x.dim() - 2}d")

    def convolution(self, x, step):
        weight, bias, stride, padding = step.arguments
        bias = None if bias is None else self.leaf(bias)
        return self.for_volumes("conv", x)(x, self.leaf(weight), bias, stride=stride, padding=padding)

    def batch_norm(self, x, step):
        training, weight, bias, mean, variance = step.arguments
        x = x if training else channels_last(self.library, x)
        statistics = self.tensor(mean), self.tensor(variance)
        return self.functional.batch_norm(x, *statistics, self.leaf(weight), self.leaf(bias), training=training)

    def max_pool(self, x, step):
        return self.for_volumes("max_pool", x)(x, 2, *step.arguments)

    def average_pool(self, x, step):
        return self.for_volumes("avg_pool", x)(x, 2, *step.arguments)

    def sum_of_two(self, x, step):
        return x + self.results[step.other]

    def where(self, x, step):
        other = self.results[step.other]
        return self.library.where(x > other, x, other * 0.5)

    def cat(self, x, step):
        return self.library.cat([x, self.results[step.other]], 1)

    def slice(self, x, step):
        first, end = step.arguments
        return x[:, first:end]

    def narrow(self, x, step):
        return x.narrow(*step.arguments)

    def permute(self, x, step):
        return x.permute(*step.arguments)

    def expand(self, x, step):
        return x.expand(*step.arguments)

    def flatten(self, x, step):
        return x.reshape(x.shape[0], -1)

    def linear(self, x, step):
        return self.functional.linear(x.flatten(1), self.leaf(*step.arguments))

    def sum(self, x, step):
        return x.sum(*step.arguments, keepdim=True)

    def channels_last(self, x, step):
        return channels_last(self.library, x)

    def contiguous(self, x, step):
        return x.contiguous()

    def clone(self, x, step):
        return x.clone()

    def relu(self, x, step):
        return self.functional.relu(x)

    def leaky_relu(self, x, step):
        return self.functional.leaky_relu(x, 0.1)

    def dropout(self, x, step):
        return self.functional.dropout(x, 0.3, training=False) * 0.9

    def sigmoid(self, x, step):
        return x.sigmoid()

    def squared_tanh(self, x, step):
        return x.tanh() ** 2

    def times(self, x, step):
        return x * step.arguments[0]

    def plus(self, x, step):
        return x + step.arguments[0]

    def masked(self, x, step):
        return x * (x > 0).to(x.dtype)

    def with_detached(self, x, step):
        return x + x.detach()

    def with_mirrored(self, x, step):
        return x - x.transpose(*step.arguments)

    def with_shifted(self, x, step):
        (axis,) = step.arguments
        return x.narrow(axis, 0, x.shape[axis] - 1) * x.narrow(axis, 1, x.shape[axis] - 1)

    def with_reordered(self, x, step):
        reordered = x.reshape(x.shape[::-1]).permute(*reversed(range(x.dim())))
        return x * reordered

    def add_(self, x, step):
        return x.add_(step.arguments[0])

    def mul_(self, x, step):
        return x.mul_(step.arguments[0])

    def relu_(self, x, step):
        return self.functional.relu(x, inplace=True)

    def assigned(self, x, step):
        x = x.clone()
        x[:, 0] = step.arguments[0]
        return x


KINDS = [name for name in vars(Run) if name not in ("tensor", "leaf", "for_volumes") and not name.startswith("__")]


def run(*arguments):
    """The run, or the error that it ends with."""
    try:
        return Run(*arguments)
    except RuntimeError as error:
        return error


def assert_close(actual, expected, exact, what):
    """Within some times PyTorch's own error against float64, or a little of the largest element."""
    for index, (a, b, reference) in enumerate(zip(actual, expected, exact, strict=True)):
        assert (a is None) == (b is None), f"{what} {index}"
        if a is not None:
            assert a.shape == b.shape, f"{what} {index}: {a.shape}, {b.shape}"
            assert np.array_equal(np.isnan(a), np.isnan(b)), f"{what} {index}"
            error = np.nanmax(abs(a - reference), initial=0)
            own = np.nanmax(abs(b - reference), initial=0)
            largest = np.nanmax(abs(reference), initial=0)
            assert error <= max(30 * own, 1e-4 * largest, 1e-7), f"{what} {index}: {error}, PyTorch {own}"


@pytest.mark.parametrize("first", range(0, 400, 20))
def test_like_pytorch(first):
    for seed in range(first, first + 20):
        program = Program(seed)
        actual, expected, exact = (
            run(swiftnet, program),
            run(torch, program),
            run(torch, program, "float64"),
        )
        label = f"seed {seed}: {[(step.kind, step.source, step.other) for step in program.steps]}"
        if isinstance(expected, RuntimeError):
            # swiftnet may not need what has been changed in place.
            assert isinstance(actual, RuntimeError) or "modified by an inplace" in str(expected), label
            continue
        assert not isinstance(actual, RuntimeError), f"{label}: {actual}"
        assert_close(actual.values, expected.values, exact.values, f"{label}: result")
        assert_close(actual.gradients, expected.gradients, exact.gradients, f"{label}: gradient")
