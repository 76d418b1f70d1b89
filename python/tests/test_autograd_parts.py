"""Gradients of slices and other parts of one tensor, which backward adds up in place: beside PyTorch, and in memory."""

import numpy as np
import pytest
import swiftnet
import torch

VALUES = np.random.default_rng(0).standard_normal((7, 6, 5))

# What a program does with parts of x; `leaf` says whether x is the leaf itself.
PROGRAMS = {
    "slices": lambda t, x: sum((x[:, i : i + 2] ** 2).sum() * (i + 1) for i in range(5)),
    "rows": lambda t, x: sum((x[i].sin() * (i + 1)).sum() for i in range(7)),
    "selects": lambda t, x: sum((x.select(2, i) ** 2).sum() for i in range(5)),
    "the whole first": lambda t, x: (x**3).sum() + sum(x.narrow(1, i, 1).exp().sum() for i in range(6)),
    "the whole last": lambda t, x: sum(x.narrow(1, i, 1).exp().sum() for i in range(6)) + (x**3).sum(),
    "overlapping steps": lambda t, x: (x[::2] * x[:4]).sum() + (x[1::3, 2:] ** 2).sum(),
    "indices": lambda t, x: (x[2, ..., 1:3] * x[0, :, 2:4]).sum() + x[None, 3, 2].cos().sum(),
    "one alone": lambda t, x: (x[2:5, 1] ** 2).sum(),
    "empty": lambda t, x: x[7:].sum() + x[:, 0].sum(),
    "parts of parts": lambda t, x: sum((x[i : i + 3][1:, j] ** 2).sum() for i in range(4) for j in range(2)),
    "expanded gradient": lambda t, x: x[1].sum() + x[1:3].mean() + (x[0] * x).sum(),
    "other strides": lambda t, x: (x.transpose(0, 2)[1:3] ** 2).sum() + (x.permute(1, 2, 0)[2] ** 2).sum(),
    "split": lambda t, x: sum((p**2).sum() for p in x.split(2, 1)) + (x[0] ** 2).sum(),
}


def leaf(lib, dtype="float64"):
    return lib.tensor(VALUES, dtype=getattr(lib, dtype)).requires_grad_()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("of_leaf", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_parity(program, of_leaf, dtype):
    found = []
    for lib in (swiftnet, torch):
        x = leaf(lib, dtype)
        PROGRAMS[program](lib, x if of_leaf else x * 2).backward()
        found.append(x.grad.double().numpy())
    rough = dtype == "bfloat16"
    np.testing.assert_allclose(*found, rtol=0.05 if rough else 1e-12, atol=0.05 if rough else 1e-12)


@pytest.mark.parametrize("program", PROGRAMS)
def test_grad_and_second_derivatives(program):
    found = []
    for lib in (swiftnet, torch):
        x = leaf(lib)
        y = x * 2
        first = lib.autograd.grad(PROGRAMS[program](lib, y), [x, y], retain_graph=True)
        again = lib.autograd.grad(PROGRAMS[program](lib, y), x, create_graph=True)[0]
        arrays = [first[0], first[1], again.detach()]
        if again.requires_grad:
            second = lib.autograd.grad((again**2).sum(), x, allow_unused=True)[0]
            arrays.append(lib.zeros(1) if second is None else second)
        found.append([a.numpy() for a in arrays])
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-12)


def test_hooks_see_the_sum_once():
    seen = []
    x = leaf(swiftnet)
    y = x * 1
    y.register_hook(lambda g: seen.append(g.clone()))
    sum((y[i] * i).sum() for i in range(7)).backward()
    assert len(seen) == 1
    assert (seen[0] == swiftnet.arange(7.0, dtype=swiftnet.float64)[:, None, None]).all()
    assert (x.grad == seen[0]).all()


def test_gradients_accumulate_over_backwards():
    x = leaf(swiftnet)
    for _ in range(3):
        (x[0].sum() + x[:2].sum()).backward()
    assert (x.grad[0] == 6).all() and (x.grad[1] == 3).all() and (x.grad[2:] == 0).all()


