"""Pooling: parity with torch.nn.functional."""

import numpy as np
import pytest
import swiftnet
import swiftnet.nn.functional as F
import torch
from nn_parity import arrays, compare, same_error

MAX = [
    ("max_pool1d", (2, 3, 10), {"kernel_size": 3}),
    ("max_pool1d", (3, 10), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("max_pool2d", (2, 3, 8, 9), {"kernel_size": 2}),
    ("max_pool2d", (2, 20, 8, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("max_pool2d", (3, 8, 9), {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)}),
    ("max_pool2d", (2, 17, 9, 9), {"kernel_size": 2, "dilation": 2, "stride": 2}),
    ("max_pool2d", (2, 3, 9, 9), {"kernel_size": 2, "ceil_mode": True}),
    ("max_pool2d", (2, 3, 7, 7), {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}),
    ("max_pool2d", (0, 3, 7, 7), {"kernel_size": 3}),
    ("max_pool3d", (2, 3, 6, 7, 8), {"kernel_size": 2}),
    ("max_pool3d", (2, 16, 4, 5, 6), {"kernel_size": 2, "stride": 1}),
    ("max_pool3d", (2, 3, 4, 5, 21), {"kernel_size": (2, 3, 2), "stride": 1, "padding": 1}),
    ("max_pool2d", (1, 2, 20, 40), {"kernel_size": 17, "stride": 1}),
    ("max_pool3d", (9, 6, 7, 8), {"kernel_size": (1, 2, 3), "padding": (0, 1, 1), "stride": 2, "ceil_mode": True}),
    ("adaptive_max_pool1d", (2, 3, 10), {"output_size": 4}),
    ("adaptive_max_pool2d", (2, 10, 8, 9), {"output_size": (3, None)}),
    ("adaptive_max_pool2d", (3, 8, 9), {"output_size": 1}),
    ("adaptive_max_pool3d", (2, 3, 5, 6, 7), {"output_size": (2, 3, 4)}),
]
AVERAGE = [
    ("avg_pool1d", (2, 3, 10), {"kernel_size": 3}),
    ("avg_pool1d", (3, 10), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    ("avg_pool2d", (2, 3, 8, 9), {"kernel_size": 2}),
    ("avg_pool2d", (2, 20, 8, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("avg_pool2d", (2, 20, 8, 9), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    ("avg_pool2d", (2, 3, 9, 9), {"kernel_size": 2, "ceil_mode": True}),
    ("avg_pool2d", (2, 3, 7, 7), {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}),
    ("avg_pool2d", (2, 3, 8, 9), {"kernel_size": 2, "divisor_override": 3}),
    ("avg_pool3d", (2, 3, 6, 7, 8), {"kernel_size": 2}),
    ("avg_pool3d", (9, 6, 7, 8), {"kernel_size": (1, 2, 3), "padding": (0, 1, 1), "stride": 2, "ceil_mode": True}),
    ("adaptive_avg_pool1d", (2, 3, 10), {"output_size": 4}),
    ("adaptive_avg_pool2d", (2, 10, 8, 9), {"output_size": (3, None)}),
    ("adaptive_avg_pool2d", (2, 10, 8, 9), {"output_size": 1}),
    ("adaptive_avg_pool2d", (3, 2, 3), {"output_size": 5}),
    ("adaptive_avg_pool3d", (2, 3, 5, 6, 7), {"output_size": (2, 3, 4)}),
    ("lp_pool1d", (2, 3, 10), {"norm_type": 2, "kernel_size": 3}),
    ("lp_pool2d", (2, 3, 8, 9), {"norm_type": 3, "kernel_size": (2, 3), "stride": 2}),
    ("lp_pool3d", (2, 3, 5, 6, 7), {"norm_type": 2, "kernel_size": 2}),
    ("lp_pool1d", (2, 3, 10), {"norm_type": float("inf"), "kernel_size": 3}),
    ("lp_pool2d", (2, 3, 8, 9), {"norm_type": float("inf"), "kernel_size": (2, 3), "stride": 2, "ceil_mode": True}),
    ("lp_pool2d", (3, 8, 9), {"norm_type": float("-inf"), "kernel_size": 2}),
    ("lp_pool3d", (2, 3, 5, 6, 7), {"norm_type": float("inf"), "kernel_size": 2}),
]


@pytest.mark.parametrize(("name", "shape", "options"), MAX + AVERAGE)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed"])
def test_pool(name, shape, options, layout):
    def call(f, lib, x):
        if layout == "channels_last" and x.ndim == (4 if "2d" in name else 5):
            x = x.contiguous(memory_format=lib.channels_last if x.ndim == 4 else lib.channels_last_3d)
        if layout == "transposed":
            x = x.transpose(-1, -2).contiguous().transpose(-1, -2)
        if "max" in name and x.numel():
            return getattr(f, name)(x, **options, return_indices=True)
        return getattr(f, name)(x, **options)

    tolerance = (1e-4, 1e-5) if "lp" in name else None
    values = arrays(shape)
    if "lp" in name:
        values = [abs(v) + 0.1 for v in values]
    compare(call, values, tolerance=tolerance)
    compare(call, [v.astype("float64") for v in values], second=True)


@pytest.mark.parametrize(("name", "shape", "options"), MAX)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_bfloat16(name, shape, options, layout):
    """Maxima are the numbers themselves; gradients that meet are added up in float32 and rounded once."""
    rounded = torch.tensor(arrays(shape)[0]).bfloat16()
    x = swiftnet.tensor(rounded.float().numpy()).to(swiftnet.bfloat16)
    wide = rounded.float()
    if layout == "channels_last" and x.ndim == (4 if "2d" in name else 5):
        x = x.contiguous(memory_format=swiftnet.channels_last if x.ndim == 4 else swiftnet.channels_last_3d)
    x.requires_grad_()
    wide.requires_grad_()
    indices = {"return_indices": True} if wide.numel() else {}
    y, expected = (
        getattr(F, name)(x, **options, **indices),
        getattr(torch.nn.functional, name)(wide, **options, **indices),
    )
    if indices:
        (y, places), (expected, expected_places) = y, expected
        assert np.array_equal(places.numpy(), expected_places.numpy())
    with swiftnet.no_grad():
        assert getattr(F, name)(x, **options).equal(y)
    assert y.dtype == swiftnet.bfloat16
    assert np.array_equal(y.detach().float().numpy(), expected.detach().numpy())
    gradient = torch.tensor(np.random.default_rng(5).standard_normal(expected.shape, np.float32)).bfloat16()
    y.backward(swiftnet.tensor(gradient.float().numpy()).to(swiftnet.bfloat16))
    expected.backward(gradient.float())
    assert x.grad.dtype == swiftnet.bfloat16
    assert np.array_equal(x.grad.float().numpy(), wide.grad.bfloat16().float().numpy())


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("size", [24, 150])
def test_bfloat16_behind_a_convolution(images, size):
    """Without recording a convolution is pooled image by image: the same numbers as of its whole result."""
    from swiftnet import nn

    swiftnet.manual_seed(2)
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    layers = [layer.to(swiftnet.bfloat16).eval() for layer in layers]
    x = swiftnet.randn(images, 3, size, size).to(swiftnet.bfloat16)
    with swiftnet.no_grad():
        apart = layers[2](layers[1](layers[0](x)))
        apart.data_ptr()
        assert layers[3](apart).equal(layers[3](layers[2](layers[1](layers[0](x)))))


def test_narrow_and_integers():
    compare(lambda f, lib, x: f.max_pool2d(x, 2), arrays((2, 3, 8, 8)), "bfloat16", grad=False)
    compare(lambda f, lib, x: f.avg_pool2d(x, 2), arrays((2, 3, 8, 8)), "float16", grad=False)
    compare(lambda f, lib, x: f.max_pool2d(x, 2), [(arrays((2, 3, 8, 8))[0] * 100).astype("int64")])


def test_not_a_number_wins():
    x = arrays((1, 1, 4, 4))
    x[0][0, 0, 1, 1] = float("nan")
    compare(lambda f, lib, x: f.max_pool2d(x, 2, return_indices=True), x, grad=False)


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_unpool(spatial):
    def call(f, lib, x):
        pooled, places = getattr(f, f"max_pool{spatial}d")(x, 2, return_indices=True)
        return getattr(f, f"max_unpool{spatial}d")(pooled * 2, places, 2)

    compare(call, arrays((2, 3) + (8, 6, 4)[:spatial]))


def test_unpool_sizes():
    def call(f, lib, x):
        pooled, places = f.max_pool2d(x, 2, return_indices=True)
        return f.max_unpool2d(pooled, places, 2, output_size=(9, 8))

    compare(call, arrays((2, 3, 9, 8)))
    with pytest.raises(ValueError, match="invalid output_size"):
        F.max_unpool2d(swiftnet.ones(1, 1, 2, 2), swiftnet.zeros(1, 1, 2, 2).long(), 2, output_size=(9, 9))
    with pytest.raises(RuntimeError, match="invalid max index"):
        F.max_unpool2d(swiftnet.ones(1, 1, 2, 2), swiftnet.full((1, 1, 2, 2), 99), 2)


@pytest.mark.parametrize(
    ("call", "shape", "match"),
    [
        (lambda f, lib, x: f.max_pool2d(x, 3, padding=2), (1, 1, 8, 8), "pad should be at most half"),
        (lambda f, lib, x: f.max_pool2d(x, 3), (1, 1, 2, 2), "Output size is too small"),
        (lambda f, lib, x: f.max_pool2d(x, 3), (2, 2), "3D or 4D (batch mode) tensor expected"),
        (lambda f, lib, x: f.max_pool2d(x, 0, 1), (1, 1, 8, 8), "kernel size should be greater than zero"),
        (lambda f, lib, x: f.avg_pool2d(x, 2, divisor_override=0), (1, 1, 8, 8), "divisor must be not zero"),
    ],
)
def test_errors(call, shape, match):
    same_error(call, arrays(shape), match)


def test_huge_arguments_do_not_crash():
    x = swiftnet.ones(1, 1, 4, 4)
    for options in ({"kernel_size": 2**62}, {"kernel_size": 2, "stride": 2**62}, {"kernel_size": -3}):
        with pytest.raises((ValueError, RuntimeError, MemoryError)):
            F.max_pool2d(x, **options)
    with pytest.raises((ValueError, RuntimeError, MemoryError)):
        F.adaptive_avg_pool2d(x, 2**40)


def pooled(lib, y):
    return lib.nn.functional.max_pool2d(y, 2, 1)


def plain(lib, x, weight, bias):
    return [pooled(lib, lib.nn.functional.conv2d(x, weight, bias))], []


def strided(lib, x, weight, bias):
    y = lib.nn.functional.conv2d(x, weight, bias, stride=(1, 2), padding=1)
    return [lib.nn.functional.max_pool2d(y, 3, 2, 1)], []


def without_bias(lib, x, weight, bias):
    return [pooled(lib, lib.nn.functional.conv2d(x, weight))], []


def read_again(lib, x, weight, bias):
    y = lib.nn.functional.conv2d(x, weight, bias)
    return [pooled(lib, y), y.sin()], []


def with_hooks(lib, x, weight, bias):
    seen = []
    y = lib.nn.functional.conv2d(x, weight, bias)
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g) or g * 2)
    return [pooled(lib, y)], [lambda: y.grad, lambda: seen[0]]


def after_a_change(lib, x, weight, bias):
    images = x.detach().clone()
    y = lib.nn.functional.conv2d(images, weight, bias)
    with lib.no_grad():
        images.zero_()
    again = pooled(lib, y).detach()
    return plain(lib, x, weight, bias)[0], [lambda: again]


def changed_in_place(lib, x, weight, bias):
    y = lib.nn.functional.conv2d(x, weight, bias)
    return [pooled(lib, y.mul_(2).relu_())], []


@pytest.mark.parametrize(
    "network", [plain, strided, without_bias, read_again, with_hooks, after_a_change, changed_in_place]
)
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("of_input", [False, True])
def test_training_through_a_pooled_convolution_of_few_terms(network, batch, of_input):
    """It is computed some images at a time, forward and backward, if nothing else reads its result or the gradient."""
    rng = np.random.default_rng(batch)
    values = [rng.standard_normal(shape).astype("float32") for shape in ((batch, 3, 130, 150), (16, 3, 3, 3), (16,))]
    found = []
    for lib in (swiftnet, torch):
        x, weight, bias = (lib.tensor(v) for v in values)
        weight.requires_grad_()
        bias.requires_grad_()
        # (Not a leaf, which cannot change in place.)
        leaf = x.requires_grad_(of_input)
        x = leaf * 1
        results, others = network(lib, x, weight, bias)
        loss = sum((r * r.detach().cos()).sum() for r in results)
        loss.backward(retain_graph=True)
        loss.backward()
        gradients = [t.grad for t in (leaf, weight, bias) if t.grad is not None]
        found.append([t.detach().numpy() for t in [*results, *gradients, *[f() for f in others]]])
    assert len(found[0]) == len(found[1])
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(own, other, rtol=2e-4, atol=2e-4 * abs(other).max())


def test_second_derivatives_through_a_pooled_convolution():
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(shape).astype("float32") for shape in ((4, 2, 70, 80), (16, 2, 3, 3))]
    found = []
    for lib in (swiftnet, torch):
        x, weight = (lib.tensor(v).requires_grad_() for v in values)
        loss = (pooled(lib, lib.nn.functional.conv2d(x, weight)) ** 3).mean()
        first = lib.autograd.grad(loss, [x, weight], create_graph=True)
        sum((g**2).sum() for g in first).backward()
        found.append([t.detach().numpy() for t in [*first, x.grad, weight.grad]])
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-4 * abs(other).max())


def test_a_pooled_volume_is_never_there_as_a_whole():
    """Neither the convolution's result nor its gradient."""
    layers = swiftnet.nn.Sequential(swiftnet.nn.Conv3d(1, 16, 3), swiftnet.nn.MaxPool3d(2, 1))
    x = swiftnet.randn(8, 1, 34, 34, 34)
    size = 8 * 16 * 32**3 * 4
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    y = layers(x)
    y.data_ptr()
    assert swiftnet.memory.peak() - before < 1.6 * size
    loss = y.sum()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    assert swiftnet.memory.peak() - before < 1.6 * size
    assert layers[0].weight.grad.isfinite().all()
