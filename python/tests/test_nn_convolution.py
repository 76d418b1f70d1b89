"""Convolutions and transposed convolutions: parity with torch.nn.functional."""

import numpy as np
import pytest
import swiftnet
import swiftnet.nn.functional as F
import torch
from nn_parity import arrays, compare, same_error

# name, input, weight, has bias, options
CASES = [
    ("conv1d", (2, 3, 10), (4, 3, 3), True, {}),
    ("conv1d", (3, 10), (4, 3, 3), True, {"padding": 1}),
    ("conv1d", (2, 4, 11), (6, 2, 3), True, {"groups": 2, "stride": 2, "padding": 2, "dilation": 2}),
    ("conv1d", (2, 3, 10), (4, 3, 4), False, {"padding": "same"}),
    ("conv2d", (2, 3, 8, 9), (4, 3, 3, 3), True, {}),
    ("conv2d", (2, 3, 8, 9), (4, 3, 3, 3), False, {"padding": 1}),
    ("conv2d", (2, 3, 8, 9), (20, 3, 3, 2), True, {"padding": (1, 0), "stride": (2, 1)}),
    ("conv2d", (3, 8, 9), (4, 3, 3, 3), True, {"stride": 2}),
    ("conv2d", (2, 3, 8, 9), (4, 3, 4, 3), True, {"padding": "same", "dilation": (1, 2)}),
    ("conv2d", (2, 3, 8, 9), (4, 3, 3, 3), True, {"padding": "valid"}),
    ("conv2d", (2, 4, 8, 8), (4, 1, 3, 3), True, {"groups": 4, "padding": 1}),
    ("conv2d", (2, 4, 8, 8), (8, 1, 3, 3), True, {"groups": 4, "padding": 1}),
    ("conv2d", (2, 24, 9, 13), (24, 1, 3, 3), True, {"groups": 24, "padding": 1}),
    ("conv2d", (2, 40, 11, 10), (40, 1, 3, 3), True, {"groups": 40, "padding": 1, "stride": 2}),
    ("conv2d", (1, 16, 9, 11), (16, 1, 5, 7), False, {"groups": 16, "padding": (2, 3)}),
    ("conv2d", (1, 18, 10, 12), (36, 1, 3, 3), True, {"groups": 18, "dilation": 2, "stride": (1, 2)}),
    ("conv2d", (2, 24, 7, 11), (24, 4, 3, 3), True, {"groups": 6, "padding": 1}),
    ("conv2d", (1, 40, 8, 9), (40, 8, 3, 3), False, {"groups": 5, "padding": 2, "dilation": 2, "stride": 2}),
    ("conv2d", (1, 32, 6, 7), (32, 16, 3, 3), True, {"groups": 2, "padding": 1}),
    ("conv2d", (2, 128, 7, 9), (192, 64, 3, 3), True, {"groups": 2, "padding": 1}),
    ("conv2d", (1, 192, 8, 8), (192, 64, 3, 3), False, {"groups": 3, "padding": 2, "dilation": 2}),
    ("conv2d", (2, 16, 6, 6), (32, 16, 1, 1), True, {}),
    ("conv2d", (2, 16, 6, 6), (32, 16, 1, 1), False, {"stride": 2}),
    ("conv2d", (2, 513, 5, 6), (18, 513, 1, 1), True, {}),
    ("conv2d", (6, 512, 1, 1), (10, 512, 3, 3), True, {"padding": 1}),
    ("conv2d", (2, 3, 3, 3), (4, 3, 3, 3), True, {"padding": 3}),
    ("conv2d", (5, 7, 1, 1), (19, 7, 3, 3), True, {"padding": 1}),
    ("conv2d", (9, 8, 1, 2), (20, 4, 3, 3), False, {"padding": 1, "groups": 2}),
    ("conv2d", (3, 6, 2, 2), (5, 6, 3, 3), True, {"padding": 1, "stride": 2}),
    ("conv3d", (3, 4, 1, 2, 1), (6, 4, 3, 3, 3), True, {"padding": 1}),
    # Windows that see nothing but padding.
    ("conv1d", (2, 3, 1), (5, 3, 2), True, {"padding": 5, "stride": 100}),
    ("conv2d", (2, 3, 4, 1), (5, 3, 2, 2), True, {"padding": (1, 50), "stride": (1, 100)}),
    ("conv2d", (1, 1, 3, 2), (2, 1, 2, 3), False, {"padding": (0, 6), "stride": (1, 9)}),
    ("conv2d", (2, 16, 1, 1), (16, 16, 2, 2), True, {"padding": 5, "stride": 100}),
    ("conv2d", (0, 3, 8, 8), (4, 3, 3, 3), True, {}),
    ("conv2d", (2, 20, 9, 9), (33, 20, 3, 3), True, {"padding": 1}),
    ("conv3d", (2, 3, 5, 6, 7), (4, 3, 3, 3, 3), True, {"padding": 1}),
    ("conv3d", (2, 1, 5, 6, 7), (4, 1, 2, 3, 3), True, {"stride": (1, 2, 1), "padding": (0, 1, 2)}),
    ("conv3d", (3, 5, 6, 7), (4, 3, 3, 3, 3), False, {"padding": "same"}),
    ("conv3d", (2, 16, 6, 9, 10), (16, 16, 3, 3, 3), True, {}),
    ("conv3d", (1, 32, 4, 5, 6), (16, 32, 3, 3, 3), True, {"padding": (2, 1, 0)}),
    ("conv3d", (1, 16, 4, 5, 9), (16, 1, 3, 3, 3), True, {"padding": 1, "groups": 16}),
    ("conv_transpose1d", (2, 3, 10), (3, 4, 3), True, {}),
    ("conv_transpose1d", (3, 10), (3, 4, 3), True, {"stride": 2, "output_padding": 1}),
    ("conv_transpose2d", (2, 3, 6, 7), (3, 4, 3, 3), True, {"stride": 2, "padding": 1, "output_padding": 1}),
    ("conv_transpose2d", (2, 4, 6, 7), (4, 3, 3, 2), True, {"groups": 2, "dilation": (1, 2)}),
    ("conv_transpose2d", (2, 4, 6, 7), (4, 3, 2, 2), False, {"stride": 2}),
    ("conv_transpose3d", (2, 3, 3, 4, 5), (3, 4, 2, 3, 2), True, {"stride": (2, 1, 2)}),
]


