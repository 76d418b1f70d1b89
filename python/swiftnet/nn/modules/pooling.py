"""Pooling."""

from swiftnet._core import integers
from swiftnet.nn.modules._binding import forward_values
from swiftnet.nn.modules.module import BuiltIn

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


class _MaxPoolNd(BuiltIn):
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        self._build(locals())

    def forward(self, input):
        if self.return_indices:
            return forward_values(self._sn, (input,))
        return BuiltIn.forward(self, input)

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


_MAX = """

    Args:
        kernel_size: size of the window.
        stride: its step. Default: its size.
        padding: positions added on both sides, which never win. Default: 0.
        dilation: distance of the window's elements. Default: 1.
        return_indices: give also the places of the maxima, for MaxUnpool. Default: False.
        ceil_mode: also take a last window that reaches beyond the end. Default: False.
    """


class MaxPool1d(_MaxPoolNd):
    __doc__ = "The largest element of each window of (N, C, L) or (C, L)." + _MAX
    _type = "MaxPool1d"


class MaxPool2d(_MaxPoolNd):
    __doc__ = "The largest element of each window of (N, C, H, W) or (C, H, W)." + _MAX
    _type = "MaxPool2d"


class MaxPool3d(_MaxPoolNd):
    __doc__ = "The largest element of each window of (N, C, D, H, W) or (C, D, H, W)." + _MAX
    _type = "MaxPool3d"


class _MaxUnpoolNd(BuiltIn):
    def __init__(self, kernel_size, stride=None, padding=0):
        self._build(locals())

    def forward(self, input, indices, output_size=None):
        """`output_size`: the result's size, where the stride leaves several possible."""
        inputs = [input, indices] + ([] if output_size is None else [tuple(integers(output_size))])
        return forward_values(self._sn, inputs)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


_UNPOOL = """

    Args:
        kernel_size, stride, padding: those of the pooling.
    """


class MaxUnpool1d(_MaxUnpoolNd):
    __doc__ = "The inverse of MaxPool1d with indices, zeros elsewhere." + _UNPOOL
    _type = "MaxUnpool1d"


class MaxUnpool2d(_MaxUnpoolNd):
    __doc__ = "The inverse of MaxPool2d with indices, zeros elsewhere." + _UNPOOL
    _type = "MaxUnpool2d"


class MaxUnpool3d(_MaxUnpoolNd):
    __doc__ = "The inverse of MaxPool3d with indices, zeros elsewhere." + _UNPOOL
    _type = "MaxUnpool3d"


class _AvgPoolNd(BuiltIn):
    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


_AVG = """

    Args:
        kernel_size: size of the window.
        stride: its step. Default: its size.
        padding: zeros on both sides. Default: 0.
        ceil_mode: also take a last window that reaches beyond the end. Default: False.
        count_include_pad: whether padding counts in the divisor. Default: True.
    """
_DIVISOR = """    divisor_override: the divisor itself. Default: None.
    """


class AvgPool1d(_AvgPoolNd):
    __doc__ = "The mean of each window of (N, C, L) or (C, L)." + _AVG
    _type = "AvgPool1d"

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        stride = kernel_size if stride is None else stride
        dimension = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        self._build(
            {name: tuple(integers(value)) for name, value in dimension.items()}
            | {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
        )


class AvgPool2d(_AvgPoolNd):
    __doc__ = "The mean of each window of (N, C, H, W) or (C, H, W)." + _AVG + _DIVISOR
    _type = "AvgPool2d"

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        self._build(locals())


class AvgPool3d(_AvgPoolNd):
    __doc__ = "The mean of each window of (N, C, D, H, W) or (C, D, H, W)." + _AVG + _DIVISOR
    _type = "AvgPool3d"

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        self._build(locals())


class _LPPoolNd(BuiltIn):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        self._build(locals())

    def extra_repr(self):
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


_LP = """

    Args:
        norm_type: p.
        kernel_size: size of the window.
        stride: its step. Default: its size.
        ceil_mode: also take a last window that reaches beyond the end. Default: False.
    """


class LPPool1d(_LPPoolNd):
    __doc__ = "(Σ xᵖ)^(1/p) of each window of (N, C, L) or (C, L)." + _LP
    _type = "LPPool1d"


class LPPool2d(_LPPoolNd):
    __doc__ = "(Σ xᵖ)^(1/p) of each window of (N, C, H, W) or (C, H, W)." + _LP
    _type = "LPPool2d"


class LPPool3d(_LPPoolNd):
    __doc__ = "(Σ xᵖ)^(1/p) of each window of (N, C, D, H, W) or (C, D, H, W)." + _LP
    _type = "LPPool3d"


class _OutputSize:
    """The setting `output_size`, where Swift's -1 stands for None."""

    def __get__(self, module, owner=None):
        if module is None:
            return self
        if "_output_size" in module.__dict__:
            return module.__dict__["_output_size"]
        # A module that Swift has made.
        from swiftnet.nn.modules._binding import Setting

        value = Setting("output_size").__get__(module)
        return tuple(None if v == -1 else v for v in value) if isinstance(value, tuple) else value

    def __set__(self, module, value):
        from swiftnet.nn.modules._binding import Setting

        Setting("output_size").__set__(module, _sizes(value))
        module.__dict__["_output_size"] = tuple(value) if isinstance(value, list) else value


def _sizes(value):
    return tuple(-1 if v is None else v for v in value) if isinstance(value, (tuple, list)) else value


class _AdaptiveMaxPoolNd(BuiltIn):
    _not_settings = BuiltIn._not_settings | {"output_size"}
    output_size = _OutputSize()

    def __init__(self, output_size, return_indices=False):
        self._build({"output_size": _sizes(output_size), "return_indices": return_indices})
        self.output_size = output_size

    def forward(self, input):
        if self.return_indices:
            return forward_values(self._sn, (input,))
        return BuiltIn.forward(self, input)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class _AdaptiveAvgPoolNd(BuiltIn):
    _not_settings = BuiltIn._not_settings | {"output_size"}
    output_size = _OutputSize()

    def __init__(self, output_size):
        self._build({"output_size": _sizes(output_size)})
        self.output_size = output_size

    def extra_repr(self):
        return f"output_size={self.output_size}"


_ADAPTIVE = """ of windows that share the input out.

    Args:
        output_size: sizes of the result: a number for all dimensions or a tuple; None keeps the input's size.
    """
_INDICES = """    return_indices: give also the places of the maxima. Default: False.
    """


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    __doc__ = "The largest elements" + _ADAPTIVE + _INDICES
    _type = "AdaptiveMaxPool1d"


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    __doc__ = "The largest elements" + _ADAPTIVE + _INDICES
    _type = "AdaptiveMaxPool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    __doc__ = "The largest elements" + _ADAPTIVE + _INDICES
    _type = "AdaptiveMaxPool3d"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    __doc__ = "The means" + _ADAPTIVE
    _type = "AdaptiveAvgPool1d"


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    __doc__ = "The means" + _ADAPTIVE
    _type = "AdaptiveAvgPool2d"


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    __doc__ = "The means" + _ADAPTIVE
    _type = "AdaptiveAvgPool3d"
