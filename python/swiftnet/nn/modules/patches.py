"""Patches of images as columns, and pooling at random places."""

from swiftnet.nn.modules._binding import forward_values
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["Fold", "FractionalMaxPool2d", "FractionalMaxPool3d", "Unfold"]

_ARGUMENTS = """
        kernel_size: size of a patch; here and below one number or two.
        dilation: distance of a patch's elements. Default: 1.
        padding: zeros on both sides of the image. Default: 0.
        stride: distance of patches. Default: 1.
    """


class Unfold(BuiltIn):
    __doc__ = (
        """The patches of images (N, C, H, W) or (C, H, W) as columns (N, C · kernel elements, patches).

    Args:"""
        + _ARGUMENTS
    )
    _type = "Unfold"

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        self._build(locals())

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(BuiltIn):
    __doc__ = (
        """Columns (N, C · kernel elements, patches) as images (N, C, H, W), summed where patches overlap.

    Args:
        output_size: (H, W)."""
        + _ARGUMENTS
    )
    _type = "Fold"

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        self._build(locals())

    def extra_repr(self):
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class _FractionalMaxPool(BuiltIn):
    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        self._build(locals())

    def forward(self, input):
        return forward_values(self._sn, (input,))


_FRACTIONAL = """ with windows at random places (Graham, 2014, https://arxiv.org/abs/1412.6071).

    Args:
        kernel_size: size of the windows.
        output_size: number of windows in each dimension.
        output_ratio: the same as a share of the input's size, between 0 and 1.
        return_indices: also return the places of the largest elements. Default: False.
    """


class FractionalMaxPool2d(_FractionalMaxPool):
    __doc__ = "Max pooling of (N, C, H, W) or (C, H, W)" + _FRACTIONAL
    _type = "FractionalMaxPool2d"


class FractionalMaxPool3d(_FractionalMaxPool):
    __doc__ = "Max pooling of (N, C, D, H, W) or (C, D, H, W)" + _FRACTIONAL
    _type = "FractionalMaxPool3d"
