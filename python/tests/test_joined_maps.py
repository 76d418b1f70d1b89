"""Maps that lie channels-last in memory, joined, flattened and read otherwise: whatever order of memory is computed
into, and when, results, gradients, versions and mistakes are those of work done at once."""

import numpy as np
import pytest
import swiftnet
import torch
from autograd_parity import both
from parity import raises_alike

# Any number of channels and places: such as fit the squares in which orders are exchanged, and such as do not.
SHAPES = [
    (2, 16, 33, 35),
    (3, 5, 7, 11, 17),
    (2, 17, 29, 31),
    (1, 64, 19, 20),
    (2, 70, 15, 17),
    (5, 3, 61, 67),
    (2, 12, 1500),
]


def values(m, *shape, offset=0.0, dtype="float64"):
    count = int(np.prod(shape))
    return ((m.arange(count, dtype=m.float64) * 0.37 + offset).sin() * 2).reshape(shape).to(getattr(m, dtype))


def nn(m):
    return torch.nn if m is torch else swiftnet.nn


def maps(m, shape, count=2, dtype="float64", order=True):
    """Leaves, channels-last in memory where there is such an order."""
    result = []
    for k in range(count):
        size = (shape[0], shape[1] + k, *shape[2:])
        x = values(m, *size, offset=k, dtype=dtype)
        formats = {4: m.channels_last, 5: m.channels_last_3d}
        if order and len(shape) in formats:
            x = x.contiguous(memory_format=formats[len(shape)])
        result.append(x.requires_grad_())
    return result


def branch(m, x, k=0, mask=True):
    """What an extractor does behind its convolution; the mask stands for dropout."""
    size = x.shape[1]
    scale = values(m, size, offset=k).to(x.dtype)
    y = nn(m).functional.batch_norm(x, None, None, scale + 3, scale, training=True)
    # In single precision something smooth: the sign of what rounds to either side of zero would make the gradient another.
    y = nn(m).functional.leaky_relu(y, 0.1) if x.dtype != m.float32 else m.tanh(y)
    keep = (values(m, *x.shape, offset=k + 1) > -1).to(x.dtype)
    return y * keep * 1.25 if mask else y


def joined(m, leaves, mask=True):
    return m.cat([branch(m, x, k, mask) for k, x in enumerate(leaves)], 1)


def weighted(m, y):
    """A sum in which every element counts apart."""
    return (y * values(m, *y.shape, offset=5).to(y.dtype)).sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("order", [False, True])
def test_flattened(shape, count, dtype, order):
    def scenario(m):
        leaves = maps(m, shape, count, dtype, order)
        y = joined(m, leaves).reshape(shape[0], -1)
        w = values(m, 5, y.shape[1], offset=2, dtype=dtype) / y.shape[1] ** 0.5
        w.requires_grad_()
        z = nn(m).functional.linear(y, w)
        (z * z).mean().backward()
        return (y, z, w.grad, *[x.grad for x in leaves])

    tolerance = {} if dtype == "float64" else {"rtol": 1e-4, "atol": 2e-4}
    both(scenario, **tolerance)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_half(shape):
    """In bfloat16, where every step rounds: forward exactly, without statistics, which PyTorch rounds otherwise."""

    def scenario(m):
        leaves = maps(m, shape, 2, "bfloat16")
        parts = [nn(m).functional.leaky_relu(x * 1.5, 0.1) for x in leaves]
        y = m.cat(parts, 1).reshape(shape[0], -1)
        weighted(m, y).backward()
        return (y, *[x.grad for x in leaves])

    both(scenario)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_of_rows(shape, dtype):
    """Backward of batch norm takes a gradient that waits, or lies otherwise, piece by piece: as one that is there."""
    x = maps(swiftnet, shape, 1, dtype)[0]
    results = []
    for at_once in (False, True):
        x.grad = None
        y = branch(swiftnet, x)
        gradient = values(swiftnet, shape[0], int(np.prod(shape[1:])), offset=3).to(x.dtype)
        if at_once:
            activated = swiftnet.tanh if dtype == "float32" else lambda z: nn(swiftnet).functional.leaky_relu(z, 0.1)
            leaf = nn(swiftnet).functional.batch_norm(
                x, None, None, *[values(swiftnet, shape[1]).to(x.dtype) + k for k in (3, 0)], training=True
            )
            z = leaf.detach().clone().requires_grad_()
            keep = (values(swiftnet, *shape, offset=1) > -1).to(x.dtype)
            (activated(z) * keep * 1.25).reshape(shape[0], -1).backward(gradient)
            g = z.grad
            float(g.sum())
            leaf.backward(g)
        else:
            y.reshape(shape[0], -1).backward(gradient)
        results.append(x.grad.to(swiftnet.float64).numpy())
    np.testing.assert_allclose(
        *results, rtol=1e-5 if dtype == "float32" else 1e-2, atol=1e-5 if dtype == "float32" else 2e-2
    )


