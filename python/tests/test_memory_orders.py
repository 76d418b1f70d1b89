"""Elementwise operations on operands that lie in memory in different orders, with each other and with the result: rows
and columns are exchanged tile by tile, or operands are copied first. The numbers are those of any other order."""

import itertools

import numpy as np
import pytest
import swiftnet
import torch
from parity import to_torch

# Sizes of which some make rows and columns that are exchanged tile by tile, and some do not divide a tile.
SHAPES = [(3, 16, 20, 21), (2, 48, 17, 20), (7, 33, 65), (4, 70, 40), (2, 4, 9, 11, 23), (17, 1025)]
DTYPES = ["float32", "float64", "bfloat16", "float16", "int32", "int64", "uint8", "bool"]


def laid_out(m, x, order, gap):
    """The values in memory in an order of dimensions, with unused columns between them if `gap`."""
    back = np.argsort(order).tolist()
    y = x.permute(order)
    if gap:
        room = m.zeros((*y.shape[:-1], y.shape[-1] + gap), dtype=y.dtype)
        room[..., :-gap] = y
        return room[..., :-gap].permute(back)
    return y.contiguous().permute(back)


def operands(m, shape, dtypes, orders, gaps):
    generator = torch.Generator().manual_seed(len(shape))
    for dtype, order, gap in zip(dtypes, orders, gaps, strict=True):
        x = torch.randint(0, 9, shape, generator=generator)
        x = m.tensor(x.numpy()) if m is swiftnet else x
        yield laid_out(m, x.to(getattr(m, dtype)), list(order), gap)


def some_orders(rank, count):
    every = list(itertools.permutations(range(rank)))
    return [every[0], every[-1], *every[1 : -1 : max(1, len(every) // count)]][:count]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("second", DTYPES)
def test_two_operands(shape, second):
    for first in ("float32", second):
        for orders in itertools.product(some_orders(len(shape), 3), repeat=2):
            for gaps in ((0, 0), (3, 0)):
                results = []
                for m in (torch, swiftnet):
                    a, b = operands(m, shape, (first, second), orders, gaps)
                    results.append(((a + b) * b, m.maximum(a, b)))
                for expected, actual in zip(*results, strict=True):
                    assert to_torch(actual).equal(expected), (first, orders, gaps)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32"])
def test_results_in_another_order(shape, dtype):
    """Operands agree, the result does not: copies, sums in place, and results of a chain that waits."""
    for source, target in itertools.permutations(some_orders(len(shape), 3), 2):
        for gaps in ((0, 0, 0), (0, 0, 3), (2, 0, 0)):
            results = []
            for m in (torch, swiftnet):
                a, b, c = operands(m, shape, (dtype, "bool", dtype), (source, source, target), gaps)
                chain = (a + 3) * b - a
                row = a.select(0, 0).contiguous()
                copy = c.clone().copy_(chain)
                results.append((c + 0, chain.contiguous(), copy, c.add_(chain), (chain + row).contiguous()))
            for expected, actual in zip(*results, strict=True):
                assert to_torch(actual).equal(expected), (source, target, gaps)


def test_channels_beside_maps():
    """Numbers of channels that are added to maps in either order, with results in the other."""
    for channels in (3, 16, 40, 64, 65, 300):
        results = []
        for m in (torch, swiftnet):
            x = m.arange(2 * channels * 35 * 34, dtype=m.float32).reshape(2, channels, 35, 34) % 97
            scale = m.arange(channels, dtype=m.float32).reshape(1, channels, 1, 1) % 7
            last = x.contiguous(memory_format=m.channels_last)
            results.append([(y * scale + scale).contiguous() for y in (x, last)])
            results[-1] += [(y * scale - y).contiguous(memory_format=m.channels_last) for y in (x, last)]
        for expected, actual in zip(*results, strict=True):
            assert to_torch(actual).equal(expected), channels


RESIZED = {
    "bilinear": lambda m, x: m.nn.functional.interpolate(x, size=(7, 4), mode="bilinear"),
    "bicubic": lambda m, x: m.nn.functional.interpolate(x, size=(7, 4), mode="bicubic"),
    "nearest": lambda m, x: m.nn.functional.interpolate(x, scale_factor=2),
    "zeros": lambda m, x: m.nn.functional.pad(x, (1, 2, 0, 1)),
    "replicated": lambda m, x: m.nn.functional.pad(x, (1, 0, 2, 1), mode="replicate"),
    "mirrored": lambda m, x: m.nn.functional.pad(x, (1, 0, 2, 1) if x.shape[2] > 2 else (0,) * 4, mode="reflect"),
}


@pytest.mark.parametrize("name", RESIZED)
def test_maps_of_another_size_keep_their_order(name):
    """Slices of channels and of lines too, and single positions, whose order only strides tell."""
    results = []
    for m in (torch, swiftnet):
        x = m.arange(2 * 8 * 6 * 5, dtype=m.float64).reshape(2, 8, 6, 5)
        last = x.contiguous(memory_format=m.channels_last)
        one = x[:, :, :1, :1].contiguous()
        views = [x, x[:, 2:5], last, last[:, 2:5], last[:, :, 1:5], one, one.contiguous(memory_format=m.channels_last)]
        found = []
        for v in views:
            v = v.detach().requires_grad_()
            y = RESIZED[name](m, v)
            (y**2).sum().backward()
            found.append((y.stride(), y.detach(), v.grad))
            RESIZED[name](m, v).relu_().detach_()
        results.append(found)
    for (expected_order, *expected), (order, *actual) in zip(*results, strict=True):
        assert tuple(order) == tuple(expected_order)
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a.numpy(), e.numpy(), rtol=1e-12, atol=1e-9)
