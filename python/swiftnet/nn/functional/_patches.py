"""Patches of images, sampling at places of a grid, and pooling at random places."""

from swiftnet._core import integers, lib
from swiftnet._functions.indexing import unpack
from swiftnet._tensor import wrap
from swiftnet.nn.functional._activations import handle, optional

_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The patches of images (N, C, H, W) or (C, H, W) as columns (N, C · kernel elements, patches).

    Args:
        kernel_size: size of a patch; here and below one number or two.
        dilation: distance of a patch's elements.
        padding: zeros added on both sides.
        stride: distance of patches.
    """
    h = handle(input, "unfold")
    kernel, dilation, padding, stride = (integers(v) for v in (kernel_size, dilation, padding, stride))
    return wrap(
        lib.sn_unfold_patches(
            h, kernel, len(kernel), dilation, len(dilation), padding, len(padding), stride, len(stride)
        )
    )


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns (N, C · kernel elements, patches) as images (N, C, *output_size), summed where patches overlap.

    The transpose of `unfold`; for the arguments see there.
    """
    h = handle(input, "fold")
    size, kernel, dilation, padding, stride = (
        integers(v) for v in (output_size, kernel_size, dilation, padding, stride)
    )
    return wrap(
        lib.sn_fold_patches(
            h, size, len(size), kernel, len(kernel), dilation, len(dilation), padding, len(padding), stride,
            len(stride),
        )
    )  # fmt: skip


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """The elements of images (N, C, H, W) or volumes (N, C, D, H, W) at the places of a grid.

    Args:
        grid: (N, h, w, 2) or (N, d, h, w, 3): x, y (and z) from -1 to 1.
        mode: "bilinear", "nearest", or "bicubic" (images only).
        padding_mode: what lies outside: "zeros", "border" or "reflection".
        align_corners: -1 and 1 are the centres of the outermost elements, instead of their outer edges. Default: False,
            with a warning.
    """
    if mode not in _MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    h, g = handle(input, "grid_sample"), handle(grid, "grid_sample", "grid")
    if align_corners is None:
        _warn_corners("grid_sample")
    return wrap(lib.sn_grid_sample(h, g, _MODES[mode], _PADDINGS[padding_mode], bool(align_corners)))


def affine_grid(theta, size, align_corners=None):
    """The grid for `grid_sample` that maps the places of an output of the given size by affine maps.

    Args:
        theta: (N, 2, 3) or (N, 3, 4).
        size: (N, C, H, W) or (N, C, D, H, W).
    """
    h = handle(theta, "affine_grid", "theta")
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if align_corners is None:
        _warn_corners("affine_grid")
    sizes = integers(size)
    return wrap(lib.sn_affine_grid(h, sizes, len(sizes), bool(align_corners)))


def _warn_corners(name):
    import warnings

    warnings.warn(
        f"Default {name} behavior has changed to align_corners=False since 1.3.0. Please specify align_corners=True if "
        f"the old behavior is desired. See the documentation of {name} for details.",
        stacklevel=3,
    )


def _fractional(spatial, input, kernel_size, output_size, output_ratio, samples):
    name = f"fractional_max_pool{spatial}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    h, s = handle(input, name), optional(samples, name, "_random_samples")
    if output_size is None:
        ratios = [output_ratio] * spatial if isinstance(output_ratio, (int, float)) else list(output_ratio)
        if len(ratios) > spatial:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
        size = [int(n * ratio) for n, ratio in zip(input.shape[-spatial:], ratios, strict=True)]
    else:
        size = list(integers(output_size))
        size = size * spatial if len(size) == 1 else size
    kernel = integers(kernel_size)
    return tuple(unpack(lib.sn_fractional_max_pool(h, kernel, len(kernel), size, len(size), s)))


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool2d` with the places of the largest elements."""
    return _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """The largest elements of windows whose places are drawn at random (Graham, 2014, https://arxiv.org/abs/1412.6071).

    Args:
        kernel_size: size of the windows.
        output_size: number of windows in each dimension.
        output_ratio: the same as a share of the input's size.
        return_indices: also return the places of the largest elements.
        _random_samples: (N, C, 2), uniform numbers to use instead of new ones.
    """
    results = _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return results if return_indices else results[0]


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool3d` with the places of the largest elements."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """`fractional_max_pool2d` for volumes; _random_samples has shape (N, C, 3)."""
    results = _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return results if return_indices else results[0]


_BAGS = {"sum": 0, "mean": 1, "max": 2}


def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean", sparse=False,
    per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """Rows of `weight` at the indices `input`, taken together bag by bag.

    Args:
        input: (B, n), a bag in each row; or (n), cut into bags by `offsets`.
        offsets: (B), where each bag starts.
        max_norm: rows that are used and longer than this (in norm_type) are shortened, in place.
        scale_grad_by_freq: divide the gradient of a row by the number of its uses.
        mode: "sum", "mean" or "max".
        sparse: must be False; gradients are dense.
        per_sample_weights: of each index, with mode "sum".
        include_last_offset: offsets has one more number, the end of the last bag.
        padding_idx: an index that does not count.
    """
    name = "embedding_bag"
    if sparse:
        raise NotImplementedError("embedding_bag: sparse gradients are not supported")
    if mode not in _BAGS:
        raise ValueError("mode has to be one of sum, mean or max")
    h, w = handle(input, name), handle(weight, name, "weight")
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise AssertionError("padding_idx must be within num_embeddings")
    return wrap(
        lib.sn_embedding_bag(
            w, h, optional(offsets, name, "offsets"), _BAGS[mode],
            optional(per_sample_weights, name, "per_sample_weights"), padding_idx is not None, padding_idx or 0,
            -1.0 if max_norm is None else max_norm, norm_type, scale_grad_by_freq, include_last_offset,
        )
    )  # fmt: skip
