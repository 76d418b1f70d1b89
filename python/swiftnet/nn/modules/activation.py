"""Activations."""

from swiftnet.nn.modules.module import BuiltIn

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d",
    "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _InPlace(BuiltIn):
    """An activation whose only setting is `inplace`."""

    def __init__(self, inplace=False):
        self._build(locals())

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """max(x, 0), element by element.

    Args:
        inplace: write the result into the input. Default: False.
    """

    _type = "ReLU"


class SELU(_InPlace):
    """scale · (max(0, x) + min(0, α · (eˣ - 1))) with the constants of self-normalising networks (Klambauer et al.,
    2017, https://arxiv.org/abs/1706.02515).

    Args:
        inplace: write the result into the input. Default: False.
    """

    _type = "SELU"


class SiLU(_InPlace):
    """x · sigmoid(x), also called swish.

    Args:
        inplace: write the result into the input. Default: False.
    """

    _type = "SiLU"


class Mish(_InPlace):
    """x · tanh(softplus(x)) (Misra, 2019, https://arxiv.org/abs/1908.08681).

    Args:
        inplace: write the result into the input. Default: False.
    """

    _type = "Mish"


class _QuietInPlace(_InPlace):
    """As above; its text does not tell the setting."""

    def extra_repr(self):
        return ""


class Hardsigmoid(_QuietInPlace):
    """min(max(x + 3, 0), 6) / 6.

    Args:
        inplace: write the result into the input. Default: False.
    """

    _type = "Hardsigmoid"


class Hardswish(_QuietInPlace):
    """x · min(max(x + 3, 0), 6) / 6 (Howard et al., 2019, https://arxiv.org/abs/1905.02244).

    Args:
        inplace: write the result into the input. Default: False.
    """

    _type = "Hardswish"


class LeakyReLU(BuiltIn):
    """max(0, x) + negative_slope · min(0, x).

    Args:
        negative_slope: slope below 0. Default: 0.01.
        inplace: write the result into the input. Default: False.
    """

    _type = "LeakyReLU"

    def __init__(self, negative_slope=1e-2, inplace=False):
        self._build(locals())

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class ELU(BuiltIn):
    """x for x > 0, otherwise α · (eˣ - 1) (Clevert et al., 2015, https://arxiv.org/abs/1511.07289).

    Args:
        alpha: α. Default: 1.
        inplace: write the result into the input. Default: False.
    """

    _type = "ELU"

    def __init__(self, alpha=1.0, inplace=False):
        self._build(locals())

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class CELU(BuiltIn):
    """max(0, x) + min(0, α · (e^(x / α) - 1)) (Barron, 2017, https://arxiv.org/abs/1704.07483).

    Args:
        alpha: α. Default: 1.
        inplace: write the result into the input. Default: False.
    """

    _type = "CELU"

    def __init__(self, alpha=1.0, inplace=False):
        self._build(locals())

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class Hardtanh(BuiltIn):
    """min(max(x, min_val), max_val).

    Args:
        min_val, max_val: bounds. Default: -1 and 1.
        inplace: write the result into the input. Default: False.
    """

    _type = "Hardtanh"
    _not_settings = BuiltIn._not_settings | {"min_value", "max_value"}

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        if min_value is not None:
            _renamed("min_value", "min_val")
            min_val = min_value
        if max_value is not None:
            _renamed("max_value", "max_val")
            max_val = max_value
        if not max_val > min_val:
            raise AssertionError(f"max_val must be larger than min_val, got max_val={max_val} <= min_val={min_val}")
        self._build({"min_val": min_val, "max_val": max_val, "inplace": inplace})

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


