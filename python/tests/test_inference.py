"""Evaluation without gradients: batch norm, residual and ReLU join the convolution before them, and packed filters are
kept. The numbers stay those of the plain way, whatever changes in between."""

import threading

import numpy as np
import pytest
import swiftnet
import torch
from parity import to_torch


def network(m):
    nn = torch.nn if m is torch else swiftnet.nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride=1, groups=1, inplace=True):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False, groups=groups)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace)
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

        def forward(self, x):
            out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            out += self.shortcut(x)
            return self.relu(out)

    return nn.Sequential(
        nn.Conv2d(3, 32, 7, 2, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Block(32, 32), Block(32, 48, 2, groups=4, inplace=False), nn.Conv2d(48, 48, 3, padding=1, groups=48),
        nn.Hardswish(), nn.Conv2d(48, 20, 1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(3)
    theirs = network(torch)
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if value.is_floating_point():
                value.add_(torch.rand(value.shape) * (0.5 if "running_var" in name else 0.1))
    ours = network(swiftnet)
    ours.load_state_dict({k: swiftnet.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return theirs.eval(), ours.eval()


def images(n=2, size=96):
    return np.random.default_rng(n).standard_normal((n, 3, size, size)).astype(np.float32)


def compare(theirs, ours, x, tolerance=2e-4):
    with torch.no_grad():
        expected = theirs(torch.tensor(x))
    with swiftnet.no_grad():
        actual = ours(swiftnet.tensor(x))
    torch.testing.assert_close(to_torch(actual), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mode", [swiftnet.no_grad, swiftnet.inference_mode])
@pytest.mark.parametrize("batch, size", [(1, 96), (2, 97), (5, 64), (1, 24), (1, 9)])
def test_network(pair, mode, batch, size):
    """The smallest images have results of less than what elementwise operations wait for."""
    x = images(batch, size)
    with torch.no_grad():
        expected = pair[0](torch.tensor(x))
    for _ in range(2):
        with mode():
            actual = pair[1](swiftnet.tensor(x))
        torch.testing.assert_close(to_torch(actual), expected, rtol=2e-4, atol=2e-4)


def test_channels_last(pair):
    ours = network(swiftnet).eval()
    ours.load_state_dict(pair[1].state_dict())
    ours.to(memory_format=swiftnet.channels_last)
    for _ in range(2):
        compare(pair[0], ours, images())


def change_in_place(model, module):
    with module.no_grad():
        for p in model.parameters():
            p.mul_(0.9)


def optimizer_step(model, module):
    optimizer = module.optim.SGD(model.parameters(), lr=0.01)
    for p in model.parameters():
        p.grad = module.ones_like(p)
    optimizer.step()


def load_state(model, module):
    model.load_state_dict({k: v * 0.95 for k, v in model.state_dict().items()})


def assign_data(model, module):
    for p in model.parameters():
        p.data = p.data * 1.05


def write_through_numpy(model, module):
    for p in model.parameters():
        p.detach().numpy()[...] *= 0.9


def write_buffers(model, module):
    """Running statistics alone, one by one."""
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            buffer.mul_(0.8)
            buffer += 0.1 if "var" in name else 0.05


def write_buffers_through_numpy(model, module):
    for _, buffer in model.named_buffers():
        if buffer.dtype == module.float32:
            buffer.numpy()[...] *= 1.25


def train_once(model, module):
    torch.manual_seed(0)
    model.train()(module.ones(2, 3, 64, 64))
    model.eval()


def change_eps(model, module):
    for layer in model.modules():
        if type(layer).__name__ == "BatchNorm2d":
            layer.eps *= 100


CHANGES = (
    change_in_place, optimizer_step, load_state, assign_data, write_through_numpy, write_buffers,
    write_buffers_through_numpy, train_once, change_eps,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_changed_weights_are_packed_anew(change):
    torch.manual_seed(1)
    theirs, ours = network(torch).eval(), network(swiftnet).eval()
    ours.load_state_dict({k: swiftnet.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = images()
    for _ in range(2):
        compare(theirs, ours, x)
        change(theirs, torch)
        change(ours, swiftnet)
    compare(theirs, ours, x)
    # Written once more: the array may still be known to somebody.
    write_through_numpy(theirs, torch)
    write_through_numpy(ours, swiftnet)
    compare(theirs, ours, x)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_views_of_one_weight(dtype, kernel):
    """What is kept of a weight is that of the view, not of the memory that several views share."""
    dtype = getattr(swiftnet, dtype)
    weight = swiftnet.randn(48, 16, kernel, kernel).to(dtype)
    x = swiftnet.randn(2, 16, 21, 22).to(dtype)
    views = [weight[:16], weight[16:32], weight, weight[8:40], weight[::2], weight.transpose(2, 3), weight[:16]]
    with swiftnet.no_grad():
        for view in views:
            actual = swiftnet.nn.functional.conv2d(x, view, padding=1)
            expected = swiftnet.nn.functional.conv2d(x, view.clone(), padding=1)
            assert (actual == expected).all()


@pytest.mark.parametrize("size", [16, 40])
def test_kept_filters_of_wide_groups(size):
    """Each group's filters are kept for itself, whether as they are packed (few tiles) or transformed (many)."""
    theirs = torch.nn.Sequential(torch.nn.Conv2d(192, 192, 3, padding=1, groups=3), torch.nn.BatchNorm2d(192)).eval()
    ours = swiftnet.nn.Sequential(
        swiftnet.nn.Conv2d(192, 192, 3, padding=1, groups=3), swiftnet.nn.BatchNorm2d(192)
    ).eval()
    ours.load_state_dict({k: swiftnet.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = torch.randn(3, 192, size, size)
    with torch.no_grad(), swiftnet.no_grad():
        for _ in range(3):
            torch.testing.assert_close(to_torch(ours(swiftnet.tensor(x.numpy()))), theirs(x), rtol=1e-4, atol=1e-4)


def pooled(lib, x, weight, other):
    return lib.nn.functional.max_pool2d(lib.nn.functional.conv2d(x, weight), 3, 2, 1)


def pooled_and_read_again(lib, x, weight, other):
    y = lib.nn.functional.conv2d(x, weight)
    return lib.nn.functional.max_pool2d(y, 2, 1) + y[:, :, 1:, 1:]


def pooled_twice(lib, x, weight, other):
    y = lib.nn.functional.max_pool2d(lib.nn.functional.conv2d(x, weight).relu(), 2, ceil_mode=True)
    return lib.nn.functional.max_pool2d(y, 3, 1) * y[:, :, 1:-1, 1:-1]


def pooled_before_a_change(lib, x, weight, other):
    x = x.clone()
    y = lib.nn.functional.max_pool2d(lib.nn.functional.conv2d(x, weight), 2)
    x.zero_()
    return y.relu()


def pooled_and_joined(lib, x, weight, other):
    def branch(sign):
        y = lib.nn.functional.max_pool2d(lib.nn.functional.conv2d(sign * x, weight), 2, 1)
        return lib.nn.functional.leaky_relu(y * other + other[:1, :1] - other.mean())

    return lib.cat([branch(1), branch(-1)], dim=1).flatten(1)


def pooled_half(lib, x, weight, other):
    return lib.nn.functional.max_pool2d(lib.nn.functional.conv2d(x.bfloat16(), weight.bfloat16()), 2).relu().float()


@pytest.mark.parametrize(
    "chain",
    [pooled, pooled_and_read_again, pooled_twice, pooled_before_a_change, pooled_and_joined, pooled_half],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_pooled_convolutions(chain, batch):
    """A convolution that only a pooling reads is computed some images at a time, with what follows the pooling."""
    inputs = [torch.randn(batch, 3, 130, 150), torch.randn(16, 3, 3, 3), torch.randn(batch, 16, 127, 147)]
    with torch.no_grad(), swiftnet.no_grad():
        expected = chain(torch, *inputs)
        for _ in range(2):
            actual = to_torch(chain(swiftnet, *(swiftnet.tensor(t.numpy()) for t in inputs)))
            tolerance = 2e-2 if chain is pooled_half else 1e-5
            torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def test_pooled_convolutions_beside_a_change():
    """Another thread that changes the images waits until those that were asked for before are computed."""
    functional = swiftnet.nn.functional
    weight = swiftnet.randn(16, 3, 3, 3)
    for step in range(60):
        x = swiftnet.randn(8, 3, 130, 150)
        with swiftnet.no_grad():
            expected = functional.max_pool2d(functional.conv2d(x.clone(), weight), 2).relu().clone().numpy()
            pooled = functional.max_pool2d(functional.conv2d(x, weight), 2).relu()
        change = threading.Timer(0.0005 * (step % 8), x.zero_)
        change.start()
        actual = pooled.numpy()
        change.join()
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("channels", [(8, 64, 16, 64), (64, 8)])
def test_views_of_one_running_variance(channels):
    mean, variance, weight, bias = (torch.rand(4, 64) + 0.5).unbind()
    own = [swiftnet.tensor(v.tolist()) for v in (mean, variance, weight, bias)]
    for offset in (0, 1):
        for count in channels:
            part = slice(0, count) if offset == 0 else slice(64 - count, 64)
            filters = torch.randn(count, 3, 3, 3)
            x = torch.randn(2, 3, 20, 20)
            with torch.no_grad():
                y = torch.nn.functional.conv2d(x, filters)
                expected = torch.nn.functional.batch_norm(y, *(v[part] for v in (mean, variance, weight, bias)))
            with swiftnet.no_grad():
                y = swiftnet.nn.functional.conv2d(swiftnet.tensor(x.numpy()), swiftnet.tensor(filters.numpy()))
                actual = swiftnet.nn.functional.batch_norm(y, *(v[part] for v in own))
            torch.testing.assert_close(to_torch(actual), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("groups", [1, 2])
def test_half_precision_filters_are_packed_anew(dtype, groups):
    """Whichever way a convolution goes (pairs, float32), its filters are kept until they change."""
    half = getattr(swiftnet, dtype)
    for size, kernel in ((31, 3), (9, 3), (9, 1), (12, 5)):
        x = swiftnet.randn(2, 64, size, size).to(half)
        layer = swiftnet.nn.Conv2d(64, 48, kernel, groups=groups).to(half)

        def expected(x=x, layer=layer):
            with swiftnet.enable_grad():
                return layer(x).detach()

        with swiftnet.no_grad():
            for _ in range(2):
                first = expected()
                assert (layer(x) == first).all() and (layer(x) == first).all()
                layer(x)
                layer.weight.mul_(0.5)
                layer.bias.mul_(0.5)
                assert (layer(x) == expected()).all()


def pieces():
    x, w = swiftnet.tensor(images()), swiftnet.tensor(np.ones((16, 3, 3, 3), np.float32) * 0.1)
    plain = torch.nn.functional.conv2d(to_torch(x), to_torch(w), padding=1)
    return x, w, plain


def test_result_that_is_read_again():
    """A result whose normalisation joined the convolution still has its own value."""
    x, w, plain = pieces()
    mean, variance = swiftnet.full((16,), 0.3), swiftnet.full((16,), 2.0)
    with swiftnet.no_grad():
        y = swiftnet.nn.functional.conv2d(x, w, padding=1)
        z = swiftnet.nn.functional.batch_norm(y, mean, variance)
        r = swiftnet.relu(z)
        s = z + y
    normal = (plain - 0.3) / (2 + 1e-5) ** 0.5
    for ours, expected in ((r, normal.relu()), (s, normal + plain), (z, normal), (y, plain)):
        torch.testing.assert_close(to_torch(ours), expected, rtol=1e-4, atol=1e-4)


def test_operands_changed_before_the_result_is_read():
    x, w, plain = pieces()
    residual = swiftnet.ones(2, 16, 96, 96).contiguous(memory_format=swiftnet.channels_last)
    with swiftnet.no_grad():
        y = swiftnet.relu(swiftnet.nn.functional.conv2d(x, w, padding=1) + residual)
        for operand in (x, w, residual):
            operand.zero_()
    torch.testing.assert_close(to_torch(y), (plain + 1).relu(), rtol=1e-4, atol=1e-4)


def test_sums_of_two_convolutions():
    x, w, plain = pieces()
    conv = swiftnet.nn.functional.conv2d
    with swiftnet.no_grad():
        first = conv(x, w, padding=1) + conv(x, w * 2, padding=1)
        y = conv(x, w, padding=1)
        second = y + y
        y = conv(x, w, padding=1)
        view = y.permute(0, 2, 3, 1)
        y.relu_()
        y += 1
    torch.testing.assert_close(to_torch(first), 3 * plain, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(to_torch(second), 2 * plain, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(to_torch(y), plain.relu() + 1, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(to_torch(view), to_torch(y).permute(0, 2, 3, 1))


def test_gradients_after_evaluation():
    """A result of evaluation may serve in training."""
    x, w, plain = pieces()
    with swiftnet.no_grad():
        y = swiftnet.nn.functional.conv2d(x, w, padding=1)
    scale = swiftnet.tensor(2.0, requires_grad=True)
    swiftnet.relu(y * scale).sum().backward()
    torch.testing.assert_close(scale.grad.item(), plain.relu().sum().item(), rtol=1e-4, atol=1e-2)


def test_threads_share_a_model():
    x, model = images(3), network(swiftnet).eval()
    with swiftnet.no_grad():
        expected = model(swiftnet.tensor(x)).numpy().copy()
    change_in_place(model, swiftnet)
    results = []

    def run():
        with swiftnet.no_grad():
            results.append(model(swiftnet.tensor(x)).numpy())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(np.array_equal(result, results[0]) for result in results)
    assert not np.array_equal(results[0], expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("weight", [(24, 8, 1, 1), (40, 8, 3, 3), (12, 4, 3, 3), (20, 3, 5, 5)], ids=str)
def test_images_of_any_size_and_order_in_turns(weight, dtype):
    """What is kept of a convolution depends on more than its filters."""
    generator = np.random.default_rng(1)
    channels = weight[1] * (2 if weight[0] == 12 else 1)
    w = generator.standard_normal(weight).astype(np.float32)
    sizes = [(1, 6, 7), (2, 6, 7), (1, 1, 1), (3, 9, 5), (9, 2, 2), (1, 13, 13)]
    x = {size: generator.standard_normal((size[0], channels, *size[1:])).astype(np.float32) for size in sizes}

    def results(m):
        kind = getattr(m, dtype)
        parameter = m.tensor(w).to(kind)
        conv = m.nn.functional.conv2d
        orders = [
            lambda t: t,
            lambda t: t.contiguous(memory_format=m.channels_last),
            lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
            lambda t: t[:1].expand(t.shape),
        ]
        options = [{}, {"stride": 2}, {"dilation": 2, "padding": 4}]
        with m.no_grad():
            for _ in range(2):
                for size in sizes:
                    for order in orders:
                        image = order(m.tensor(x[size]).to(kind))
                        for option in options:
                            option = {"padding": 2, "groups": channels // weight[1], **option}
                            yield m.nn.functional.relu(conv(image, parameter, **option))
            parameter.mul_(-1)
            yield conv(m.tensor(x[sizes[0]]).to(kind), parameter, padding=2, groups=channels // weight[1])

    tolerance = {"float32": 1e-4, "float64": 1e-9, "bfloat16": 0.05}[dtype]
    for expected, actual in zip(results(torch), results(swiftnet), strict=True):
        torch.testing.assert_close(to_torch(actual), expected, rtol=tolerance, atol=tolerance * 5)


@pytest.mark.parametrize(
    "batch, inputs, outputs, sizes", [(4, 432, 160, (31, 2, 7)), (66, 640, 136, (2, 1, 5)), (66, 64, 48, (2, 4, 7))]
)
def test_filters_kept_for_images_of_several_sizes(batch, inputs, outputs, sizes):
    """The forms of one filter, some channels at a time and for 2×2 places among them, are kept side by side."""
    reference = torch.nn.Conv2d(inputs, outputs, 3, padding=1)
    conv = swiftnet.nn.Conv2d(inputs, outputs, 3, padding=1)
    conv.load_state_dict({name: swiftnet.tensor(p.detach().numpy()) for name, p in reference.named_parameters()})
    conv.eval()
    reference.double()
    for size in sizes * 2:
        x = np.random.default_rng(size).standard_normal((batch, inputs, size, size), np.float32)
        with swiftnet.inference_mode():
            y = conv(swiftnet.tensor(x)).numpy()
        expected = reference(torch.from_numpy(x).double()).detach().numpy()
        np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6, 8, 11, 15, 17, 21, 31, 33])
def test_channels_that_fill_no_vector(channels, dtype):
    """Bias, normalisation, residual and ReLU of the columns at a tile's end, which leave it by way of a buffer."""
    rng = np.random.default_rng(channels)
    shapes = [(3, 5, 13, 11), (channels, 5, 3, 3), (channels,), (3, channels, 13, 11), (channels,), (channels,)]
    values = [rng.standard_normal(shape) for shape in shapes]
    values[5] = np.abs(values[5]) + 0.5
    found = []
    for lib in (swiftnet, torch):
        f = lib.nn.functional
        x, w, b, residual, mean, variance = (lib.tensor(v.tolist()).to(getattr(lib, dtype)) for v in values)
        statistics = [t.float() if dtype == "bfloat16" else t for t in (mean, variance)]
        residual = residual.contiguous(memory_format=lib.channels_last)
        with lib.no_grad():
            y = f.conv2d(x, w, b, padding=1)
            normalised = f.batch_norm(f.conv2d(x, w, padding=1), *statistics)
            joined = f.relu(f.batch_norm(f.conv2d(x, w, b, padding=1), *statistics) + residual)
            pointwise = f.conv2d(x, w[:, :, :1, :1], b).relu()
            volume = f.conv3d(x.unsqueeze(2), w.unsqueeze(2), padding=(0, 1, 1))
            transposed = f.conv_transpose2d(x, w.transpose(0, 1), b, stride=2)
        results = (y, normalised, joined, pointwise, volume, transposed)
        found.append([t.double().tolist() for t in results])
    limit = 5e-2 if dtype == "bfloat16" else 1e-4
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(np.array(ours), np.array(theirs), rtol=limit, atol=limit)
