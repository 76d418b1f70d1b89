"""Convolutions and transposed convolutions."""

from swiftnet._core import integers, lib
from swiftnet._tensor import wrap
from swiftnet.nn.functional._activations import handle, optional


def _convolution(name, spatial, input, weight, bias, stride, padding, dilation, groups):
    h, w, b = handle(input, name), handle(weight, name, "weight"), optional(bias, name, "bias")
    if lib.sn_rank(w) != spatial + 2:
        raise RuntimeError(
            f"{name}: expected weight to have {spatial + 2} dimensions, but got weight of size {list(weight.shape)}"
        )
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        count, padding = (-1, ()) if padding == "same" else (1, (0,))
    else:
        padding = integers(padding)
        count = len(padding)
    stride, dilation = integers(stride), integers(dilation)
    return wrap(lib.sn_convolution(h, w, b, stride, len(stride), padding, count, dilation, len(dilation), groups))


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of (N, C, L) or (C, L) with a weight (out, in / groups, k).

    Args:
        stride: step of the window.
        padding: zeros on both sides; "same" keeps the size (stride 1 only), "valid" adds none.
        dilation: distance of the kernel's elements.
        groups: number of independent groups of channels.
    """
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of (N, C, H, W) or (C, H, W) with a weight (out, in / groups, kH, kW). See `conv1d`."""
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of (N, C, D, H, W) or (C, D, H, W) with a weight (out, in / groups, kD, kH, kW). See `conv1d`."""
    return _convolution("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _transposed(name, spatial, input, weight, bias, stride, padding, output_padding, groups, dilation):
    h, w, b = handle(input, name), handle(weight, name, "weight"), optional(bias, name, "bias")
    if lib.sn_rank(w) != spatial + 2:
        raise RuntimeError(
            f"{name}: expected weight to have {spatial + 2} dimensions, but got weight of size {list(weight.shape)}"
        )
    stride, padding = integers(stride), integers(padding)
    extra, dilation = integers(output_padding), integers(dilation)
    return wrap(
        lib.sn_transposed_convolution(
            h, w, b, stride, len(stride), padding, len(padding), extra, len(extra), dilation, len(dilation), groups
        )
    )


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The gradient of `conv1d` with respect to its input, as an operation; weight (in, out / groups, k).

    Args:
        padding: takes dilation · (k - 1) - padding zeros on both sides; so it cuts the output.
        output_padding: adds to the output's size on one side.
    """
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The gradient of `conv2d` with respect to its input, as an operation. See `conv_transpose1d`."""
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The gradient of `conv3d` with respect to its input, as an operation. See `conv_transpose1d`."""
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
