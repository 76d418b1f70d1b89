"""Affine maps."""

from swiftnet._core import fail, lib
from swiftnet._tensor import wrap
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["Bilinear", "Identity", "Linear"]


class Identity(BuiltIn):
    """What comes in goes out; the arguments have no effect."""

    _type = "Identity"

    def __init__(self, *args, **kwargs):
        self._build({})

    def forward(self, input):
        return input


class Linear(BuiltIn):
    """y = x · Wᵀ + b.

    Args:
        in_features, out_features: sizes of the last dimension of input and output.
        bias: whether to add b. Default: True.

    Shape: (…, in_features) to (…, out_features).

    Attributes:
        weight: W, (out_features, in_features); drawn from U(-k, k) with k = 1 / √in_features.
        bias: b, (out_features); likewise.

    >>> nn.Linear(20, 30)(swiftnet.randn(128, 20)).shape
    swiftnet.Size([128, 30])
    """

    _type = "Linear"

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        self._build(locals())

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(BuiltIn):
    """y = x₁ᵀ · A · x₂ + b.

    Args:
        in1_features, in2_features, out_features: sizes of the last dimensions.
        bias: whether to add b. Default: True.

    Shape: (…, in1_features) and (…, in2_features) to (…, out_features).

    Attributes:
        weight: A, (out, in1, in2); drawn from U(-k, k) with k = 1 / √in1_features.
        bias: b, (out); likewise.
    """

    _type = "Bilinear"

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
        self._build(locals())

    def forward(self, input1, input2):
        return forward2(self, input1, input2)

    def extra_repr(self):
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


def forward2(module, first, second):
    """Runs a Swift module on two tensors."""
    try:
        h = lib.sn_module_forward2(module._sn, first._h, second._h)
    except AttributeError:
        for position, value in enumerate((first, second), 1):
            if not hasattr(value, "_h"):
                raise TypeError(
                    f"{module._get_name()}: argument {position} must be Tensor, not {type(value).__name__}"
                ) from None
        raise
    if not h:
        fail()
    return wrap(h)