def _renamed(old, new):
    import warnings

    warnings.warn(f"keyword argument `{old}` is deprecated and rename to `{new}`", FutureWarning, stacklevel=3)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6).

    Args:
        inplace: write the result into the input. Default: False.
    """

    _type = "ReLU6"
    min_val, max_val = 0.0, 6.0

    def __init__(self, inplace=False):
        self._build(locals())

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class Threshold(BuiltIn):
    """x for x > threshold, otherwise value.

    Args:
        threshold, value: the two numbers.
        inplace: write the result into the input. Default: False.
    """

    _type = "Threshold"

    def __init__(self, threshold, value, inplace=False):
        self._build(locals())

    def extra_repr(self):
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class RReLU(BuiltIn):
    """Leaky ReLU with slopes drawn from U(lower, upper) in training, their mean otherwise (Xu et al., 2015,
    https://arxiv.org/abs/1505.00853).

    Args:
        lower, upper: bounds of the slopes. Default: 1/8 and 1/3.
        inplace: write the result into the input. Default: False.
    """

    _type = "RReLU"

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        self._build(locals())

    def extra_repr(self):
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class _Plain(BuiltIn):
    """An activation without settings."""

    def __init__(self):
        self._build({})


class Sigmoid(_Plain):
    """1 / (1 + e⁻ˣ)."""

    _type = "Sigmoid"


class Tanh(_Plain):
    """tanh(x)."""

    _type = "Tanh"


class LogSigmoid(_Plain):
    """ln(sigmoid(x))."""

    _type = "LogSigmoid"


class Softsign(_Plain):
    """x / (1 + |x|)."""

    _type = "Softsign"


class Tanhshrink(_Plain):
    """x - tanh(x)."""

    _type = "Tanhshrink"


class Softmax2d(_Plain):
    """Softmax over the channels of (N, C, H, W) or (C, H, W)."""

    _type = "Softmax2d"


class GELU(BuiltIn):
    """x · Φ(x), Φ the normal distribution function (Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415).

    Args:
        approximate: "none", or "tanh" for the approximation by tanh. Default: "none".
    """

    _type = "GELU"

    def __init__(self, approximate="none"):
        self._build(locals())

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class Softplus(BuiltIn):
    """ln(1 + e^(β · x)) / β; x itself where β · x exceeds the threshold.

    Args:
        beta: β. Default: 1.
        threshold: Default: 20.
    """

    _type = "Softplus"

    def __init__(self, beta=1.0, threshold=20.0):
        self._build(locals())

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class Hardshrink(BuiltIn):
    """x, and 0 for |x| ≤ lambd.

    Args:
        lambd: Default: 0.5.
    """

    _type = "Hardshrink"

    def __init__(self, lambd=0.5):
        self._build(locals())

    def extra_repr(self):
        return f"{self.lambd}"


class Softshrink(BuiltIn):
    """x moved toward 0 by lambd, and 0 where that would pass it.

    Args:
        lambd: Default: 0.5.
    """

    _type = "Softshrink"

    def __init__(self, lambd=0.5):
        self._build(locals())

    def extra_repr(self):
        return str(self.lambd)


class PReLU(BuiltIn):
    """max(0, x) + a · min(0, x) with a learnt a (He et al., 2015, https://arxiv.org/abs/1502.01852).

    Args:
        num_parameters: one a, or one for each channel (dimension 1). Default: 1.
        init: first value of a. Default: 0.25.

    Attributes:
        weight: a, (num_parameters).
    """

    _type = "PReLU"

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        self._build(locals())

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class GLU(BuiltIn):
    """The first half of a dimension times the sigmoid of the second (Dauphin et al., 2016,
    https://arxiv.org/abs/1612.08083).

    Args:
        dim: the dimension. Default: -1.
    """

    _type = "GLU"

    def __init__(self, dim=-1):
        self._build(locals())

    def extra_repr(self):
        return f"dim={self.dim}"


class _Softmax(BuiltIn):
    """An activation along a dimension."""

    def __init__(self, dim=None):
        self._build(locals())

    def extra_repr(self):
        return f"dim={self.dim}"

    def forward(self, input):
        if self.dim is None:
            import warnings

            warnings.warn(
                f"Implicit dimension choice for {self._get_name().lower()} has been deprecated. Change the call to "
                "include dim=X as an argument.",
                stacklevel=3,
            )
        return BuiltIn.forward(self, input)


class Softmax(_Softmax):
    """exp(x) / Σ exp(x) along a dimension.

    Args:
        dim: the dimension along which the result sums to 1.
    """

    _type = "Softmax"


class LogSoftmax(_Softmax):
    """The logarithm of softmax along a dimension.

    Args:
        dim: the dimension.
    """

    _type = "LogSoftmax"


class Softmin(_Softmax):
    """Softmax of -x along a dimension.

    Args:
        dim: the dimension.
    """

    _type = "Softmin"

    def extra_repr(self):
        return f"dim={self.dim}"
