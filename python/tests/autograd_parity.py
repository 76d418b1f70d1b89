"""What the tests of automatic differentiation share."""

import swiftnet
import torch
from parity import to_torch


def both(function, **tolerance):
    """Runs a scenario, which returns tensors or numbers, with both modules, and compares."""
    expected, actual = function(torch), function(swiftnet)
    assert len(expected) == len(actual)
    for wanted, got in zip(expected, actual, strict=True):
        if isinstance(wanted, torch.Tensor):
            torch.testing.assert_close(to_torch(got), wanted.detach(), **tolerance)
        else:
            assert got == wanted


def leaf(m, *shape):
    count = 1
    for size in shape:
        count *= size
    return (m.arange(count, dtype=m.float64) / 4 + 0.5).reshape(shape).requires_grad_()


def cube(m):
    class Cube(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale, name=None):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return scale * x**3

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient * ctx.scale * 3 * x**2, None, None

    return Cube