def part_changed(m, leaves):
    parts = [branch(m, x, k) for k, x in enumerate(leaves)]
    y = m.cat(parts, 1)
    with m.no_grad():
        for part in parts:
            part.mul_(2)
    return y.reshape(y.shape[0], -1)


def part_changed_and_recorded(m, leaves):
    parts = [branch(m, x, k) for k, x in enumerate(leaves)]
    y = m.cat(parts, 1)
    parts[0].add_(1)
    return y.reshape(y.shape[0], -1).sum() + parts[0].square().sum()


def result_changed(m, leaves):
    y = joined(m, leaves)
    y.mul_(3)
    return y.flatten(1)


def result_changed_by_parts(m, leaves):
    y = joined(m, leaves)
    y[:, 1:3] *= 2
    return y.flatten(1) + y.flatten(1)


def result_activated_in_place(m, leaves):
    y = joined(m, leaves)
    nn(m).functional.relu(y, inplace=True)
    return y.flatten(1)


def view_before_and_after(m, leaves):
    y = joined(m, leaves)
    part = y[:, 1:]
    first = y.contiguous()
    return first.sum() + (part * 2).flatten(1) * 3


def read_twice(m, leaves):
    y = joined(m, leaves)
    return y.flatten(1) * 2 + y.transpose(1, -1).flatten(1).sum() + y.square().sum()


def read_often(m, leaves):
    y = joined(m, leaves)
    return sum(y.reshape(-1, 1)[k] for k in range(7)).sum() + y.flatten(1)


def part_read_as_well(m, leaves):
    parts = [branch(m, x, k) for k, x in enumerate(leaves)]
    y = m.cat(parts, 1).flatten(1)
    return y * 2 + sum(part.square().sum() for part in parts)


def same_part_twice(m, leaves):
    part = branch(m, leaves[0])
    return m.cat([part, part], 1).flatten(1)


def joined_again(m, leaves):
    y = joined(m, leaves)
    return m.cat([y, y * 2, joined(m, leaves)], 1).flatten(1)


def along_other_dimensions(m, leaves):
    parts = [branch(m, leaves[0]), branch(m, leaves[0], 1)]
    return sum(m.cat(parts, d).flatten(1).square().sum() for d in range(parts[0].dim()))


def read_by_a_convolution(m, leaves):
    y = joined(m, leaves)
    w = values(m, 4, y.shape[1], *[1] * (y.dim() - 2), offset=7).to(y.dtype)
    kind = {3: "conv1d", 4: "conv2d", 5: "conv3d"}[y.dim()]
    return getattr(nn(m).functional, kind)(y, w)


def added_to_another(m, leaves):
    y = joined(m, leaves)
    return (y + y.detach() * 2).flatten(1)


def without_recording(m, leaves):
    with m.no_grad():
        y = joined(m, leaves).flatten(1)
    return y * leaves[0].sum()


def detached_and_changed(m, leaves):
    y = joined(m, leaves)
    y.detach().mul_(2)
    return y.flatten(1) * 1


def with_hooks(m, leaves):
    y = joined(m, leaves)
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    with_hooks.result = y
    return y.flatten(1)


READERS = [
    part_changed, part_changed_and_recorded, result_changed, result_changed_by_parts, result_activated_in_place,
    view_before_and_after, read_twice, read_often, part_read_as_well, same_part_twice, joined_again,
    along_other_dimensions, read_by_a_convolution, added_to_another, without_recording, detached_and_changed, with_hooks,
]  # fmt: skip


@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("shape", [(2, 16, 33, 35), (2, 5, 7, 11, 17), (2, 70, 15, 17)], ids=str)
@pytest.mark.parametrize("reader", READERS, ids=lambda f: f.__name__)
def test_readers(reader, shape, order):
    def scenario(m):
        leaves = maps(m, shape, 2, order=order)
        # A product before it, so that the library has laid out the map itself.
        y = reader(m, [x * 1 for x in leaves])
        weighted(m, y).backward()
        return (y, *[x.grad for x in leaves])

    both(scenario)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_strides_and_versions(dtype):
    """What a program can see of a result before it is computed."""

    def scenario(m):
        leaves = maps(m, (2, 16, 33, 35), 2, dtype)
        y = m.cat([nn(m).functional.leaky_relu(x * 2) for x in leaves], 1)
        before = (y.is_contiguous(), y.is_contiguous(memory_format=m.channels_last), list(y.stride()), y._version)
        flat = y.reshape(2, -1)
        y.detach().add_(1)
        return (*before, y._version, flat.is_contiguous(), list(flat.stride()), flat._version, flat, y)

    both(scenario)


def saved_result_changed(m):
    leaves = maps(m, (2, 16, 33, 35))
    y = joined(m, leaves)
    z = y.square()
    y.mul_(2)
    z.sum().backward()


