"""Convolutions and transposed convolutions."""

from swiftnet._core import integers
from swiftnet.nn.modules._binding import forward_values
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvNd(BuiltIn):
    """What all convolutions have in common."""

    transposed = False

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        dimensions = len(self.kernel_size)
        if self.padding != (0,) * dimensions:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * dimensions:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * dimensions:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text

    @property
    def output_padding(self):
        return (0,) * len(self.kernel_size)


_ARGUMENTS = """

    Args:
        in_channels, out_channels: channels of input and output.
        kernel_size: size of the kernel.
        stride: step of the window. Default: 1.
        padding: added on both sides; "same" keeps the size (stride 1 only), "valid" adds none. Default: 0.
        dilation: distance of the kernel's elements. Default: 1.
        groups: number of independent groups of channels. Default: 1.
        bias: whether to add a number to each channel. Default: True.
        padding_mode: "zeros", "reflect", "replicate" or "circular". Default: "zeros".

    Numbers for the spatial dimensions are one for all or a tuple.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel…); drawn from U(-k, k), k = 1 / √(in_channels / groups ·
            kernel elements).
        bias: (out_channels); likewise.
    """


class Conv1d(_ConvNd):
    __doc__ = "Convolution of (N, C, L) or (C, L), each output size ⌊(L + 2p - d (k - 1) - 1) / s⌋ + 1." + _ARGUMENTS
    _type = "Conv1d"

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        self._build(locals())


class Conv2d(_ConvNd):
    __doc__ = (
        "Convolution of (N, C, H, W) or (C, H, W), each output size ⌊(H + 2p - d (k - 1) - 1) / s⌋ + 1." + _ARGUMENTS
    )
    _type = "Conv2d"

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        self._build(locals())


class Conv3d(_ConvNd):
    __doc__ = (
        "Convolution of (N, C, D, H, W) or (C, D, H, W), each output size ⌊(D + 2p - d (k - 1) - 1) / s⌋ + 1."
        + _ARGUMENTS
    )
    _type = "Conv3d"

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        self._build(locals())


_TRANSPOSED_ARGUMENTS = """

    Args:
        in_channels, out_channels: channels of input and output.
        kernel_size: size of the kernel.
        stride: step of the result's window. Default: 1.
        padding: taken away on both sides of the result. Default: 0.
        output_padding: added at the end of the result. Default: 0.
        groups: number of independent groups of channels. Default: 1.
        bias: whether to add a number to each channel. Default: True.
        dilation: distance of the kernel's elements. Default: 1.

    Attributes:
        weight: (in_channels, out_channels / groups, kernel…); drawn from U(-k, k), k = 1 / √(out_channels / groups ·
            kernel elements).
        bias: (out_channels); likewise.
    """


class _ConvTransposeNd(_ConvNd):
    transposed = True

    def forward(self, input, output_size=None):
        """`output_size`: the result's size, where the stride leaves several possible."""
        if output_size is None:
            return BuiltIn.forward(self, input)
        return forward_values(self._sn, [input, tuple(integers(output_size))])


class ConvTranspose1d(_ConvTransposeNd):
    __doc__ = "The gradient of Conv1d with respect to its input, as a layer." + _TRANSPOSED_ARGUMENTS
    _type = "ConvTranspose1d"

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        self._build(locals())


class ConvTranspose2d(_ConvTransposeNd):
    __doc__ = "The gradient of Conv2d with respect to its input, as a layer." + _TRANSPOSED_ARGUMENTS
    _type = "ConvTranspose2d"

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        self._build(locals())


class ConvTranspose3d(_ConvTransposeNd):
    __doc__ = "The gradient of Conv3d with respect to its input, as a layer." + _TRANSPOSED_ARGUMENTS
    _type = "ConvTranspose3d"

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, padding_mode="zeros", device=None, dtype=None,
    ):  # fmt: skip
        self._build(locals())
