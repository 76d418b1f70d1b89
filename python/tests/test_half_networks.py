"""Chains of layers in half precision, as networks have them, against float64 on the same rounded numbers."""

import numpy as np
import pytest
import swiftnet
import torch
from swiftnet import nn

DTYPES = {"bfloat16": 2**-8, "float16": 2**-11}


def pair(shape, dtype, seed, scale=1.0):
    """The same numbers, rounded to the dtype: for swiftnet in it, for PyTorch in float64."""
    values = np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32) * scale
    reference = torch.tensor(values).to(getattr(torch, dtype)).double()
    return swiftnet.tensor(reference.float().numpy()).to(getattr(swiftnet, dtype)), reference


def check(ours, reference, allowed, what):
    ours, reference = ours.detach().float().numpy(), reference.detach().float().numpy()
    assert ours.shape == reference.shape, what
    assert np.isfinite(ours).all(), what
    error = np.abs(ours - reference).max() / max(np.abs(reference).max(), 1e-30)
    assert error <= allowed, f"{what}: {error}"


def batch_norm(channels, dtype, double):
    """Two modules with the same numbers; parameters of ours are in the dtype if it is not None."""
    ours, theirs = nn.BatchNorm2d(channels), torch.nn.BatchNorm2d(channels).double()
    for index, name in enumerate(("weight", "bias", "running_mean", "running_var")):
        values, reference = pair((channels,), dtype, 20 + index)
        if name == "running_var":
            values, reference = values.abs() + 0.5, reference.abs() + 0.5
        with swiftnet.no_grad():
            getattr(ours, name).copy_(values.float())
        with torch.no_grad():
            getattr(theirs, name).copy_(torch.tensor(getattr(ours, name).detach().numpy()).double())
    return (ours.to(getattr(swiftnet, dtype)) if double else ours), theirs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "inputs, outputs, size, options",
    [
        (64, 96, 17, {"kernel_size": 1}),
        (32, 64, 20, {"kernel_size": 3, "padding": 1}),
        (64, 64, 14, {"kernel_size": 3, "padding": 1, "stride": 2}),
        (17, 40, 21, {"kernel_size": 1}),
        (3, 32, 31, {"kernel_size": 7, "padding": 3, "stride": 2}),
        (64, 64, 16, {"kernel_size": 3, "padding": 1, "groups": 64}),
        (20, 24, 25, {"kernel_size": 5, "padding": 2}),
    ],
)
def test_evaluation(dtype, channels_last, inputs, outputs, size, options):
    """Convolution, batch normalisation, residual and ReLU, done as one."""
    x, x64 = pair((5, inputs, size, size), dtype, 1)
    if channels_last:
        x = x.contiguous(memory_format=swiftnet.channels_last)
    conv, conv64 = nn.Conv2d(inputs, outputs, **options), torch.nn.Conv2d(inputs, outputs, **options).double()
    w, w64 = pair(tuple(conv64.weight.shape), dtype, 2, 0.2)
    b, b64 = pair((outputs,), dtype, 3)
    with swiftnet.no_grad(), torch.no_grad():
        conv.weight.copy_(w.float())
        conv.bias.copy_(b.float())
        conv64.weight.copy_(w64)
        conv64.bias.copy_(b64)
    conv = conv.to(getattr(swiftnet, dtype))
    norm, norm64 = batch_norm(outputs, dtype, True)
    with swiftnet.no_grad(), torch.no_grad():
        y64 = norm64.eval()(conv64(x64))
        r, r64 = pair(tuple(y64.shape), dtype, 4)
        for relu in (False, True):
            for residual in (False, True):
                y = norm.eval()(conv(x))
                expected = y64
                if residual:
                    y, expected = y + r.contiguous(memory_format=swiftnet.channels_last), expected + r64
                if relu:
                    y, expected = nn.functional.relu(y), expected.relu()
                assert y.dtype == getattr(swiftnet, dtype)
                check(y, expected, 2.5 * DTYPES[dtype], f"relu {relu}, residual {residual}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", [(4, 32, 14, 15), (3, 37, 13, 12), (6, 5, 3, 3)])
