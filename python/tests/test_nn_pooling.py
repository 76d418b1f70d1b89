"""Pooling: parity with torch.nn.functional."""

import pytest
import swiftnet
import swiftnet.nn.functional as F
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