def test_memory_does_not_grow_with_the_number_of_parts():
    x = swiftnet.ones(64, 1 << 14, requires_grad=True)
    x.grad = swiftnet.zeros_like(x)
    size = x.numel() * 4
    loss = sum(x[i : i + 1].sum() for i in range(64))
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    assert swiftnet.memory.peak() - before < 2 * size
    assert (x.grad == 1).all()


class Residual(swiftnet.nn.Module):
    def __init__(self, has_inner_relu):
        super().__init__()
        self.conv = swiftnet.nn.Conv2d(16, 16, 1, bias=False)
        self.bn = swiftnet.nn.BatchNorm2d(16)
        self.has_inner_relu = has_inner_relu

    def forward(self, x):
        y = self.bn(self.conv(x))
        return swiftnet.relu(x + (swiftnet.relu(y) if self.has_inner_relu else y))


@pytest.mark.parametrize("has_inner_relu", [False, True])
@pytest.mark.parametrize("order", [swiftnet.contiguous_format, swiftnet.channels_last])
def test_memory_of_backward_does_not_grow_with_residual_blocks(order, has_inner_relu):
    """The gradient along the shortcuts is one tensor, not a sum that is still to be added up at the end."""
    model = swiftnet.nn.Sequential(*[Residual(has_inner_relu) for _ in range(8)])
    x = swiftnet.randn(4, 16, 32, 32).contiguous(memory_format=order).requires_grad_()
    loss = (model(x) ** 2).sum()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    assert swiftnet.memory.peak() - before < 5 * x.numel() * 4


class Bottleneck(swiftnet.nn.Module):
    def __init__(self):
        super().__init__()
        self.way = swiftnet.nn.Sequential(
            swiftnet.nn.Conv2d(16, 16, 1, bias=False),
            swiftnet.nn.BatchNorm2d(16),
            swiftnet.nn.ReLU(),
            swiftnet.nn.Conv2d(16, 16, 1, bias=False),
            swiftnet.nn.BatchNorm2d(16),
        )

    def forward(self, x):
        return swiftnet.relu(x + self.way(x))


def test_a_normalisation_keeps_the_gradient_of_the_shortcut():
    """What it has computed for its sums is not held as what it was computed from besides."""
    model = swiftnet.nn.Sequential(*[Bottleneck() for _ in range(4)])
    x = swiftnet.randn(4, 16, 32, 32).contiguous(memory_format=swiftnet.channels_last).requires_grad_()
    loss = (model(x) ** 2).sum()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    assert swiftnet.memory.peak() - before < 1.5 * x.numel() * 4


def test_many_gradients_of_one_tensor_are_added_as_they_come():
    x = swiftnet.randn(256, 256, requires_grad=True)
    y = x * 1
    weights = [swiftnet.randn(256, 256) for _ in range(9)]
    loss = sum((y @ w).sum() for w in weights)
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    assert swiftnet.memory.peak() - before < 6 * x.numel() * 4
    expected = sum(swiftnet.ones(256, 256) @ w.T for w in weights)
    np.testing.assert_allclose(x.grad.numpy(), expected.numpy(), rtol=1e-5, atol=1e-4)


def test_what_a_chain_of_blocks_keeps_for_backward():
    """The results of the convolutions, and of the blocks not more than every third one."""
    model = swiftnet.nn.Sequential(*[Residual(False) for _ in range(8)])
    x = swiftnet.randn(4, 16, 32, 32).contiguous(memory_format=swiftnet.channels_last).requires_grad_()
    before = swiftnet.memory.statistics()["live"]
    loss = (model(x) ** 2).sum()
    loss.item()
    assert swiftnet.memory.statistics()["live"] - before < 11.5 * x.numel() * 4
    loss.backward()


def blocks(lib, weights, x):
    """Residual blocks by hand, and what they computed on the way."""
    outputs, y = [], x
    for i in range(0, len(weights), 3):
        c = lib.nn.functional.conv2d(y, weights[i])
        n = lib.nn.functional.batch_norm(c, None, None, weights[i + 1], weights[i + 2], training=True)
        y = lib.relu(y + n)
        outputs += [c, n, y]
    return outputs


