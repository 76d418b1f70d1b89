"""Evaluation of convolutions one behind the other: each thread takes some images through all of them. The numbers are
those of the plain way, whoever else reads what lies between, and whatever changes in the meantime."""

import threading

import numpy as np
import pytest
import swiftnet
import torch
from parity import to_torch


class Filters:
    """Convolutions with filters of their own, the same ones for both libraries."""

    def __init__(self, lib):
        self.lib, self.functional = lib, lib.nn.functional
        self.numbers = np.random.default_rng(0)
        self.weights = []

    def __call__(self, x, outputs, kernel=3, **options):
        shape = (outputs, x.shape[1] // options.get("groups", 1), kernel, kernel)
        weight = self.numbers.standard_normal(shape, dtype=np.float32) / np.sqrt(shape[1] * kernel**2)
        weight = (torch.tensor(weight) if self.lib is torch else swiftnet.tensor(weight.tolist())).to(x.dtype)
        self.weights.append(weight)
        return self.functional.conv2d(x, weight, padding=(kernel - 1) * options.get("dilation", 1) // 2, **options)


def row(conv, x):
    for outputs, kernel in ((24, 3), (16, 1), (24, 5)):
        x = conv(x, outputs, kernel).relu()
    return x


def block(conv, x, outputs, stride=1):
    y = conv(conv(x, 16, 1).relu(), 16, 3, stride=stride).relu()
    y = conv(y, outputs, 1)
    y += x if y.shape == x.shape else conv(x, outputs, 1, stride=stride)
    return y.relu()


def blocks(conv, x):
    x = conv.functional.max_pool2d(conv(x, 24, 7, stride=2).relu(), 3, 2, 1)
    x = block(conv, x, 48)
    x = block(conv, block(conv, x, 48), 48)
    return block(conv, x, 96, 2)


def everything_is_read(conv, x):
    read = []
    for outputs in (16, 24, 16):
        x = conv(x, outputs).relu()
        read.append(x)
    return read[::-1]


def two_branches(conv, x):
    x = conv(x, 24)
    left, right = conv(x, 16, 1), conv(conv(x.relu(), 16), 24)
    return [right, left, x]


def shortcut_first(conv, x):
    x = conv(x, 24)
    shortcut = conv(x, 24, 1)
    y = conv(x, 24)
    return conv(y + shortcut, 8)


def twice_the_same(conv, x):
    y = conv(x, 16)
    z = conv(y, 16)
    return [z + y, y + y, conv(z, 16) + z]


def other_views(conv, x):
    y = conv(x, 32)
    return [conv(y[:, 3:19], 16), conv(y[1:], 16), y.flatten(1) * 2, conv(y.transpose(2, 3), 16)]


def beside_its_transpose(conv, x):
    y = conv(x[:, :, :150, :150], 16)
    return [y + 2 * y.transpose(2, 3), conv(y, 16) * y.transpose(2, 3)]


def other_operations(conv, x):
    y = conv.functional.leaky_relu(conv(conv(x, 16), 24), 0.1)
    z = conv.functional.hardtanh(conv(y, 24, groups=4), -1, 1) * conv(y, 24, 1).sigmoid()
    z = conv.functional.max_pool2d(z + y.mean((2, 3), keepdim=True), 3, 1, 1)
    return conv(conv(z, 16, 3, dilation=2), 24, 3, groups=2)


def many_in_a_row(conv, x):
    x = conv(x, 16)
    for _ in range(40):
        x = conv(x, 16, 1)
    return x


def in_place(conv, x):
    x = conv(x, 16)
    y = conv(x, 16)
    x.mul_(2)
    z = conv(conv(y, 24) + 1, 16)
    y[:, ::2] = 0
    return [x, y, z]


def pools(conv, x):
    pool = conv.functional.max_pool2d
    y = pool(pool(conv(x, 16), 2, 1), 3, 2)
    return [pool(conv(y, 16), 2, 1), y]


CHAINS = [
    row, blocks, everything_is_read, two_branches, shortcut_first, twice_the_same, other_views, beside_its_transpose,
    other_operations, many_in_a_row, in_place, pools,
]  # fmt: skip


def evaluated(lib, chain, x):
    with lib.no_grad():
        found = chain(Filters(lib), torch.tensor(x) if lib is torch else swiftnet.tensor(x.tolist()))
    return [t if lib is torch else to_torch(t) for t in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize("images", [1, 2, 5])
@pytest.mark.parametrize("chain", CHAINS, ids=lambda f: f.__name__)
def test_chains(chain, images):
    x = np.random.default_rng(images).standard_normal((images, 3, 150, 170)).astype(np.float32)
    expected = evaluated(torch, chain, x)
    for actual, theirs in zip(evaluated(swiftnet, chain, x), expected, strict=True):
        torch.testing.assert_close(actual, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("chain", [row, blocks, two_branches], ids=lambda f: f.__name__)
def test_half_precision(chain, dtype):
    x = np.random.default_rng(3).standard_normal((3, 3, 230, 250)).astype(np.float32)
    expected = evaluated(torch, lambda conv, x: chain(conv, x.to(getattr(torch, dtype))), x)
    found = evaluated(swiftnet, lambda conv, x: chain(conv, x.to(getattr(swiftnet, dtype))), x)
    for actual, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(actual.float(), theirs.float(), rtol=4e-2, atol=4e-2)


@pytest.mark.parametrize("chain", [blocks, two_branches], ids=lambda f: f.__name__)
def test_any_number_of_threads(chain):
    x = np.random.default_rng(1).standard_normal((5, 3, 150, 170)).astype(np.float32)
    before, found = swiftnet.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            swiftnet.set_num_threads(threads)
            found.append(evaluated(swiftnet, chain, x))
    finally:
        swiftnet.set_num_threads(before)
    for others in found[1:]:
        for first, other in zip(found[0], others, strict=True):
            assert torch.equal(first, other)


def test_images_are_independent():
    """A batch gives the same as its images, but for the order of sums where convolutions are computed in another way."""
    x = np.random.default_rng(2).standard_normal((5, 3, 150, 170)).astype(np.float32)
    (together,) = evaluated(swiftnet, blocks, x)
    for image in range(5):
        (alone,) = evaluated(swiftnet, blocks, x[image : image + 1])
        torch.testing.assert_close(alone[0], together[image], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changed", ["input", "first", "last"])
def test_changes_before_anybody_reads(changed):
    x = swiftnet.randn(5, 3, 150, 170)
    with swiftnet.no_grad():
        expected = row(Filters(swiftnet), x.clone()).clone()
        conv = Filters(swiftnet)
        y = row(conv, x)
        {"input": x, "first": conv.weights[0], "last": conv.weights[2]}[changed].zero_()
        assert (y == expected).all()


def test_changes_by_another_thread():
    for step in range(40):
        x = swiftnet.randn(6, 3, 150, 170)
        with swiftnet.no_grad():
            expected = blocks(Filters(swiftnet), x.clone()).numpy()
            conv = Filters(swiftnet)
            y = blocks(conv, x)
        change = threading.Timer(0.001 * (step % 8), (x, conv.weights[1], conv.weights[-1])[step % 3].zero_)
        change.start()
        actual = y.numpy()
        change.join()
        np.testing.assert_array_equal(actual, expected)


def test_several_readers_at_once():
    """Threads that read different results of the same convolutions, at the same time."""
    x = np.random.default_rng(1).standard_normal((5, 3, 150, 170)).astype(np.float32)
    expected = evaluated(swiftnet, two_branches, x)
    for _ in range(10):
        with swiftnet.no_grad():
            results = two_branches(Filters(swiftnet), swiftnet.tensor(x.tolist()))
        found = [None] * 3

        def read(i, results=results, found=found):
            found[i] = to_torch(results[i])

        readers = [threading.Thread(target=read, args=(i,)) for i in range(3)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        for actual, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(actual, theirs, rtol=1e-5, atol=1e-5)


def peak(chain, x):
    swiftnet.memory.empty()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    with swiftnet.no_grad():
        results = chain(Filters(swiftnet), x)
        [r.sum().item() for r in (results if isinstance(results, list) else [results])]
    return swiftnet.memory.peak() - before


def test_memory():
    """What lies between is never there for all images; what others read is there once."""
    x = swiftnet.randn(32, 8, 150, 170)
    step = 32 * 16 * 150 * 170 * 4

    def several(conv, x):
        return conv(conv(conv(x, 16).relu(), 16).relu(), 16)

    assert peak(several, x) < 1.5 * step

    def with_one_kept(conv, x):
        y = conv(conv(x, 16).relu(), 16)
        return [conv(y, 16), y]

    assert peak(with_one_kept, x) < 2.5 * step


def test_nothing_is_computed_twice():
    """Whoever reads a result in the middle after the last one finds it there, and needs no memory for it."""
    x = swiftnet.randn(5, 3, 150, 170)
    with swiftnet.no_grad():
        conv = Filters(swiftnet)
        first = conv(x, 16)
        second = conv(first, 16)
        third = conv(second, 16)
        third.sum().item()
        before = swiftnet.memory.statistics()["live"]
        swiftnet.memory.reset_peak()
        assert (first.sum() + second.sum()).isfinite()
        assert swiftnet.memory.peak() - before < first.numel()
