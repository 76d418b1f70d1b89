"""`out=` of the functions at the top level: one way for all of them."""

import functools
import warnings

from swiftnet._core import lib
from swiftnet._tensor import Tensor

# Functions that take a tensor (or, for several results, a tuple) to write to.
NAMES = (
    "abs", "absolute", "acos", "acosh", "add", "addbmm", "addcdiv", "addcmul", "addmm", "addmv", "addr", "all",
    "amax", "amin", "aminmax", "any", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "argmax", "argmin", "argsort", "asin", "asinh", "atan", "atan2", "atanh", "baddbmm", "bernoulli",
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bmm",
    "bucketize", "cat", "ceil", "chain_matmul", "cholesky", "clamp", "clamp_max", "clamp_min", "clip", "column_stack",
    "concat", "concatenate", "copysign", "cos", "cosh", "cross", "cummax", "cummin", "cumprod", "cumsum", "deg2rad",
    "diag", "diff", "digamma", "div", "divide", "dot", "dstack", "empty", "eq", "erf", "erfc", "erfinv", "exp",
    "exp2", "expm1", "eye", "fix", "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod", "frac", "full",
    "gather", "gcd", "ge", "ger", "greater", "greater_equal", "gt", "heaviside", "histc", "hstack", "hypot", "i0",
    "index_add", "index_copy", "index_fill", "index_select", "inner", "inverse", "isin", "isneginf", "isposinf",
    "kron", "kthvalue", "lcm", "ldexp", "le", "lerp", "less", "less_equal", "lgamma", "linspace", "log", "log10",
    "log1p", "log2", "log_softmax", "logaddexp", "logaddexp2", "logcumsumexp", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logit", "logspace", "logsumexp", "lt", "masked_select", "matmul", "matrix_power",
    "max", "maximum", "mean", "median", "min", "minimum", "mm", "mode", "msort", "mul", "multinomial", "multiply",
    "mv", "mvlgamma", "nan_to_num", "nanmean", "nanmedian", "nanquantile", "nansum", "ne", "neg", "negative",
    "nextafter", "nonzero", "norm", "normal", "not_equal", "ones", "outer", "polygamma", "positive", "pow", "prod",
    "quantile", "rad2deg", "rand", "randint", "randn", "randperm", "range", "reciprocal", "remainder", "renorm",
    "round", "row_stack", "rsqrt", "scatter", "scatter_add", "searchsorted", "sgn", "sigmoid", "sign", "signbit",
    "sin", "sinc", "sinh", "softmax", "sort", "sqrt", "square", "stack", "std", "sub", "subtract", "sum", "take",
    "take_along_dim", "tan", "tanh", "tensordot", "topk", "tril", "triu", "true_divide", "trunc", "var", "vdot",
    "vstack", "where", "xlogy", "zeros",
)  # fmt: skip


def taking_out(function):
    """The function with `out=`, a place for its result."""

    @functools.wraps(function)
    def with_out(*args, out=None, **kwargs):
        result = function(*args, **kwargs)
        return result if out is None else _write(function.__name__, result, out)

    return with_out


def _write(name, result, out):
    if isinstance(result, Tensor):
        return _write_one(name, result, out)
    if not isinstance(out, (tuple, list)) or len(out) != len(result):
        raise TypeError(f"{name}(): argument 'out' must be tuple of {len(result)} Tensors, not {type(out).__name__}")
    places = [_write_one(name, value, place) for value, place in zip(result, out, strict=True)]
    return type(result)(*places) if hasattr(result, "_fields") else tuple(places)


def _write_one(name, result, out):
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if lib.sn_is_grad_enabled() and (out.requires_grad or result.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad."
        )
    from swiftnet import can_cast

    if not can_cast(result.dtype, out.dtype):
        raise RuntimeError(
            f"result type {_scalar_name(result)} can't be cast to the desired output type {_scalar_name(out)}"
        )
    if out.shape != result.shape:
        if out.numel() != 0:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not "
                f"match the required output shape {list(result.shape)}. This behavior is deprecated, and in a future "
                "release outputs will not be resized unless they have zero elements.",
                stacklevel=4,
            )
        out.resize_(result.shape)
    return out.copy_(result)


def _scalar_name(tensor):
    return tensor.type().removeprefix("swiftnet.").removesuffix("Tensor")


def install(namespace):
    """Gives the functions of a namespace that can take `out=` that argument."""
    for name in NAMES:
        function = namespace.get(name)
        if callable(function):
            namespace[name] = taking_out(function)
