"""Padding."""

from swiftnet._core import integers
from swiftnet.nn.modules.module import BuiltIn

__all__ = [
    f"{kind}{dimensions}d"
    for kind in ("CircularPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad")
    for dimensions in (1, 2, 3)
]


class _PadNd(BuiltIn):
    def __init__(self, padding):
        padding = padding if isinstance(padding, int) else tuple(integers(padding))
        self._build({"padding": padding})

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPadNd(BuiltIn):
    def __init__(self, padding, value):
        padding = padding if isinstance(padding, int) else tuple(integers(padding))
        self._build({"padding": padding, "value": value})

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


_ARGUMENTS = """

    Args:
        padding: amounts before and after each dimension, the last one first; or one number for all. Negative ones
            crop.
    """


class ZeroPad1d(_PadNd):
    __doc__ = "Zeros around the last dimension." + _ARGUMENTS
    _type = "ZeroPad1d"


class ZeroPad2d(_PadNd):
    __doc__ = "Zeros around the last two dimensions." + _ARGUMENTS
    _type = "ZeroPad2d"


class ZeroPad3d(_PadNd):
    __doc__ = "Zeros around the last three dimensions." + _ARGUMENTS
    _type = "ZeroPad3d"


class ConstantPad1d(_ConstantPadNd):
    __doc__ = "A value around the last dimension." + _ARGUMENTS
    _type = "ConstantPad1d"


class ConstantPad2d(_ConstantPadNd):
    __doc__ = "A value around the last two dimensions." + _ARGUMENTS
    _type = "ConstantPad2d"


class ConstantPad3d(_ConstantPadNd):
    __doc__ = "A value around the last three dimensions." + _ARGUMENTS
    _type = "ConstantPad3d"


class ReflectionPad1d(_PadNd):
    __doc__ = "A mirror image around the last dimension, without its border." + _ARGUMENTS
    _type = "ReflectionPad1d"


class ReflectionPad2d(_PadNd):
    __doc__ = "A mirror image around the last two dimensions, without their border." + _ARGUMENTS
    _type = "ReflectionPad2d"


class ReflectionPad3d(_PadNd):
    __doc__ = "A mirror image around the last three dimensions, without their border." + _ARGUMENTS
    _type = "ReflectionPad3d"


class ReplicationPad1d(_PadNd):
    __doc__ = "The border repeated around the last dimension." + _ARGUMENTS
    _type = "ReplicationPad1d"


class ReplicationPad2d(_PadNd):
    __doc__ = "The border repeated around the last two dimensions." + _ARGUMENTS
    _type = "ReplicationPad2d"


class ReplicationPad3d(_PadNd):
    __doc__ = "The border repeated around the last three dimensions." + _ARGUMENTS
    _type = "ReplicationPad3d"


class CircularPad1d(_PadNd):
    __doc__ = "The other end of the last dimension." + _ARGUMENTS
    _type = "CircularPad1d"


class CircularPad2d(_PadNd):
    __doc__ = "The other ends of the last two dimensions." + _ARGUMENTS
    _type = "CircularPad2d"


class CircularPad3d(_PadNd):
    __doc__ = "The other ends of the last three dimensions." + _ARGUMENTS
    _type = "CircularPad3d"
