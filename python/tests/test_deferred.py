"""Work on large tensors waits until somebody reads the result. None of that may show: results, gradients and mistakes
are those of work done at once."""

import gc
import threading

import numpy as np
import pytest
import swiftnet
import torch
from autograd_parity import both
from parity import raises_alike


def values(m, *shape, offset=0.0):
    count = int(np.prod(shape))
    return ((m.arange(count, dtype=m.float64) * 0.37 + offset).sin() * 2).reshape(shape)


def large(m, *shape, offset=0.0):
    return values(m, *shape, offset=offset).requires_grad_()


def residual_blocks(m):
    """Two blocks of convolutions, batch norms, activations in place and a sum in place, as a user writes them."""
    nn = torch.nn if m is torch else swiftnet.nn
    x = large(m, 2, 8, 40, 40)
    weights = [values(m, 8, 8, 3, 3, offset=k) * 0.1 for k in range(4)]
    norms = [nn.BatchNorm2d(8).to(m.float64) for _ in range(4)]
    out = x * 1
    for w in weights:
        w.requires_grad_()
    for block in range(2):
        identity = out
        for half in range(2):
            at = 2 * block + half
            out = norms[at](nn.functional.conv2d(out, weights[at], padding=1))
            if half == 0:
                out = nn.functional.relu(out, inplace=True)
        out += identity
        out = nn.functional.relu(out, inplace=block == 0)
    (out * out).mean().backward()
    grads = [w.grad for w in weights] + [p.grad for n in norms for p in n.parameters()]
    return (out, x.grad, *grads, *[b for n in norms for b in (n.running_mean, n.running_var)])


def chain_in_place(m):
    x = large(m, 3, 100, 100)
    y = x * 2
    for change in (
        lambda: y.add_(0.5),
        lambda: y.mul_(3),
        lambda: y.sub_(x),
        lambda: y.add_(x * x),
        lambda: y.sigmoid_(),
    ):
        change()
    y.square().sum().backward()
    return y, x.grad


def saved_input_in_place(m):
    nn = torch.nn if m is torch else swiftnet.nn
    x = large(m, 3, 100, 100)
    y, z, u = x * 2, x * 3, x * 4
    nn.functional.silu(y, inplace=True)
    nn.functional.leaky_relu(z, 0.2, inplace=True)
    nn.functional.hardswish(u, inplace=True)
    (y + z + u).sum().backward()
    return y, z, u, x.grad


def view_of_changed_base(m):
    x = large(m, 200, 100)
    y = x * 3
    view = y[50:]
    y.relu_()
    (view * view).sum().backward()
    return y, view, x.grad


def detached_alias_of_changed(m):
    x = large(m, 200, 100)
    y = x * 3
    alias = y.detach()
    y.relu_()
    y.sum().backward()
    return alias, x.grad


def other_order_in_place(m):
    x = large(m, 150, 130)
    y = (x * 2).t()
    y.exp_()
    y.sum().backward()
    return y, x.grad


def operand_waits_for_the_changed(m):
    x = large(m, 200, 100)
    y = x * 3
    later = y + y.exp()
    y.mul_(2)
    y.add_(later)
    y.sum().backward()
    return later, y, x.grad


def sum_with_itself(m):
    x = large(m, 200, 100)
    y = x * 3
    y += y
    (y * y).sum().backward()
    return y, x.grad


def second_derivative(m):
    x = large(m, 2, 4, 50, 50)
    nn = torch.nn if m is torch else swiftnet.nn
    y = nn.functional.batch_norm(x, None, None, training=True)
    y = nn.functional.relu(y, inplace=True)
    z = nn.functional.conv2d(y, values(m, 3, 4, 3, 3) * 0.1)
    (g,) = m.autograd.grad((z * z).sum(), x, create_graph=True)
    (g * g).sum().backward()
    return g, x.grad