def chain(lib, number):
    rng = np.random.default_rng(5)
    weights = []
    for _ in range(number):
        weights.append(lib.tensor(rng.standard_normal((8, 8, 1, 1)) * 0.3, requires_grad=True))
        weights += [lib.tensor(rng.uniform(0.5, 1.5, 8), requires_grad=True) for _ in range(2)]
    x = lib.tensor(rng.standard_normal((4, 8, 24, 32))).contiguous(memory_format=lib.channels_last)
    return weights, x.requires_grad_()


def compare_chain(use, number=6):
    found = []
    for lib in (swiftnet, torch):
        weights, x = chain(lib, number)
        found.append(
            [np.asarray(v.detach().numpy()) for v in [*use(lib, weights, x), x.grad, *[w.grad for w in weights]]]
        )
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-8, atol=1e-8)


def test_blocks_are_computed_again_for_backward():
    def use(lib, weights, x):
        (blocks(lib, weights, x)[-1] ** 2).sum().backward()
        return []

    compare_chain(use)


def test_blocks_that_change_in_place_are_not_computed_from_what_they_were():
    def use(lib, weights, x):
        def block(weight, of, scale, shift):
            c = lib.nn.functional.conv2d(of, weight)
            return lib.nn.functional.batch_norm(c, None, None, scale, shift, training=True)

        y = x + block(weights[0], x, *weights[1:3])
        # Keeps y for a backward that never runs: as what it is computed from.
        unused = lib.nn.functional.conv2d(y, weights[3])
        with lib.no_grad():
            y.mul_(2)
        # The sum, kept in the same way, reads y as it is now.
        out = lib.nn.functional.conv2d(y + block(weights[6], x, *weights[7:9]), weights[3])
        out.square().sum().backward()
        for w in weights:
            w.grad = lib.zeros_like(w) if w.grad is None else w.grad
        return [out, unused]

    compare_chain(use)


@pytest.mark.parametrize("kept", ["results", "gradients", "hooks", "asked for"])
def test_gradients_do_not_take_the_place_of_what_somebody_holds(kept):
    def use(lib, weights, x):
        outputs = blocks(lib, weights, x)
        seen = []
        if kept == "gradients":
            for out in outputs:
                out.retain_grad()
        if kept == "hooks":
            for out in outputs:
                out.register_hook(lambda g: seen.append(g))
        loss = (outputs[-1] ** 2).sum()
        if kept == "asked for":
            seen = list(lib.autograd.grad(loss, outputs, retain_graph=True))
        loss.backward()
        if kept == "gradients":
            seen = [out.grad for out in outputs]
        return [*outputs, *seen]

    compare_chain(use)


def test_a_leaf_keeps_its_values_behind_a_normalisation():
    found = []
    for lib in (swiftnet, torch):
        values = np.random.default_rng(2).standard_normal((4, 8, 24, 32))
        x = lib.tensor(values).contiguous(memory_format=lib.channels_last).requires_grad_()
        weight, bias = lib.ones(8, dtype=lib.float64), lib.zeros(8, dtype=lib.float64)
        y = lib.nn.functional.batch_norm(x, None, None, weight, bias, training=True)
        (lib.relu(y) ** 3).sum().backward()
        np.testing.assert_array_equal(x.detach().numpy(), values)
        found.append(x.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-8, atol=1e-8)


def test_normalisation_needs_no_memory_for_its_gradient():
    model = swiftnet.nn.Sequential(
        swiftnet.nn.Conv2d(16, 16, 1, bias=False),
        swiftnet.nn.BatchNorm2d(16),
        swiftnet.nn.ReLU(),
        swiftnet.nn.Conv2d(16, 1, 1, bias=False),
    )
    x = swiftnet.randn(4, 16, 32, 32).contiguous(memory_format=swiftnet.channels_last)
    loss = model(x).sum()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    assert swiftnet.memory.peak() - before < 1.5 * x.numel() * 4


