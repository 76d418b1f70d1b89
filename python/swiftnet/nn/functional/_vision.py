"""Resizing, rearranging, tables and attention."""

import math
import warnings

from swiftnet._core import NULL, ffi, lib
from swiftnet._tensor import wrap
from swiftnet.nn.functional._activations import handle, optional

_MODES = {
    "nearest": 0, "nearest-exact": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 3, "area": 4, "lanczos": 5,
}  # fmt: skip
_RANKS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5, "lanczos": 4}


def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
    antialias=False,
):  # fmt: skip
    """(N, C, …) resized to spatial sizes, or by factors.

    Args:
        mode: "nearest", "nearest-exact", "linear" (3D input), "bilinear", "bicubic" (4D), "trilinear" (5D), "area".
        align_corners: the first and last elements stay in place, instead of the edges of the image.
        recompute_scale_factor: use the ratio of the sizes instead of the given factor.
        antialias: filter as wide as an output element when shrinking ("bilinear", "bicubic").
    """
    h = handle(input, "interpolate")
    shape = input.shape
    spatial = len(shape) - 2
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                "trilinear"
            )
    elif mode not in _MODES:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {len(shape)}D) for the modes: nearest | "
            f"linear | bilinear"
            f" | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
        )
    if spatial not in (1, 2, 3):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {len(shape)}D) for the modes: "
            f"nearest | linear"
            f" | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
        )
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    scales = None
    if size is not None:
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        sizes = [int(n) for n in size] if isinstance(size, (tuple, list)) else [int(size)] * spatial
        if len(sizes) != spatial:
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got "
                f"input with spatial dimensions of {list(shape[2:])} and output size of {size}. "
                "Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                "output size in (o1, o2, ...,oK) format."
            )
    elif scale_factor is not None:
        factors = list(scale_factor) if isinstance(scale_factor, (tuple, list)) else [scale_factor] * spatial
        if len(factors) != spatial:
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got "
                f"input with spatial dimensions of {list(shape[2:])} and scale_factor of shape {scale_factor}. "
                "Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
                "scale_factor in (s1, s2, ...,sK) format."
            )
        sizes = [math.floor(float(n) * float(f)) for n, f in zip(shape[2:], factors, strict=True)]
        if not recompute_scale_factor:
            scales = [float(f) for f in factors]
    else:
        raise ValueError("either size or scale_factor should be defined")
    if mode in _RANKS and _RANKS[mode] != len(shape):
        raise NotImplementedError(f"Got {len(shape)}D input, but {mode} mode needs {_RANKS[mode]}D input")
    if mode == "lanczos":
        if align_corners:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
    if antialias and (mode not in ("bilinear", "bicubic", "lanczos") or len(shape) != 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    pointer = NULL if scales is None else ffi.new("double[]", scales)
    return wrap(lib.sn_interpolate(h, sizes, spatial, pointer, _MODES[mode], bool(align_corners), antialias))


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """The older name of `interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """`interpolate` with mode "nearest"."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """`interpolate` with mode "bilinear" and align_corners."""
    return interpolate(input, size, scale_factor, "bilinear", True)


def pixel_shuffle(input, upscale_factor):
    """(…, C·r², H, W) to (…, C, H·r, W·r)."""
    return wrap(lib.sn_pixel_shuffle(handle(input, "pixel_shuffle"), upscale_factor))


def pixel_unshuffle(input, downscale_factor):
    """The inverse of `pixel_shuffle`."""
    return wrap(lib.sn_pixel_unshuffle(handle(input, "pixel_unshuffle"), downscale_factor))


def channel_shuffle(input, groups):
    """The channels (dimension 1) of all groups dealt out in turn."""
    return wrap(lib.sn_channel_shuffle(handle(input, "channel_shuffle"), groups))


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """The rows of `weight` at the indices `input`.

    Args:
        padding_idx: an index whose row receives no gradient.
        max_norm: rows that are used and longer than this are shortened, in place.
        norm_type: the norm for `max_norm`.
        scale_grad_by_freq: divide the gradient of a row by the number of its uses.
        sparse: must be False; gradients are dense.
    """
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not supported")
    h, w = handle(input, "embedding"), handle(weight, "embedding", "weight")
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    return wrap(
        lib.sn_embedding(
            w, h, -1 if padding_idx is None else padding_idx, -1.0 if max_norm is None else max_norm, norm_type,
            scale_grad_by_freq,
        )
    )  # fmt: skip


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query · keyᵀ · scale + mask) · value.

    Args:
        query, key, value: (…, L, E), (…, S, E) and (…, S, Ev).
        attn_mask: broadcasts to (…, L, S); bool: True takes part; otherwise added.
        dropout_p: probability with which attention weights are dropped.
        is_causal: query i sees keys 0 … i only.
        scale: default 1 / √E.
        enable_gqa: query heads share key and value heads.
    """
    name = "scaled_dot_product_attention"
    q, k, v = handle(query, name, "query"), handle(key, name, "key"), handle(value, name, "value")
    m = optional(attn_mask, name, "attn_mask")
    return wrap(lib.sn_attention(q, k, v, m, dropout_p, is_causal, scale is not None, scale or 0.0, enable_gqa))