def kept_graph(m):
    x = large(m, 2, 4, 50, 50)
    nn = torch.nn if m is torch else swiftnet.nn
    w = large(m, 3, 4, 3, 3)
    y = nn.functional.relu(nn.functional.batch_norm(x, None, None, training=True))
    z = nn.functional.conv2d(y, w)
    loss = (z * z).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    return x.grad, w.grad


SCENARIOS = [
    residual_blocks, chain_in_place, saved_input_in_place, view_of_changed_base, detached_alias_of_changed,
    other_order_in_place, operand_waits_for_the_changed, sum_with_itself, second_derivative, kept_graph,
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda f: f.__name__)
def test_scenarios(scenario):
    both(scenario)


@pytest.mark.parametrize("shape", [(2, 21, 40, 40), (3, 5, 7, 11, 17), (5000, 13), (2, 3, 9000), (1, 20000, 1, 1)])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_waits(shape, channels_last, training):
    """Any number of channels, also such as do not divide a tile; either memory order."""
    if shape[0] == 1 and training:
        shape = (2, *shape[1:])

    def scenario(m):
        nn = torch.nn if m is torch else swiftnet.nn
        x = large(m, *shape)
        if channels_last and len(shape) == 4:
            x = x.detach().contiguous(memory_format=m.channels_last).requires_grad_()
        c = shape[1]
        mean, variance = values(m, c), values(m, c, offset=1).abs() + 0.5
        weight, bias = large(m, c, offset=2), large(m, c, offset=3)
        y = nn.functional.batch_norm(x, mean, variance, weight, bias, training=training)
        z = nn.functional.relu(y) + x
        (z * z).sum().backward()
        return z, x.grad, weight.grad, bias.grad, mean, variance

    both(scenario)


def relu_alone(m, norm, x):
    return m.nn.functional.relu(norm(x)).square().sum()


def relu_kept(m, norm, x):
    """Somebody holds the output of the ReLU until after backward."""
    relu_kept.output = m.nn.functional.relu(norm(x), inplace=True)
    return relu_kept.output.square().sum()


def relu_read_before(m, norm, x):
    y = m.nn.functional.relu(norm(x))
    float(y.detach().sum())
    return (y * y).sum()


def relu_twice(m, norm, x):
    y = norm(x)
    return (m.nn.functional.relu(y) * 3 + m.nn.functional.relu(-y)).square().sum()


def relu_of_another(m, norm, x):
    """The mask is that of another normalisation of the same input."""
    other = m.nn.functional.batch_norm(x * 1.5, None, None, training=True)
    return (m.nn.functional.relu(norm(x)) * m.nn.functional.relu(other + x)).sum()


def relu_with_residual(m, norm, x):
    return m.nn.functional.relu(norm(x) + x).square().sum()


def relu_with_hook(m, norm, x):
    y = norm(x)
    y.register_hook(lambda g: g * 2)
    return m.nn.functional.relu(y).square().sum()