def test_batch_norm_training(dtype, double, channels_last, shape):
    """Normalisation by the batch, then a sum and ReLUs: results, statistics and gradients."""
    x, x64 = pair(shape, dtype, 1)
    r, r64 = pair(shape, dtype, 2)
    g, g64 = pair(shape, dtype, 3)
    if channels_last:
        x, r, g = (t.contiguous(memory_format=swiftnet.channels_last) for t in (x, r, g))
    norm, norm64 = batch_norm(shape[1], dtype, double)
    for t in (x, r, x64, r64):
        t.requires_grad_(True)
    for steps in ("plain", "relu", "residual", "in place"):
        for t in (x, r, x64, r64, *norm.parameters(), *norm64.parameters()):
            t.grad = None
        y, y64 = norm.train()(x), norm64.train()(x64)
        if steps == "residual":
            y, y64 = y + r, y64 + r64
        if steps == "in place":
            y, y64 = nn.functional.relu(y, inplace=True), torch.relu(y64)
        elif steps != "plain":
            y, y64 = nn.functional.relu(y), torch.relu(y64)
        assert y.dtype == getattr(swiftnet, dtype)
        check(y, y64, 2.5 * DTYPES[dtype], steps)
        y.backward(g)
        y64.backward(g64)
        # Where a rounded result is zero or not is another matter for a few elements; the largest error tells nothing.
        for name, ours, theirs in [("x", x, x64), ("r", r, r64)]:
            if theirs.grad is None:
                continue
            difference = np.abs(ours.grad.float().numpy() - theirs.grad.float().numpy())
            assert np.median(difference) <= 4 * DTYPES[dtype] * np.abs(theirs.grad.numpy()).max(), (steps, name)
            assert (difference > 8 * DTYPES[dtype] * np.abs(theirs.grad.numpy()).max()).mean() < 0.01, (steps, name)
        for name in ("weight", "bias"):
            ours, theirs = getattr(norm, name).grad, getattr(norm64, name).grad
            assert ours.dtype == getattr(norm, name).dtype
            check(ours, theirs, 16 * DTYPES[dtype] if steps == "plain" else 0.1, f"{steps} {name}")
        if not double:
            check(norm.running_mean, norm64.running_mean, 1e-3, steps)
            check(norm.running_var, norm64.running_var, 1e-3, steps)


class Block(nn.Module):
    """A residual block; `shortcut` says what the identity is replaced by."""

    def __init__(self, channels, shortcut):
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.shortcut = shortcut
        if shortcut:
            self.projection = nn.Conv2d(channels, channels, 1, bias=False)
            self.projected_norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        identity = self.projected_norm(self.projection(x)) if self.shortcut else x
        return nn.functional.relu(self.norm(self.convolution(x)) + identity)


def block_gradients(dtype, shape, plan, apart):
    """Gradients of blocks behind each other. `apart` has the gradient of each block's output computed by itself."""
    swiftnet.manual_seed(7)
    blocks = [Block(shape[1], kind == "projected").to(swiftnet.bfloat16).to(dtype) for kind in plan]
    values = np.random.default_rng(3).standard_normal((2, *shape), np.float32)
    start, weights = (
        swiftnet.tensor(v).to(swiftnet.bfloat16).to(dtype).contiguous(memory_format=swiftnet.channels_last)
        for v in values
    )
    x = start.requires_grad_()
    total, seen = 0, []
    for kind, block in zip(plan, blocks, strict=True):
        x = block(x)
        if apart:
            x.register_hook(lambda g: swiftnet.tensor(g.float().numpy()).to(g.dtype).contiguous(
                memory_format=swiftnet.channels_last))  # fmt: skip
        if kind == "kept":
            x.retain_grad()
            seen.append(x)
        if kind == "read twice":
            total = total + (x * weights).float().sum()
    (total + (x * weights).float().sum()).backward()
    return [t.grad for t in [start, *seen, *(p for block in blocks for p in block.parameters())]]


@pytest.mark.parametrize("shape", [(2, 32, 24, 22), (3, 40, 31, 9)])
@pytest.mark.parametrize("plan", [
    ("plain", "plain", "plain"), ("plain", "projected", "plain"), ("projected", "kept", "plain"),
    ("plain", "read twice", "plain"), ("kept", "read twice", "projected", "kept"),
])  # fmt: skip
def test_residual_blocks(plan, shape):
    """The sum of two gradients and a ReLU's mask are computed while the normalisation sums them up: the same numbers."""
    ours = block_gradients(swiftnet.bfloat16, shape, plan, False)
    for index, (a, b) in enumerate(zip(ours, block_gradients(swiftnet.bfloat16, shape, plan, True), strict=True)):
        assert a.equal(b), (index, (a - b).abs().max())
    for index, (a, b) in enumerate(zip(ours, block_gradients(swiftnet.float64, shape, plan, False), strict=True)):
        difference = (a.double() - b).abs()
        assert difference.median() <= 8 * DTYPES["bfloat16"] * b.abs().max(), index


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (2, 2), (4, 4)])
def test_kernels_larger_than_images(dtype, size):
    """Taps that see nothing but padding are left out."""
    x, x64 = pair((9, 32, *size), dtype, 1)
    w, w64 = pair((48, 32, 3, 3), dtype, 2)
    g, g64 = pair((9, 48, *size), dtype, 3)
    for t in (x, w, x64, w64):
        t.requires_grad_(True)
    y, y64 = nn.functional.conv2d(x, w, padding=1), torch.nn.functional.conv2d(x64, w64, padding=1)
    check(y, y64, DTYPES[dtype], "forward")
    y.backward(g)
    y64.backward(g64)
    check(x.grad, x64.grad, DTYPES[dtype], "x")
    check(w.grad, w64.grad, DTYPES[dtype], "w")