class Same(swiftnet.autograd.Function):
    """Gives all of its inputs one and the same gradient, and keeps it."""

    kept = []

    @staticmethod
    def forward(ctx, *inputs):
        return sum(inputs)

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient * 1
        gradient.data_ptr()
        Same.kept.append(gradient)
        return gradient, gradient, gradient, gradient


def test_sums_of_gradients_leave_those_alone_that_somebody_holds():
    x = swiftnet.randn(64, 256, 4).requires_grad_()
    y = x * 1
    (Same.apply(y, y, y, y) * 3).sum().backward()
    assert (Same.kept.pop() == 3).all()
    assert (x.grad == 12).all()


def pyramid(lib, x, size):
    """Means over regions of several sizes, beside x itself, joined."""
    F = lib.nn.functional
    means = [F.adaptive_avg_pool2d(x, bins) for bins in (1, 2, (3, 4), 6)]
    means += [F.avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 2, divisor_override=3)]
    parts = [F.interpolate(m * (i + 1), size=size, mode="bilinear", align_corners=True) for i, m in enumerate(means)]
    return lib.cat([x, *parts], 1)


@pytest.mark.parametrize("shape", [(2, 8, 12, 13), (1, 3, 7, 7), (2, 16, 2, 5), (0, 4, 6, 6)])
@pytest.mark.parametrize("order", ["contiguous_format", "channels_last"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_means_add_to_what_has_come_for_their_input(shape, order, dtype):
    found = []
    for lib in (swiftnet, torch):
        values = np.random.default_rng(3).standard_normal(shape)
        x = lib.tensor(values, dtype=getattr(lib, dtype)).contiguous(memory_format=getattr(lib, order)).requires_grad_()
        seen = []
        for y in (x, x * 1):
            if y is not x:
                y.register_hook(seen.append)
            (pyramid(lib, y, shape[2:]) ** 2).sum().backward()
        again = lib.autograd.grad((pyramid(lib, x, shape[2:]) ** 3).sum(), x, create_graph=True)[0]
        second = lib.autograd.grad((again**2).sum(), x)[0]
        found.append([np.asarray(g.detach().double().numpy()) for g in (x.grad, *seen, again, second)])
    tolerance = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.03}[dtype]
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(own, other, rtol=tolerance, atol=tolerance * max(1, np.abs(other).max(initial=0)))


def test_means_need_no_gradient_of_the_size_of_their_input():
    """The second one takes the first, the others are added to it."""
    x = swiftnet.randn(2, 32, 48, 48).contiguous(memory_format=swiftnet.channels_last).requires_grad_()
    y = x * 1
    loss = sum((swiftnet.nn.functional.adaptive_avg_pool2d(y, bins) ** 2).sum() for bins in range(1, 7))
    loss.item()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    assert swiftnet.memory.peak() - before < 2.5 * x.numel() * 4


def backward_of_layer(layer, x, retain_graph):
    """The gradient, and what backward needed beside what was there, in sizes of x."""
    x.grad = None
    h = x.clone()
    h.data_ptr()
    loss = layer(h).sum()
    del h
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward(retain_graph=retain_graph)
    return loss, x.grad, (swiftnet.memory.peak() - before) / (x.numel() * 4)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (lambda: swiftnet.nn.Conv2d(16, 16, 3, padding=1), (4, 16, 32, 32)),
        (lambda: swiftnet.nn.Linear(1 << 14, 3), (32, 1 << 14)),
        (lambda: swiftnet.nn.Linear(1 << 14, 3, bias=False), (32, 1 << 14)),
    ],
    ids=["convolution", "linear", "product"],
)
def test_products_forget_their_input_unless_the_graph_is_kept(layer, shape):
    layer, x = layer(), swiftnet.randn(*shape, requires_grad=True)
    loss, gradient, needed = backward_of_layer(layer, x, retain_graph=True)
    once = gradient.numpy().copy()
    loss.backward()
    np.testing.assert_array_equal(gradient.numpy(), 2 * once)
    loss, gradient, less = backward_of_layer(layer, x, retain_graph=False)
    np.testing.assert_array_equal(gradient.numpy(), once)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()
    if isinstance(layer, swiftnet.nn.Linear):
        assert needed > 1 and less < 0.5