def input_seen_otherwise(m, norm, x):
    return m.nn.functional.relu(norm(x.transpose(2, 3)).transpose(2, 3)).square().sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 21, 40, 40), (3, 5, 7, 11, 17), (2, 16, 33, 35)])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("loss", [
    relu_alone, relu_kept, relu_read_before, relu_twice, relu_of_another, relu_with_residual, relu_with_hook,
    input_seen_otherwise,
], ids=lambda f: f.__name__)  # fmt: skip
def test_relu_behind_batch_norm(loss, shape, dtype, channels_last, training):
    """Backward of the normalisation takes the ReLU's mask on the way, whatever else looks at it."""

    def scenario(m):
        nn = torch.nn if m is torch else swiftnet.nn
        x = values(m, *shape).to(getattr(m, dtype))
        if channels_last and len(shape) == 4:
            x = x.contiguous(memory_format=m.channels_last)
        x.requires_grad_()
        norm = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm3d)(shape[1]).to(x.dtype).train(training)
        with m.no_grad():
            norm.weight.copy_(values(m, shape[1], offset=2))
            norm.bias.copy_(values(m, shape[1], offset=3))
        # A product before it, so that x is a result as well.
        total = loss(m, norm, x * 1)
        total.backward()
        return total, x.grad, norm.weight.grad, norm.bias.grad

    tolerance = {} if dtype == "float64" else {"rtol": 1e-5, "atol": 5e-5}
    both(scenario, **tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int64"])
@pytest.mark.parametrize("row", [(1, 3), (1, 257), (1, 1024), (1, 9001), (200, 1), ()])
def test_rows_against_matrices(dtype, row):
    """Broadcasting of a row, whose length need not divide what is computed at a time."""

    def scenario(m):
        kind = getattr(m, dtype)
        columns = row[-1] if row and row[-1] > 1 else 100
        a = (values(m, 200, columns) * 8).to(kind)
        b = (values(m, *row) * 8 if row else m.tensor(3.0)).to(kind)
        return a + b, b * a, (a - b) * b, m.maximum(a, b)

    both(scenario)


def changed_after_saving(m):
    nn = torch.nn if m is torch else swiftnet.nn
    x, w = large(m, 2, 4, 50, 50), large(m, 4, 4, 3, 3)
    y = nn.functional.relu(nn.functional.batch_norm(x, None, None, training=True))
    z = nn.functional.conv2d(y, w)
    y.mul_(2)
    z.sum().backward()


def changed_before_computing(m):
    x = large(m, 200, 100)
    y = (x * 2).sigmoid()
    y.add_(1)
    y.sum().backward()


def changed_twice_in_place(m):
    x = large(m, 200, 100)
    y = x * 2
    y.relu_()
    y.mul_(3)
    y.sum().backward()


MISTAKES = [changed_after_saving, changed_before_computing, changed_twice_in_place]


@pytest.mark.parametrize("scenario", MISTAKES, ids=lambda f: f.__name__)
def test_saved_tensor_changed(scenario):
    assert all("modified by an inplace operation" in message for message in raises_alike(scenario))


def operand_changed_after_the_result(m):
    x = large(m, 200, 100)
    raw = values(m, 200, 100, offset=1)
    y = m.relu(raw + x)
    raw.zero_()
    y.sum().backward()
    return y, x.grad


def test_operand_changed_after_the_result():
    """What a result is computed from may change: it keeps the old values, for backward as well."""
    both(operand_changed_after_the_result)


def test_address_that_is_known_stays():
    x = values(swiftnet, 200, 100).requires_grad_()
    y = x * 2
    array = y.detach().numpy()
    address = y.data_ptr()
    y.relu_()
    assert y.data_ptr() == address
    np.testing.assert_array_equal(array, np.maximum(2 * x.detach().numpy(), 0))


def test_memory_of_repeated_work():
    """A residual block keeps the results of its convolutions, not what was made of them."""
    nn = swiftnet.nn
    layers = nn.Sequential(
        *[layer for _ in range(6) for layer in (nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True))]
    )
    x = swiftnet.ones(4, 16, 64, 64)
    image = 4 * 16 * 64 * 64 * 4
    gc.collect()
    swiftnet.memory.empty()
    before = swiftnet.memory.statistics()["live"]
    loss = layers(x).sum()
    kept = swiftnet.memory.statistics()["live"] - before
    assert kept < 7.5 * image
    loss.backward()


VIEWS = [
    lambda m, x: x + x.T,
    lambda m, x: x.T - x,
    lambda m, x: x * x.view(100, 400).reshape(400, 100).view(200, 200).T + x,
    lambda m, x: m.where(x > 0, x.T, x),
    lambda m, x: m.addcmul(x, x.T, x.view(200, 200)),
    lambda m, x: x.view(400, 100) * x.view(100, 400).T + x.view(400, 100),
    lambda m, x: x[:-1] + x[1:],
    lambda m, x: x.view(200, 1, 200) * x.view(200, 200, 1)[:, :3] + x.T.reshape(200, 1, 200),
    lambda m, x: x.clone().mul_(x.T).add_(x),
]


@pytest.mark.parametrize("formula", VIEWS)
def test_several_views_of_what_waits(formula):
    """One operation that reads the same waiting contents in more than one way."""

    def gradient(m):
        x = large(m, 200, 200)
        y = formula(m, x.sin() + 0.25)
        (y * y).mean().backward()
        return y, x.grad

    both(gradient)


