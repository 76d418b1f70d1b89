"""Matrix products and convolutions of bfloat16 and float16: parity with PyTorch, both gradients, on every way that this
machine has to compute them (pairs, and widening on load)."""

import os
import subprocess
import sys

import pytest
import swiftnet
import torch
from parity import compare, to_swiftnet, values

SIZES = [
    (1, 1, 1),
    (3, 5, 7),
    (12, 32, 64),
    (13, 33, 65),
    (100, 1, 77),
    (1, 100, 77),
    (129, 257, 63),
    (200, 300, 1000),
    (40, 50, 9000),
    (17, 31, 2),
    # A few rows, which read the weights where they lie.
    (1, 40, 64),
    (3, 50, 31),
    (2, 50, 33),
    (5, 33, 192),
    (8, 100, 128),
    (0, 3, 4),
    (3, 0, 4),
    (3, 4, 0),
]
NARROW = pytest.mark.parametrize("dtype", ["bfloat16", "float16"])


@NARROW
@pytest.mark.parametrize("m,n,k", SIZES)
def test_products(m, n, k, dtype):
    def matrix(*shape):
        return values(shape, dtype, len(shape) + shape[-1])

    def call(function, *arguments):
        compare(function, arguments, sums=True)

    call(lambda t, a, b: t.mm(a, b), matrix(m, k), matrix(k, n))
    call(lambda t, a, b: t.mm(a.t(), b), matrix(k, m), matrix(k, n))
    call(lambda t, a, b: t.mm(a, b.t()), matrix(m, k), matrix(n, k))
    call(lambda t, a, b: t.bmm(a, b), matrix(3, m, k), matrix(3, k, n))
    call(lambda t, a, b: t.matmul(a, b), matrix(2, 2, m, k), matrix(2, k, n))
    call(lambda t, *a: t.nn.functional.linear(*a), matrix(2, m, k), matrix(n, k), matrix(n))


@NARROW
def test_strided_products(dtype):
    a, b = values((61, 100), dtype, 1), values((97, 55), dtype, 2)
    compare(lambda t, a, b: t.mm(a[::2, 1::3], b[::3, ::2]), (a, b), sums=True)
    compare(lambda t, a, b: t.mm(a[1:, 1:98], b[:, 1:]), (a, b), sums=True)


@NARROW
def test_products_with_an_addend(dtype):
    """Rounded once: the product stays float32 until the addend joins it."""
    matrix, rows = values((70, 33), dtype, 1), values((33, 41), dtype, 2)
    addend, options = values((70, 41), dtype, 3), {"beta": 0.5, "alpha": 2}
    compare(lambda t, c, a, b: t.addmm(c, a, b, **options), (addend, matrix, rows), sums=True)
    compare(lambda t, c, a, b: t.addmm(c[:1], a, b), (addend, matrix, rows), sums=True)
    compare(lambda t, c, a, b: t.addmv(c[:, 0], a, b[:, 0], **options), (addend, matrix, rows), sums=True)
    stacks = (values((5, 7, 33), dtype, 4), values((5, 33, 6), dtype, 5))
    compare(lambda t, c, a, b: t.baddbmm(c, a, b, **options), (values((5, 7, 6), dtype, 6), *stacks), sums=True)
    compare(lambda t, c, a, b: t.addbmm(c, a, b, **options), (values((7, 6), dtype, 7), *stacks), sums=True)
    wide = values((70, 33), "float32", 1), values((33, 41), "float32", 2), values((70, 41), "float32", 3)
    kind = getattr(swiftnet, dtype)
    a, b, c = (swiftnet.tensor(v).to(kind) for v in wide)
    whole = (c.double() + a.double() @ b.double()).to(kind)
    assert (swiftnet.addmm(c, a, b) - whole).abs().max() <= 2 * swiftnet.finfo(kind).eps * whole.abs().max()


