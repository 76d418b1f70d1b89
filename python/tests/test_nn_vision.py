"""Resizing, rearranging, tables and attention: parity with torch.nn.functional."""

import numpy as np
import pytest
import swiftnet
import torch
from nn_parity import arrays, compare, same_error

RESIZE = [
    ((2, 3, 7), "nearest", {"size": 10}), ((2, 3, 7), "linear", {"size": 10}),
    ((2, 3, 7), "linear", {"scale_factor": 1.7, "align_corners": True}),
    ((2, 3, 7), "nearest-exact", {"scale_factor": 0.6}),
    ((2, 3, 7, 6), "nearest", {"scale_factor": 2}), ((2, 3, 7, 6), "nearest", {"size": (5, 9)}),
    ((2, 3, 7, 6), "bilinear", {"scale_factor": 2}), ((2, 3, 7, 6), "bilinear", {"size": (4, 11)}),
    ((2, 3, 7, 6), "bilinear", {"scale_factor": 1.3}),
    ((2, 3, 7, 6), "bilinear", {"scale_factor": 1.3, "recompute_scale_factor": True}),
    ((2, 3, 7, 6), "bilinear", {"size": (14, 12), "align_corners": True}),
    ((2, 3, 7, 6), "bilinear", {"size": (3, 4), "antialias": True}),
    ((2, 3, 7, 6), "bicubic", {"scale_factor": 2}), ((2, 3, 7, 6), "bicubic", {"size": (4, 9)}),
    ((2, 3, 7, 6), "bicubic", {"size": (14, 12), "align_corners": True}),
    ((2, 3, 7, 6), "bicubic", {"size": (3, 4), "antialias": True}),
    ((2, 3, 7, 6), "area", {"size": (3, 4)}), ((2, 3, 7, 6), "bilinear", {"size": (7, 6)}),
    ((2, 3, 4, 5, 6), "trilinear", {"scale_factor": 2}), ((2, 3, 4, 5, 6), "nearest", {"size": (2, 7, 9)}),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "mode", "options"), RESIZE)
@pytest.mark.parametrize("layout", [False, True])
def test_interpolate(shape, mode, options, layout):
    def call(f, lib, x):
        if layout and x.ndim == 4:
            x = x.contiguous(memory_format=lib.channels_last)
        return f.interpolate(x, mode=mode, **options)

    compare(call, arrays(shape), tolerance=(1e-4, 1e-5))
    compare(call, arrays(shape, dtype="float64"), second=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "either size or scale_factor should be defined"),
        ({"size": 3, "scale_factor": 2}, "only one of size or scale_factor"),
        ({"size": 3, "mode": "linear"}, "Got 4D input, but linear mode needs 3D input"),
        ({"size": 3, "align_corners": True}, "align_corners option can only be set"),
        ({"size": (3,)}, "same number of spatial dimensions"),
        ({"size": (0, 3), "mode": "bilinear"}, "greater than 0"),
        ({"size": 3, "mode": "none"}, "Only 3D, 4D and 5D input"),
    ],
)
def test_interpolate_errors(options, match):
    same_error(lambda f, lib, x: f.interpolate(x, **options), arrays((2, 3, 4, 4)), match)


def test_shuffles():
    compare(lambda f, lib, x: f.pixel_shuffle(x, 2), arrays((2, 8, 3, 4)), second=True)
    compare(lambda f, lib, x: f.pixel_unshuffle(x, 2), arrays((2, 8, 4, 6)), second=True)
    compare(lambda f, lib, x: f.channel_shuffle(x, 4), arrays((2, 8, 4, 6)), grad=False)
    same_error(
        lambda f, lib, x: f.pixel_shuffle(x, 3), arrays((2, 8, 3, 4)), "divisible by the square of upscale_factor"
    )


def test_embedding():
    index = np.array([[0, 2, 2], [4, 1, 0]])
    compare(lambda f, lib, w, i: f.embedding(i, w), [*arrays((5, 3)), index])
    compare(lambda f, lib, w, i: f.embedding(i, w), [*arrays((5, 3), dtype="float64"), index], second=True)
    compare(lambda f, lib, w, i: f.embedding(i, w, padding_idx=-3), [*arrays((5, 3)), index])
    compare(lambda f, lib, w, i: f.embedding(i, w, scale_grad_by_freq=True), [*arrays((5, 3)), index])
    compare(lambda f, lib, w, i: f.embedding(i, w, max_norm=0.5), [*arrays((5, 3)), index], grad=False)
    same_error(lambda f, lib, w, i: f.embedding(i, w), [*arrays((5, 3)), np.array([5])], "index out of range in self")
    same_error(lambda f, lib, w, i: f.embedding(i, w), [*arrays((5, 3), (2,))], "Long, Int")


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}])
def test_attention(options):
    compare(
        lambda f, lib, q, k, v: f.scaled_dot_product_attention(q, k, v, **options),
        arrays((2, 3, 4, 8), (2, 3, 5, 8), (2, 3, 5, 6)), tolerance=(1e-4, 1e-5),
    )  # fmt: skip


def test_attention_masks():
    mask = np.random.default_rng(0).random((4, 5)) < 0.6
    mask[:, 0] = True
    shapes = [(2, 4, 8), (2, 5, 8), (2, 5, 6)]
    compare(lambda f, lib, q, k, v, m: f.scaled_dot_product_attention(q, k, v, m), [*arrays(*shapes), mask])
    compare(lambda f, lib, q, k, v, m: f.scaled_dot_product_attention(q, k, v, m), arrays(*shapes, (4, 5)))
    compare(
        lambda f, lib, q, k, v: f.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        arrays((2, 6, 4, 8), (2, 2, 5, 8), (2, 2, 5, 8)),
    )


@pytest.mark.parametrize("layout", [False, True])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_keeps_what_is_no_number(mode, layout):
    """An infinite number at the border is repeated, and touches nothing else."""
    x = np.random.default_rng(0).standard_normal((2, 3, 40, 37)).astype(np.float32)
    x[0, 1, 0, 0], x[1, 2, -1, -2], x[1, 0, 1, 1] = np.inf, np.nan, -0.0
    found = []
    for lib in (swiftnet, torch):
        image = lib.tensor(x).contiguous(memory_format=lib.channels_last if layout else lib.contiguous_format)
        image.requires_grad_()
        y = lib.nn.functional.pad(image, (2, 1, 3, 0), mode=mode)
        y.backward(lib.ones_like(y) * 0.5)
        found.append([t.detach().numpy() for t in (y, image.grad)])
        assert y.is_contiguous(memory_format=lib.channels_last) == layout or lib is torch
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.signbit(found[0][0]).sum() == np.signbit(found[1][0]).sum()


@pytest.mark.parametrize("size", [(80, 74), (20, 19), (40, 74), (93, 37), (17, 31)])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
def test_interpolation_of_row_major_images(mode, size):
    x = arrays((2, 3, 40, 37))
    compare(lambda f, lib, x: f.interpolate(x, size, mode=mode), x, dtype="float64")
