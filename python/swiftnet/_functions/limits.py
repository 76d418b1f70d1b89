"""Limits, interpolation, and further elementwise functions."""

from swiftnet import _dtypes
from swiftnet._core import NULL, check, lib, scalar
from swiftnet._functions import methods
from swiftnet._functions.elementwise import _number
from swiftnet._tensor import Tensor, _codes, wrap

_ABSENT = {"d": 0.0, "i": 0, "kind": -1}
_NONE = {"d": 0.0, "i": 0, "kind": 0}
(_NAN_TO_NUM, _LOGIT, _XLOG1PY, _NDTR, _NDTRI) = _codes("nanToNum", "logit", "xlog1py", "ndtr", "ndtri")


def in_place(function):
    """The in-place form of a function of a tensor: the result takes the tensor's place, in value and in history."""

    def changed(self, *args, **kwargs):
        result = function(self, *args, **kwargs)
        check(lib.sn_assign(self._h, result._h))
        return self

    changed.__name__ = changed.__qualname__ = function.__name__ + "_"
    changed.__doc__ = f"{function.__doc__ or ''}\n\nIn place."
    return changed


def _limit(value, name, function):
    if value is None:
        return NULL, _ABSENT
    if isinstance(value, Tensor):
        return value._h, _NONE
    d, i, kind = _number(value, name, function)
    return NULL, {"d": d, "i": i, "kind": kind}


def clamp(input, min=None, max=None):
    """min(max(x, `min`), `max`): the limits are numbers or tensors, and either may be left out."""
    _check(input, "input", "clamp")
    low, low_value = _limit(min, "min", "clamp")
    high, high_value = _limit(max, "max", "clamp")
    return wrap(lib.sn_clamp(input._h, low, low_value, high, high_value))


def clamp_(self, min=None, max=None):
    """`clamp` in place."""
    low, low_value = _limit(min, "min", "clamp_")
    high, high_value = _limit(max, "max", "clamp_")
    check(lib.sn_clamp_(self._h, low, low_value, high, high_value))
    return self


def clamp_min(input, min):
    """max(x, `min`)"""
    return clamp(input, min=min)


def clamp_max(input, max):
    """min(x, `max`)"""
    return clamp(input, max=max)


def clamp_min_(self, min):
    """max(x, `min`) in place."""
    return clamp_(self, min=min)


def clamp_max_(self, max):
    """min(x, `max`) in place."""
    return clamp_(self, max=max)


clip, clip_ = clamp, clamp_


def _check(value, name, function):
    if not isinstance(value, Tensor):
        raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(value).__name__}")


def lerp(input, end, weight):
    """input + weight · (end - input); the weight is a number or a tensor."""
    _check(end, "end", "lerp")
    if isinstance(weight, Tensor):
        return wrap(lib.sn_lerp(input._h, end._h, weight._h, 0.0))
    return wrap(lib.sn_lerp(input._h, end._h, NULL, float(weight)))


def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value · tensor1 · tensor2"""
    return wrap(lib.sn_addcmul(input._h, tensor1._h, tensor2._h, scalar(value)))


def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value · tensor1 / tensor2"""
    return wrap(lib.sn_addcdiv(input._h, tensor1._h, tensor2._h, scalar(value)))


def nan_to_num(input, nan=None, posinf=None, neginf=None):
    """NaN replaced by `nan` (default 0), infinities by `posinf`, `neginf` (default: the largest and smallest)."""
    kind = input.dtype
    top = _dtypes.finfo(kind).max if kind.is_floating_point else 0.0
    nan = 0.0 if nan is None else float(nan)
    posinf = top if posinf is None else float(posinf)
    neginf = -top if neginf is None else float(neginf)
    return wrap(lib.sn_unary(_NAN_TO_NUM, input._h, nan, posinf, neginf))


def logit(input, eps=None):
    """ln(x / (1 - x)), with x limited to [eps, 1 - eps] if `eps` is given."""
    return wrap(lib.sn_unary(_LOGIT, input._h, -1.0 if eps is None else float(eps), 0, 0))


def i0(input):
    """The modified Bessel function of order 0."""
    return wrap(lib.sn_special(b"i0", input._h))


def polygamma(n, input):
    """The n-th derivative of the digamma function."""
    if isinstance(n, Tensor):
        n, input = input, n
    return wrap(lib.sn_polygamma(n, input._h))


def mvlgamma(input, p):
    """The logarithm of the multivariate gamma function of dimension p."""
    return wrap(lib.sn_mvlgamma(input._h, p))


def deg2rad(input):
    """Degrees to radians."""
    return wrap(lib.sn_special(b"deg2rad", input._h))


def rad2deg(input):
    """Radians to degrees."""
    return wrap(lib.sn_special(b"rad2deg", input._h))


def float_power(input, exponent):
    """input to the power exponent, in double precision."""
    a, x = _limit(input, "input", "float_power")
    b, y = _limit(exponent, "exponent", "float_power")
    return wrap(lib.sn_float_power(a, x, b, y))


def xlog1py(input, other):
    """input · ln(1 + other), and 0 where input is 0."""
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        return wrap(lib.sn_binary(_XLOG1PY, input._h, other._h))
    if isinstance(input, Tensor):
        return wrap(lib.sn_binary_scalar(_XLOG1PY, input._h, *_number(other, "other", "xlog1py"), 0))
    return wrap(lib.sn_binary_scalar(_XLOG1PY, other._h, *_number(input, "input", "xlog1py"), 1))


def isreal(input):
    """Whether elements are real numbers: all are."""
    from swiftnet._functions.creation import full

    return full(tuple(input.shape), True, dtype=_dtypes.bool_)


def _sample(input):
    if not isinstance(input, (_dtypes.dtype, type)):
        raise TypeError(f"expected a dtype, not {type(input).__name__}")
    return _dtypes.code(input)


def can_cast(from_, to):
    """Whether a result of dtype `from_` may be written into a tensor of dtype `to`."""
    return bool(lib.sn_can_cast(_sample(from_), _sample(to)))


def promote_types(type1, type2):
    """The smallest dtype that both convert to."""
    return _dtypes.ALL[lib.sn_promote_types(_sample(type1), _sample(type2))]


def result_type(tensor1, tensor2):
    """The dtype that an operation on the two, tensors or numbers, computes in."""
    a, x = _limit(tensor1, "tensor1", "result_type")
    b, y = _limit(tensor2, "tensor2", "result_type")
    return _dtypes.ALL[lib.sn_result_type(a, x, b, y)]


lerp_, addcmul_, addcdiv_ = in_place(lerp), in_place(addcmul), in_place(addcdiv)
nan_to_num_, logit_, float_power_ = in_place(nan_to_num), in_place(logit), in_place(float_power)
deg2rad_, rad2deg_, mvlgamma_, i0_ = in_place(deg2rad), in_place(rad2deg), in_place(mvlgamma), in_place(i0)


def _polygamma_method(self, n):
    """The n-th derivative of the digamma function."""
    return polygamma(n, self)


methods(
    clamp, clamp_, clamp_min, clamp_max, clamp_min_, clamp_max_, lerp, lerp_, addcmul, addcmul_, addcdiv, addcdiv_,
    nan_to_num, nan_to_num_, logit, logit_, i0, i0_, mvlgamma, mvlgamma_, deg2rad, deg2rad_, rad2deg, rad2deg_,
    float_power, float_power_, isreal, clip=clamp, clip_=clamp_, polygamma=_polygamma_method,
)  # fmt: skip