def test_saved_result_changed():
    assert all("modified by an inplace operation" in message for message in raises_alike(saved_result_changed))


@pytest.mark.parametrize("shape", [(2, 16, 33, 35), (3, 5, 7, 11, 17)], ids=str)
def test_second_derivative(shape):
    def scenario(m):
        leaves = [x.detach()[:, :, :9, :9].contiguous().requires_grad_() for x in maps(m, shape)]
        y = joined(m, leaves).flatten(1)
        (g,) = m.autograd.grad((y * y).sum(), leaves[0], create_graph=True)
        (g * g).sum().backward()
        return g, leaves[0].grad, leaves[1].grad

    both(scenario, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 16, 33, 35), (2, 48, 29, 31), (3, 5, 7, 11, 17)], ids=str)
def test_any_number_of_threads(shape):
    def run():
        leaves = maps(swiftnet, shape, 2, "float32")
        y = joined(swiftnet, leaves).flatten(1)
        weighted(swiftnet, y).backward()
        return [t.detach().numpy().copy() for t in (y, *[x.grad for x in leaves])]

    before = swiftnet.get_num_threads()
    try:
        swiftnet.set_num_threads(1)
        one = run()
        swiftnet.set_num_threads(3)
        three = run()
    finally:
        swiftnet.set_num_threads(before)
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a, b)


def test_memory_of_a_joined_map():
    """A joined map that is only flattened is never written in its own order."""
    parts = [swiftnet.ones(4, 16, 64, 64).contiguous(memory_format=swiftnet.channels_last) for _ in range(2)]
    image = 4 * 32 * 64 * 64 * 4
    swiftnet.memory.empty()
    before = swiftnet.memory.statistics()["live"]
    y = swiftnet.cat(parts, 1)
    flat = y.reshape(4, -1)
    float(flat.sum())
    assert swiftnet.memory.statistics()["live"] - before < 1.1 * image
    assert float(y.sum()) == flat.numel()


@pytest.mark.parametrize("shape", [(2, 9, 4, 5), (2, 9, 3, 4, 5), (1, 9, 1, 1), (2, 1, 3, 3)])
def test_slices_keep_the_order_of_their_maps(shape):
    """PyTorch lays out what is joined of slices as the maps are that they were taken from."""
    strides = []
    for m in (swiftnet, torch):
        x = maps(m, shape, 1)[0].detach()
        part = x[:, : max(shape[1] // 2, 1)]
        strides.append(m.cat([part, part], 1).stride())
    assert strides[0] == strides[1]


def read(x, weight):
    pass


def channels_of_the_gradient(x, weight):
    return x.grad[:, 3:20].sum((0, 2, 3))


def change_the_weight(x, weight):
    weight.mul_(0)


def without_winograd(x, weight):
    """Switched off between backward and the first reader of a gradient."""
    if isinstance(x, swiftnet.Tensor):
        swiftnet.backends.winograd.enabled = False


@pytest.mark.parametrize("between", [read, channels_of_the_gradient, change_the_weight, without_winograd])
@pytest.mark.parametrize("sizes", [(256, 256), (300, 272, 256), (512, 40)])
def test_gradients_of_the_parts_of_a_joined_map(sizes, between):
    """Large parts have theirs computed one by one, by Winograd's algorithm; small ones with the whole."""
    found = []
    for m in (swiftnet, torch):
        parts = [values(m, 2, c, 33, 35, offset=c, dtype="float32") for c in sizes]
        # Leaves in the order of their gradients, which wait until `between` or the comparison reads them.
        parts = [p.contiguous(memory_format=m.channels_last).requires_grad_() for p in parts]
        weight = (values(m, 96, sum(sizes), 3, 3, dtype="float32") * 0.02).requires_grad_()
        loss = nn(m).functional.conv2d(m.cat(parts, 1), weight, padding=1).square().mean()
        try:
            loss.backward()
            with m.no_grad():
                between(parts[0], weight)
            found.append([p.grad.numpy() for p in parts] + [weight.grad.numpy()])
        finally:
            if m is swiftnet:
                swiftnet.backends.winograd.enabled = True
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=2e-5 * np.abs(other).max())


def test_memory_of_the_gradient_of_a_joined_map():
    """The whole gradient is never there."""
    parts = [swiftnet.randn(2, 256, 32, 32).contiguous(memory_format=swiftnet.channels_last) for _ in range(8)]
    leaves = [p.requires_grad_() for p in parts]
    weight = swiftnet.randn(64, 2048, 3, 3) * 0.02
    loss = swiftnet.nn.functional.conv2d(swiftnet.cat([p * 1 for p in leaves], 1), weight, padding=1).square().sum()
    loss.item()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    grads = swiftnet.autograd.grad(loss, leaves)
    grads[1].data_ptr()
    assert swiftnet.memory.peak() - before < 5 * parts[0].numel() * 4
