"""Activations, softmax and linear maps."""

import warnings

from swiftnet import _dtypes
from swiftnet._core import NULL, check, lib
from swiftnet._tensor import Tensor, _codes, wrap


def handle(value, function, name="input"):
    """The handle of a tensor argument, or TypeError."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(value).__name__}")
    return value._h


def optional(value, function, name):
    """The handle of a tensor argument that may be None."""
    return NULL if value is None else handle(value, function, name)


def into(target, result):
    """Makes the result of an operation on `target` its new value."""
    if result is not target:
        check(lib.sn_become_(target._h, result._h))
    return target


(
    _RELU, _RELU6, _SELU, _SILU, _MISH, _HARDSIGMOID, _HARDSWISH, _SOFTSIGN, _TANHSHRINK, _LOGSIGMOID, _SIGMOID, _TANH,
    _LEAKY_RELU, _ELU, _CELU, _GELU, _SOFTPLUS, _HARDSHRINK, _SOFTSHRINK, _HARDTANH, _THRESHOLD,
) = _codes(
    "relu", "relu6", "selu", "silu", "mish", "hardsigmoid", "hardswish", "softsign", "tanhshrink", "logSigmoid",
    "sigmoid", "tanh", "leakyRelu", "elu", "celu", "gelu", "softplus", "hardshrink", "softshrink", "hardtanh",
    "threshold",
)  # fmt: skip


def _apply(name, code, input, inplace=False, p=0.0, q=0.0, r=0.0):
    h = handle(input, name)
    if inplace:
        check(lib.sn_unary_(code, h, p, q, r))
        return input
    return wrap(lib.sn_unary(code, h, p, q, r))


def relu(input, inplace=False):
    """max(x, 0)."""
    return _apply("relu", _RELU, input, inplace)


def relu6(input, inplace=False):
    """min(max(x, 0), 6)."""
    return _apply("relu6", _RELU6, input, inplace)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x for x > 0, otherwise negative_slope · x."""
    return _apply("leaky_relu", _LEAKY_RELU, input, inplace, negative_slope)


def elu(input, alpha=1.0, inplace=False):
    """x for x > 0, otherwise alpha · (eˣ - 1)."""
    return _apply("elu", _ELU, input, inplace, alpha, 1.0, 1.0)


def selu(input, inplace=False):
    """The self-normalising ELU (Klambauer et al., 2017)."""
    return _apply("selu", _SELU, input, inplace)


def celu(input, alpha=1.0, inplace=False):
    """max(0, x) + min(0, alpha · (e^(x / alpha) - 1))."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _apply("celu", _CELU, input, inplace, alpha)


def gelu(input, approximate="none"):
    """x · Φ(x); approximate="tanh" uses its approximation by tanh."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _apply("gelu", _GELU, input, False, float(approximate == "tanh"))


def silu(input, inplace=False):
    """x · sigmoid(x)."""
    return _apply("silu", _SILU, input, inplace)


