"""Pooling."""

from swiftnet._core import NULL, ffi, integers, lib
from swiftnet._tensor import wrap
from swiftnet.nn.functional._activations import handle


def _max_pool(spatial, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    h = handle(input, f"max_pool{spatial}d")
    kernel, padding, dilation = integers(kernel_size), integers(padding), integers(dilation)
    stride = () if stride is None else integers(stride)
    indices = ffi.new("sn_tensor *") if return_indices else NULL
    result = wrap(
        lib.sn_max_pool(
            h, spatial, kernel, len(kernel), stride, len(stride), padding, len(padding), dilation, len(dilation),
            ceil_mode, indices,
        )
    )  # fmt: skip
    return (result, wrap(indices[0])) if return_indices else result


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window of (N, C, L) or (C, L).

    Args:
        stride: step of the window; default: its size.
        padding: positions added on both sides, which never win.
        ceil_mode: also take a last window that reaches beyond the end.
        return_indices: also return the places of the largest elements, for `max_unpool1d`.
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window of (N, C, H, W) or (C, H, W). See `max_pool1d`."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest element of each window of (N, C, D, H, W) or (C, D, H, W). See `max_pool1d`."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=False):  # fmt: skip
    """`max_pool1d` with the places of the largest elements."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=False):  # fmt: skip
    """`max_pool2d` with the places of the largest elements."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                            return_indices=False):  # fmt: skip
    """`max_pool3d` with the places of the largest elements."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def _output_size(spatial, size):
    values = list(size) if isinstance(size, (tuple, list)) else [size] * spatial
    if len(values) == 1:
        values *= spatial
    if len(values) != spatial:
        raise ValueError(f"output_size must have {spatial} elements, got {size}")
    return [-1 if value is None else int(value) for value in values]


def _adaptive_max_pool(spatial, input, output_size, return_indices):
    h = handle(input, f"adaptive_max_pool{spatial}d")
    size = _output_size(spatial, output_size)
    indices = ffi.new("sn_tensor *") if return_indices else NULL
    result = wrap(lib.sn_adaptive_max_pool(h, size, spatial, indices))
    return (result, wrap(indices[0])) if return_indices else result


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest elements of windows that share the input out; output_size None keeps the input's."""
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest elements of windows that share the input out; sizes of None keep the input's."""
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The largest elements of windows that share the input out; sizes of None keep the input's."""
    return _adaptive_max_pool(3, input, output_size, return_indices)


def _avg_pool(spatial, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor):
    h = handle(input, f"avg_pool{spatial}d")
    kernel, padding = integers(kernel_size), integers(padding)
    stride = () if stride is None else integers(stride)
    return wrap(
        lib.sn_avg_pool(
            h, spatial, kernel, len(kernel), stride, len(stride), padding, len(padding), ceil_mode, count_include_pad,
            divisor is not None, 0 if divisor is None else divisor,
        )
    )  # fmt: skip


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window of (N, C, L) or (C, L). See `avg_pool2d`."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of (N, C, H, W) or (C, H, W).

    Args:
        stride: step of the window; default: its size.
        padding: zeros on both sides.
        ceil_mode: also take a last window that reaches beyond the end.
        count_include_pad: whether padding counts in the divisor.
        divisor_override: the divisor itself.
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W). See `avg_pool2d`."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool1d` with the places of the largest elements."""
    return _adaptive_max_pool(1, input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool2d` with the places of the largest elements."""
    return _adaptive_max_pool(2, input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool3d` with the places of the largest elements."""
    return _adaptive_max_pool(3, input, output_size, True)


def _adaptive_avg_pool(spatial, input, output_size):
    h = handle(input, f"adaptive_avg_pool{spatial}d")
    return wrap(lib.sn_adaptive_avg_pool(h, _output_size(spatial, output_size), spatial))


def adaptive_avg_pool1d(input, output_size):
    """The means of windows that share the input out."""
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The means of windows that share the input out; sizes of None keep the input's."""
    return _adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """The means of windows that share the input out; sizes of None keep the input's."""
    return _adaptive_avg_pool(3, input, output_size)


def _lp_pool(spatial, input, norm_type, kernel_size, stride, ceil_mode):
    h = handle(input, f"lp_pool{spatial}d")
    if norm_type == 0:
        raise ZeroDivisionError("float division by zero")
    kernel = integers(kernel_size)
    stride = () if stride is None else integers(stride)
    return wrap(lib.sn_lp_pool(h, spatial, float(norm_type), kernel, len(kernel), stride, len(stride), ceil_mode))


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of (N, C, L) or (C, L), p = norm_type."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of (N, C, H, W) or (C, H, W), p = norm_type."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of (N, C, D, H, W) or (C, D, H, W), p = norm_type."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _max_unpool(spatial, input, indices, kernel_size, stride, padding, output_size):
    name = f"max_unpool{spatial}d"
    h, i = handle(input, name), handle(indices, name, "indices")

    def each(value):
        values = integers(value)
        return values * spatial if len(values) == 1 else values

    kernel, padding = each(kernel_size), each(padding)
    step = kernel if stride is None else each(stride)
    sizes = input.shape[-spatial:]
    default = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(sizes, step, padding, kernel, strict=True)]
    if output_size is None:
        size = default
    else:
        size = list(output_size)
        if len(size) == spatial + 2:
            size = size[2:]
        if len(size) != spatial:
            raise ValueError(
                f"output_size should be a sequence containing {spatial} or {spatial + 2} elements, but it has a length "
                f"of '{len(size)}'"
            )
        for d, (n, middle, s) in enumerate(zip(size, default, step, strict=True)):
            if not middle - s < n < middle + s:
                raise ValueError(
                    f"invalid output_size '{size}' (dim {d} must be between {middle - s} and {middle + s})"
                )
    return wrap(lib.sn_max_unpool(h, i, size, spatial))


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts the elements where `max_pool1d` found them; zeros elsewhere."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts the elements where `max_pool2d` found them; zeros elsewhere."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Puts the elements where `max_pool3d` found them; zeros elsewhere."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