READERS = [
    lambda y: y.sum().item(),
    lambda y: (y.sigmoid() * y).sum().item(),
    lambda y: (y * 2 - 1).numpy()[::1000],
    lambda y: swiftnet.cat([y, y]).numpy()[::1000],
    lambda y: y.view(512, 512).T.contiguous().numpy()[::9],
    lambda y: y.view(4, 16, 64, 64).contiguous(memory_format=swiftnet.channels_last).numpy()[:, 3],
    lambda y: swiftnet.nn.functional.binary_cross_entropy(y.sigmoid(), y.sign().relu()).item(),
]


@pytest.mark.parametrize("read", READERS)
def test_operand_changed_by_another_thread(read):
    """A thread may change what a result was computed from while another one reads the result."""
    for step in range(40):
        x = swiftnet.randn(1 << 18)
        expected = read((((x + 1).relu() * 3) + 0).clone())
        result = (x + 1).relu() * 3
        may_change = threading.Event()

        def change(x=x, step=step, may_change=may_change):
            may_change.wait()
            for _ in range(step % 8 * 50):
                pass
            x.zero_()

        other = threading.Thread(target=change)
        other.start()
        may_change.set()
        actual = read(result)
        other.join()
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


def at_once(value):
    """The same tensor, computed."""
    value.data_ptr()
    return value


def as_it_comes(value):
    return value


MERGED = [
    lambda c, m, x, z, s, t: m.addcmul(t, x, s).relu(),
    lambda c, m, x, z, s, t: c(c(m.addcmul(t, x, s)) + z).relu(),
    lambda c, m, x, z, s, t: c(z + c(m.addcmul(t, x, s, value=0.5))).relu(),
    lambda c, m, x, z, s, t: c(c(m.addcmul(t, x, s)) + c(m.addcmul(s, z, t))).relu(),
    lambda c, m, x, z, s, t: c(m.add(c(m.addcmul(t, x, s)), z, alpha=0.5)).relu(),
    lambda c, m, x, z, s, t: c(c(c(x + z).relu()) * 2 - z).relu(),
    # Others need what would be merged.
    lambda c, m, x, z, s, t: (lambda y: c(c(y.relu()) + y))(c(x + z)),
    lambda c, m, x, z, s, t: (lambda y: c(c(c(y + z).relu()) * y))(c(m.addcmul(t, x, s))),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("shape, small", [((4, 16, 31, 33), (1, 16, 1, 1)), ((190, 181), (181,)), ((30011,), (1,))])
@pytest.mark.parametrize("index", range(len(MERGED)))
def test_merged_steps_give_the_same_numbers(index, shape, small, dtype):
    """Batch normalization, a residual and ReLU are one step of a program, with the rounding of all three."""
    x, z = (values(swiftnet, *shape, offset=k).to(getattr(swiftnet, dtype)) for k in range(2))
    s, t = (values(swiftnet, *small, offset=k).to(getattr(swiftnet, dtype)) for k in (2, 3))
    x[..., 0] = float("nan")
    merged, single = (MERGED[index](compute, swiftnet, x, z, s, t) for compute in (as_it_comes, at_once))
    np.testing.assert_array_equal(merged.double().numpy(), single.double().numpy())


def test_a_loss_of_two_parts_leaves_one_gradient():
    """Cross entropy and overlap of one sigmoid: three gradients of it, which are one pass, and no map between."""
    x = swiftnet.randn(8, 4, 64, 64).requires_grad_()
    truth = (swiftnet.randn(8, 4, 64, 64) > 0).float().view(-1)
    p = x.sigmoid().view(-1)
    overlap = (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)
    loss = swiftnet.nn.functional.binary_cross_entropy(p, truth) + 1 - overlap
    loss.data_ptr()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    x.grad.data_ptr()
    assert swiftnet.memory.peak() - before < 1.6 * x.numel() * 4