# input, weight, options
CONVOLUTIONS = [
    ((2, 16, 9, 9), (32, 16, 3, 3), {"padding": 1}),
    ((2, 20, 9, 11), (33, 20, 3, 3), {"padding": 1, "stride": 2}),
    ((2, 17, 9, 11), (19, 17, 3, 2), {"padding": (1, 2), "dilation": (2, 1)}),
    ((2, 34, 9, 11), (38, 17, 3, 3), {"padding": 1, "groups": 2}),
    ((2, 64, 14, 14), (300, 64, 1, 1), {}),
    ((2, 64, 14, 14), (70, 64, 1, 1), {"stride": 2}),
    ((3, 24, 40), (40, 24, 5), {"padding": 2}),
    ((2, 16, 5, 6, 7), (18, 16, 3, 3, 3), {"padding": 1}),
    ((9, 16, 2, 2), (16, 16, 3, 3), {"padding": 1}),
    ((2, 300, 5, 5), (20, 300, 3, 3), {"stride": 3}),
    ((2, 64, 17, 17), (64, 64, 3, 3), {"padding": 1}),
    ((2, 3, 20, 20), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((2, 32, 8, 8), (32, 1, 3, 3), {"padding": 1, "groups": 32}),
    ((0, 16, 8, 8), (16, 16, 3, 3), {}),
    # Of tiny images each position is a block of its own.
    ((65, 40, 2, 2), (37, 40, 3, 3), {"padding": 1}),
    ((520, 32, 2, 1), (33, 32, 3, 3), {"padding": 1}),
    ((64, 36, 4, 4), (70, 18, 3, 3), {"padding": 1, "stride": 2, "groups": 2}),
    ((70, 32, 3, 3), (48, 32, 5, 5), {"padding": 4, "dilation": 2}),
    # A few channels: rows of taps in pairs, of channels forward, of places in the weight's gradient. Odd and even numbers of
    # channels and of places in a line, one and several panels of outputs, empty taps and empty lines.
    ((2, 3, 22, 21), (40, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((3, 2, 9, 20), (33, 2, 3, 3), {"padding": 1}),
    ((2, 5, 7, 10), (6, 5, 3, 2), {"padding": (1, 0), "dilation": (2, 1)}),
    ((2, 8, 12, 27), (70, 8, 5, 4), {"stride": (1, 3), "padding": 2}),
    ((40, 1, 12, 16), (32, 1, 3, 3), {"padding": 1}),
    ((2, 3, 4, 6, 10), (20, 3, 3, 3, 3), {"padding": 1}),
    ((3, 4, 30), (17, 4, 5), {"padding": 2}),
    ((1, 3, 1, 2), (3, 3, 3, 3), {"padding": 1}),
    ((2, 3, 4, 1), (5, 3, 2, 2), {"padding": (1, 50), "stride": (1, 100)}),
    # Several blocks of images where these are widened block by block.
    ((23, 16, 60, 40), (20, 16, 3, 3), {"padding": 1, "stride": 2}),
]


@NARROW
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions(case, channels_last, dtype):
    x, weight, options = case

    def call(t, x, *rest):
        if channels_last:
            x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        return getattr(t.nn.functional, f"conv{x.dim() - 2}d")(x, *rest, **options)

    arguments = (values(x, dtype, 1), values(weight, dtype, 2, -0.3, 0.3), values(weight[:1], dtype, 3))
    compare(call, arguments, sums=True)


@NARROW
def test_transposed_convolution(dtype):
    arguments = (values((2, 18, 7, 6), dtype, 1), values((18, 20, 3, 3), dtype, 2, -0.3, 0.3))
    for bias in ((), (values((20,), dtype, 3),)):
        compare(lambda t, *a: t.nn.functional.conv_transpose2d(*a, stride=2, padding=1), arguments + bias, sums=True)


def test_padding_sees_no_neighbours():
    """Infinities beside a strided operand do not leak into the filled-up pairs and panels."""
    a = swiftnet.full((14, 9), float("inf"), dtype=swiftnet.bfloat16)
    a[:13, :7] = 1
    b = swiftnet.ones(7, 3, dtype=swiftnet.bfloat16)
    assert (a[:13, :7] @ b == 7).all()
    assert (b.t() @ a[:13, :7].t() == 7).all()


@pytest.mark.parametrize("channels,width", [(3, 16), (3, 15), (1, 12), (2, 16)])
def test_infinities_reach_only_those_who_see_them(channels, width):
    """A zero that fills up a pair is multiplied by no number of the image."""
    image = values((2, channels, 9, width), "bfloat16", 1)
    weight = values((34, channels, 3, 3), "bfloat16", 2)
    for corner in 0, width - 1:
        # Two of three columns of taps see it, and two of three rows. (PyTorch's own lets some reach further.)
        x, w = to_swiftnet(image), to_swiftnet(weight).requires_grad_()
        x[0, -1, 0, corner] = float("inf")
        out = swiftnet.nn.functional.conv2d(x, w, padding=1)
        out.backward(swiftnet.ones_like(out))
        for found in out, w.grad:
            assert found.float().isfinite().logical_not().sum() == 34 * 2 * 2


def test_autocast_uses_them():
    x, layer = swiftnet.randn(6, 32), swiftnet.nn.Linear(32, 5)
    with swiftnet.autocast("cpu", dtype=swiftnet.bfloat16):
        out = layer(x)
    assert out.dtype is swiftnet.bfloat16
    out.float().sum().backward()
    assert layer.weight.grad.dtype is swiftnet.float32


SAME = """
import swiftnet as t
t.manual_seed(3)
x = t.randn(4, 48, 15, 13).bfloat16().requires_grad_()
w = (t.randn(70, 48, 3, 3) / 20).bfloat16().requires_grad_()
a = t.randn(200, 3000).bfloat16().requires_grad_()
b = t.randn(3000, 90).bfloat16().requires_grad_()
y = t.nn.functional.conv2d(x, w, stride=2, padding=1)
z = a @ b
(y.float().square().sum() + z.float().square().sum()).backward()
for v in (y, z, x.grad, w.grad, a.grad, b.grad):
    print(hash(tuple(v.detach().float().flatten().tolist())))
"""


def results(**environment):
    environment = {**os.environ, "PYTHONHASHSEED": "0", **environment}
    return subprocess.run(
        [sys.executable, "-c", SAME], env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("isa", ["avx2", "avx512", "avx512_bf16"])
def test_threads_do_not_change_results(isa):
    one = results(SWIFTNET_NUM_THREADS="1", SWIFTNET_ISA=isa)
    assert one.count("\n") == 6
    assert one == results(SWIFTNET_NUM_THREADS="3", SWIFTNET_ISA=isa)


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_other_instruction_sets(isa):
    """The same tests with the kernels of other processors."""
    chosen = "products and (13 or 200 or strided) or convolutions and stride or transposed"
    command = [sys.executable, "-m", "pytest", "-q", "-x", __file__, "-k", chosen]
    done = subprocess.run(command, env={**os.environ, "SWIFTNET_ISA": isa}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_accuracy_of_long_sums():
    """Sums are float32: the only error of order 2^-8 is that of the last rounding, half a unit of 8 bits."""
    a, b = values((40, 5000), "bfloat16", 1), values((5000, 40), "bfloat16", 2)
    exact = a.double() @ b.double()
    ours = to_swiftnet(a) @ to_swiftnet(b)
    error = (torch.tensor(ours.float().tolist(), dtype=torch.float64) - exact).abs()
    assert (error <= exact.abs() * 2.0**-8 + 1e-2).all()