def values_of(case, dtype="float32"):
    name, x, weight, bias, options = case
    outputs = weight[0] if not name.startswith("conv_t") else weight[1] * options.get("groups", 1)
    values = arrays(x, weight, (outputs,), dtype=dtype)
    if not bias:
        values[2] = None
    return values


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1]}-{c[4]}")
def test_convolution(case):
    name, options = case[0], case[4]
    compare(lambda f, lib, *a: getattr(f, name)(*a, **options), values_of(case))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{c[1]}-{c[4]}")
def test_convolution_second_derivative(case):
    name, options = case[0], case[4]
    compare(lambda f, lib, *a: getattr(f, name)(*a, **options), values_of(case, "float64"), second=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow(dtype):
    compare(lambda f, lib, *a: f.conv2d(*a, padding=1), values_of(CASES[4]), dtype, tolerance=(2e-2, 1e-2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{"padding": 1}, {"padding": 1, "stride": 2}, {"padding": 2, "dilation": 2}])
@pytest.mark.parametrize("width", [1, 2, 4, 8, 12])
def test_groups_of_channels_last_images(width, options, dtype):
    def call(f, lib, x, w, b):
        return f.conv2d(x.contiguous(memory_format=lib.channels_last), w, b, groups=24 // width, **options)

    compare(call, arrays((2, 24, 9, 14), (24, width, 3, 3), (24,), dtype=dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_random_convolutions(dtype):
    """Small images, wide paddings and strides, groups of all kinds: outputs and gradients beside PyTorch's in float64."""
    tolerance = {"float32": 5e-5, "float64": 1e-10, "bfloat16": 1.2e-2, "float16": 2e-3}[dtype]
    compared = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        choose = generator.choice
        axes = int(choose([1, 2, 2, 3]))
        groups = int(choose([1, 1, 2, 3, 8]))
        inputs = groups * int(choose([1, 2, 3, 4, 8] if groups > 1 else [1, 3, 5, 9, 16, 33]))
        outputs = groups * int(choose([1, 2, 3, 8] if groups > 1 else [1, 3, 16, 33]))
        sizes = choose([1, 2, 3, 5, 9, 13], axes).tolist()
        kernel = choose([1, 2, 3, 3, 4, 7], axes).tolist()
        options = {
            "stride": choose([1, 1, 2, 3, 50], axes).tolist(),
            "padding": choose([0, 1, 2, 3, 11, 40], axes).tolist(),
            "dilation": choose([1, 1, 2, 9], axes).tolist(),
        }
        steps = zip(sizes, kernel, *options.values(), strict=True)
        places = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in steps]
        images = int(choose([1, 2, 9, 65]))
        if min(places) < 1 or images * outputs * np.prod(places) > 1e6:
            continue
        shapes = [images, inputs, *sizes], [outputs, inputs // groups, *kernel], [outputs], [images, outputs, *places]
        values = [generator.standard_normal(shape) for shape in shapes]
        found = []
        for m in (swiftnet, torch):
            x, w, b, g = (m.tensor(v).to(getattr(m, dtype)) for v in values)
            if m is torch:
                x, w, b, g = (v.double() for v in (x, w, b, g))
            if seed % 2:
                x = x.movedim(1, -1).contiguous().movedim(-1, 1)
            for v in (x, w, b):
                v.requires_grad_()
            y = getattr(m.nn.functional, f"conv{axes}d")(x, w, b, groups=groups, **options)
            y.backward(g)
            found.append([np.array(v.detach().double().tolist()) for v in (y, x.grad, w.grad, b.grad)])
        for own, exact in zip(*found, strict=True):
            error = np.abs(own - exact).max() / max(1, np.abs(exact).max())
            assert error < tolerance, (seed, shapes, options, groups)
        compared += 1
    assert compared >= 60


def test_layouts():
    def call(f, lib, x, w):
        x = x.transpose(1, 3)
        return f.relu(f.conv2d(f.conv2d(x, w.transpose(2, 3), padding=1), w[:, :, 1:, 1:])).mean((2, 3))

    compare(call, arrays((2, 9, 8, 3), (3, 3, 3, 3)))
    y = F.conv2d(swiftnet.ones(2, 3, 8, 8), swiftnet.ones(4, 3, 3, 3))
    assert y.is_contiguous(memory_format=swiftnet.channels_last)
    assert (y + 1).is_contiguous(memory_format=swiftnet.channels_last)


def conv(**options):
    return lambda f, lib, *a: f.conv2d(*a, **options)


def conv_transpose(**options):
    return lambda f, lib, *a: f.conv_transpose2d(*a, **options)


@pytest.mark.parametrize(
    ("call", "shapes", "match"),
    [
        (conv(), [(2, 3), (4, 3, 3, 3)], "Expected 3D (unbatched) or 4D (batched) input to conv2d"),
        (conv(), [(1, 2, 8, 8), (4, 3, 3, 3)], "to have 3 channels, but got 2 channels instead"),
        (conv(groups=2), [(1, 3, 8, 8), (3, 1, 3, 3)], "expected weight to be divisible by 2 at dimension 0"),
        (conv(groups=8), [(1, 8, 8, 8), (4, 1, 3, 3)], "expected weight to be at least 8 at dimension 0"),
        (conv(), [(1, 3, 8, 8), (4, 3, 3, 3), (3,)], "expected bias to be 1-dimensional with 4 elements"),
        (conv(), [(1, 3, 2, 2), (4, 3, 3, 3)], "Kernel size can't be greater than actual input size"),
        (conv(stride=0), [(1, 3, 8, 8), (4, 3, 3, 3)], "non-positive stride is not supported"),
        (conv(padding=-1), [(1, 3, 8, 8), (4, 3, 3, 3)], "negative padding is not supported"),
        (conv(dilation=0), [(1, 3, 8, 8), (4, 3, 3, 3)], "dilation should be greater than zero"),
        (
            conv(stride=(1, 1, 1)),
            [(1, 3, 8, 8), (4, 3, 3, 3)],
            "expected stride to be a single integer value or a list of 2",
        ),
        (conv(padding="same", stride=2), [(1, 3, 8, 8), (4, 3, 3, 3)], "padding='same' is not supported"),
        (conv(padding="all"), [(1, 3, 8, 8), (4, 3, 3, 3)], "Invalid padding string"),
        (conv_transpose(), [(1, 2, 8, 8), (3, 4, 3, 3)], "to have 3 channels, but got 2 channels instead"),
        (conv_transpose(output_padding=2), [(1, 3, 8, 8), (3, 4, 3, 3)], "output padding must be smaller"),
    ],
)
def test_errors(call, shapes, match):
    same_error(call, arrays(*shapes), match)


def test_huge_arguments_do_not_crash():
    x, w = swiftnet.ones(1, 1, 4, 4), swiftnet.ones(1, 1, 3, 3)
    for options in ({"padding": 2**62}, {"dilation": 2**62}, {"stride": 2**62}, {"padding": 2**29}):
        with pytest.raises((ValueError, RuntimeError, MemoryError)):
            F.conv2d(x, w, **options)
    with pytest.raises((ValueError, RuntimeError, MemoryError)):
        F.conv_transpose2d(x, w, stride=2**29)


def test_dtypes_must_agree():
    with pytest.raises(RuntimeError, match="should be the same"):
        F.conv2d(swiftnet.ones(1, 1, 4, 4).double(), swiftnet.ones(1, 1, 3, 3))


@pytest.mark.parametrize("images", [(4, 7, 1, 1), (3, 7, 1, 2)], ids=str)
def test_taps_that_see_only_padding(images):
    """Forward keeps the others for backward: again, recorded, and not after a change of the weight."""
    x, w = (values * 1 for values in arrays(images, (9, 7, 3, 3)))
    gradients = []
    for m in (torch, swiftnet):
        weight = m.tensor(w, requires_grad=True)
        image = m.tensor(x, requires_grad=True)
        y = m.nn.functional.conv2d(image, weight, padding=1)
        (y * y).sum().backward(retain_graph=True)
        (y * y).sum().backward()
        (g,) = m.autograd.grad((m.nn.functional.conv2d(image, weight, padding=1) ** 3).sum(), image, create_graph=True)
        (g * g).sum().backward()
        gradients.append([image.grad.numpy(), weight.grad.numpy()])
        z = m.nn.functional.conv2d(image, weight, padding=1)
        with m.no_grad():
            weight.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.sum().backward()
    for expected, actual in zip(*gradients, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-3 * np.abs(expected).max())