def mish(input, inplace=False):
    """x · tanh(softplus(x))."""
    return _apply("mish", _MISH, input, inplace)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """min(max(x, min_val), max_val)."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _apply("hardtanh", _HARDTANH, input, inplace, min_val, max_val)


def hardsigmoid(input, inplace=False):
    """min(max(x + 3, 0), 6) / 6."""
    return _apply("hardsigmoid", _HARDSIGMOID, input, inplace)


def hardswish(input, inplace=False):
    """x · hardsigmoid(x)."""
    return _apply("hardswish", _HARDSWISH, input, inplace)


def sigmoid(input):
    """1 / (1 + e⁻ˣ)."""
    return _apply("sigmoid", _SIGMOID, input)


def tanh(input):
    """The hyperbolic tangent."""
    return _apply("tanh", _TANH, input)


def logsigmoid(input):
    """ln(sigmoid(x))."""
    return _apply("logsigmoid", _LOGSIGMOID, input)


def softplus(input, beta=1, threshold=20):
    """ln(1 + e^(beta·x)) / beta; x itself where beta · x exceeds the threshold."""
    return _apply("softplus", _SOFTPLUS, input, False, beta, threshold)


def softsign(input):
    """x / (1 + |x|)."""
    return _apply("softsign", _SOFTSIGN, input)


def tanhshrink(input):
    """x - tanh(x)."""
    return _apply("tanhshrink", _TANHSHRINK, input)


def softshrink(input, lambd=0.5):
    """x moved toward 0 by lambd, and 0 where that would pass it."""
    h = handle(input, "softshrink")
    if not lambd >= 0:
        kind = {0: "Float", 1: "Double", 2: "Half", 3: "BFloat16"}.get(lib.sn_dtype(h), "Long")
        limit = _dtypes.finfo(input.dtype).max if input.dtype.is_floating_point else 0
        raise RuntimeError(f"lambda must be in range [0, {limit:g}] for input dtype {kind}, but found {lambd:g}")
    return _apply("softshrink", _SOFTSHRINK, input, False, lambd)


def hardshrink(input, lambd=0.5):
    """x, and 0 for |x| ≤ lambd."""
    return _apply("hardshrink", _HARDSHRINK, input, False, lambd)


def threshold(input, threshold, value, inplace=False):
    """x where it exceeds the threshold, otherwise value."""
    return _apply("threshold", _THRESHOLD, input, inplace, threshold, value)


def prelu(input, weight):
    """x for x > 0, otherwise weight · x; one weight, or one for each channel (dimension 1)."""
    return wrap(lib.sn_prelu(handle(input, "prelu"), handle(weight, "prelu", "weight")))


def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """Leaky ReLU with slopes drawn uniformly from [lower, upper] in training, and their mean otherwise."""
    result = wrap(lib.sn_rrelu(handle(input, "rrelu"), lower, upper, training))
    return into(input, result) if inplace else result


def glu(input, dim=-1):
    """The first half of a dimension times the sigmoid of the second."""
    return wrap(lib.sn_glu(handle(input, "glu"), dim))


def relu_(input):
    """`relu` in place."""
    return relu(input, True)


def elu_(input, alpha=1.0):
    """`elu` in place."""
    return elu(input, alpha, True)


def selu_(input):
    """`selu` in place."""
    return selu(input, True)


def celu_(input, alpha=1.0):
    """`celu` in place."""
    return celu(input, alpha, True)


def leaky_relu_(input, negative_slope=0.01):
    """`leaky_relu` in place."""
    return leaky_relu(input, negative_slope, True)


def hardtanh_(input, min_val=-1.0, max_val=1.0):
    """`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, True)


def rrelu_(input, lower=1.0 / 8, upper=1.0 / 3, training=False):
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, True)


def threshold_(input, threshold, value):
    """`threshold` in place."""
    return globals()["threshold"](input, threshold, value, True)


def _implicit_dim(name, rank, stacklevel):
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if rank in (0, 1, 3) else 1


def _softmax(name, input, dim, stacklevel, dtype, log):
    h = handle(input, name)
    if dim is None:
        dim = _implicit_dim(name, lib.sn_rank(h), stacklevel + 1)
    return wrap(lib.sn_softmax(h, dim, _dtypes.code(dtype), log))


def softmax(input, dim=None, _stacklevel=3, dtype=None):
    """exp(x) / Σ exp(x) along a dimension."""
    return _softmax("softmax", input, dim, _stacklevel, dtype, 0)


def log_softmax(input, dim=None, _stacklevel=3, dtype=None):
    """The logarithm of `softmax`, computed without overflow."""
    return _softmax("log_softmax", input, dim, _stacklevel, dtype, 1)


def softmin(input, dim=None, _stacklevel=3, dtype=None):
    """`softmax` of -x."""
    negative = -input
    return _softmax("softmin", negative, dim, _stacklevel, dtype, 0)


def gumbel_softmax(logits, tau=1, hard=False, eps=1e-10, dim=-1):
    """A differentiable sample of a categorical distribution (Jang et al., 2017).

    Args:
        logits: unnormalised log probabilities.
        tau: temperature; the smaller, the closer to one-hot.
        hard: one-hot samples with the gradient of the soft ones.
        eps: has no effect.
        dim: the dimension of the categories.
    """
    return wrap(lib.sn_gumbel_softmax(handle(logits, "gumbel_softmax", "logits"), tau, hard, dim))


def linear(input, weight, bias=None):
    """input · weightᵀ + bias for input (…, in), weight (out, in) and bias (out)."""
    return wrap(
        lib.sn_linear(handle(input, "linear"), handle(weight, "linear", "weight"), optional(bias, "linear", "bias"))
    )


def bilinear(input1, input2, weight, bias=None):
    """Σᵢⱼ input1[…, i] · weight[o, i, j] · input2[…, j] + bias[o]."""
    return wrap(
        lib.sn_bilinear(
            handle(input1, "bilinear", "input1"), handle(input2, "bilinear", "input2"),
            handle(weight, "bilinear", "weight"), optional(bias, "bilinear", "bias"),
        )
    )  # fmt: skip
