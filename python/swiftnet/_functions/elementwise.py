"""Elementwise operations: one table of unary ones, one of binary ones, and those with parameters of their own."""

from swiftnet import _dtypes
from swiftnet._core import NULL, check, lib, number, scalar, unary_method
from swiftnet._functions import methods
from swiftnet._tensor import Tensor, _codes, wrap

# PyTorch's name, the library's name, the formula.
UNARY = [
    ("abs", "abs", "|x|"),
    ("neg", "neg", "-x"),
    ("sign", "sign", "-1, 0 or 1"),
    ("sgn", "sgn", "-1, 0 or 1"),
    ("square", "square", "x²"),
    ("reciprocal", "reciprocal", "1 / x"),
    ("sqrt", "sqrt", "√x"),
    ("rsqrt", "rsqrt", "1 / √x"),
    ("ceil", "ceil", "the smallest integer ≥ x"),
    ("floor", "floor", "the largest integer ≤ x"),
    ("trunc", "trunc", "x without its fraction"),
    ("frac", "frac", "the fraction of x, with its sign"),
    ("exp", "exp", "eˣ"),
    ("exp2", "exp2", "2ˣ"),
    ("expm1", "expm1", "eˣ - 1, exact for small x"),
    ("log", "log", "ln x"),
    ("log2", "log2", "log₂ x"),
    ("log10", "log10", "log₁₀ x"),
    ("log1p", "log1p", "ln(1 + x), exact for small x"),
    ("sin", "sin", "sin x"),
    ("cos", "cos", "cos x"),
    ("tan", "tan", "tan x"),
    ("asin", "asin", "arcsin x"),
    ("acos", "acos", "arccos x"),
    ("atan", "atan", "arctan x"),
    ("sinh", "sinh", "sinh x"),
    ("cosh", "cosh", "cosh x"),
    ("tanh", "tanh", "tanh x"),
    ("asinh", "asinh", "arsinh x"),
    ("acosh", "acosh", "arcosh x"),
    ("atanh", "atanh", "artanh x"),
    ("erf", "erf", "the error function"),
    ("erfc", "erfc", "1 - erf x"),
    ("erfinv", "erfinv", "the inverse of erf"),
    ("lgamma", "lgamma", "ln |Γ(x)|"),
    ("digamma", "digamma", "the derivative of ln Γ"),
    ("i0", "i0", "the modified Bessel function of order 0"),
    ("sinc", "sinc", "sin(πx) / (πx)"),
    ("sigmoid", "sigmoid", "1 / (1 + e⁻ˣ)"),
    ("relu", "relu", "max(x, 0)"),
    ("logical_not", "logicalNot", "x == 0"),
    ("bitwise_not", "bitwiseNot", "~x"),
]
PREDICATES = [
    ("isnan", "isnan", "whether x is NaN"),
    ("isinf", "isinf", "whether x is infinite"),
    ("isfinite", "isfinite", "whether x is neither infinite nor NaN"),
    ("isposinf", "isposinf", "whether x is +∞"),
    ("isneginf", "isneginf", "whether x is -∞"),
    ("signbit", "signbit", "whether the sign bit of x is set"),
]
BINARY = [
    ("mul", "mul", "a · b"),
    ("remainder", "remainder", "the remainder of a / b, with the sign of b"),
    ("fmod", "fmod", "the remainder of a / b, with the sign of a"),
    ("pow", "pow", "a to the power b"),
    ("floor_divide", "floorDivide", "⌊a / b⌋"),
    ("atan2", "atan2", "the angle of the point (b, a)"),
    ("hypot", "hypot", "√(a² + b²)"),
    ("copysign", "copysign", "|a| with the sign of b"),
    ("nextafter", "nextafter", "the next number after a toward b"),
    ("logaddexp", "logaddexp", "ln(eᵃ + eᵇ)"),
    ("logaddexp2", "logaddexp2", "log₂(2ᵃ + 2ᵇ)"),
    ("xlogy", "xlogy", "a ln b, and 0 where a is 0"),
    ("ldexp", "ldexp", "a · 2ᵇ"),
    ("heaviside", "heaviside", "0 for a < 0, b for a = 0, 1 for a > 0"),
    ("gcd", "gcd", "the greatest common divisor"),
    ("lcm", "lcm", "the least common multiple"),
    ("maximum", "maximum", "the larger; NaN wins"),
    ("minimum", "minimum", "the smaller; NaN wins"),
    ("fmax", "fmax", "the larger; NaN is ignored"),
    ("fmin", "fmin", "the smaller; NaN is ignored"),
    ("eq", "eq", "a = b"),
    ("ne", "ne", "a ≠ b"),
    ("lt", "lt", "a < b"),
    ("le", "le", "a ≤ b"),
    ("gt", "gt", "a > b"),
    ("ge", "ge", "a ≥ b"),
    ("logical_and", "logicalAnd", "a ≠ 0 and b ≠ 0"),
    ("logical_or", "logicalOr", "a ≠ 0 or b ≠ 0"),
    ("logical_xor", "logicalXor", "whether just one is nonzero"),
    ("bitwise_and", "bitwiseAnd", "a & b"),
    ("bitwise_or", "bitwiseOr", "a | b"),
    ("bitwise_xor", "bitwiseXor", "a ^ b"),
    ("bitwise_left_shift", "shiftLeft", "a << b"),
    ("bitwise_right_shift", "shiftRight", "a >> b"),
]
_ALIASES = {
    "absolute": "abs", "negative": "neg", "positive": None, "arcsin": "asin", "arccos": "acos", "arctan": "atan",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "fix": "trunc", "multiply": "mul", "arctan2": "atan2",
    "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge",
}  # fmt: skip


# These take tensors only.
_TENSORS_ONLY = {
    "atan2", "hypot", "nextafter", "logaddexp", "logaddexp2", "ldexp", "heaviside", "gcd", "lcm", "maximum", "minimum",
    "fmax", "fmin", "logical_and", "logical_or", "logical_xor",
}  # fmt: skip


def _tensor_argument(value, name, function):
    if not isinstance(value, Tensor):
        raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(value).__name__}")
    return value._h


def _make_unary(name, code, doc):
    """The function and the method."""
    doc = f"{doc}, element by element. A new tensor of the shape of `input`."
    method = unary_method(name, code, f"{name}($self, /)\n--\n\n{doc}")

    def function(input):
        if not isinstance(input, Tensor):
            _tensor_argument(input, "input", name)
        return method(input)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function, method


def _make_unary_(name, code, doc):
    def function(self):
        check(lib.sn_unary_(code, self._h, 0, 0, 0))
        return self

    function.__name__ = function.__qualname__ = name + "_"
    function.__doc__ = f"{doc}, element by element, in place."
    return function


def _make_binary(name, code, doc):
    tensors_only = name in _TENSORS_ONLY

    def function(input, other):
        if isinstance(other, Tensor) and isinstance(input, Tensor):
            return wrap(lib.sn_binary(code, input._h, other._h))
        if tensors_only:
            _tensor_argument(input, "input", name)
            _tensor_argument(other, "other", name)
        if isinstance(input, Tensor):
            return wrap(lib.sn_binary_scalar(code, input._h, *_number(other, "other", name), 0))
        if isinstance(other, Tensor):
            return wrap(lib.sn_binary_scalar(code, other._h, *_number(input, "input", name), 1))
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}, element by element, with broadcasting. One of the two may be a number."
    return function


def _make_binary_(name, code, doc):
    def function(self, other):
        if isinstance(other, Tensor):
            check(lib.sn_binary_(code, self._h, other._h))
        else:
            check(lib.sn_binary_scalar_(code, self._h, *_number(other, "other", name + "_")))
        return self

    function.__name__ = function.__qualname__ = name + "_"
    function.__doc__ = f"{doc}, element by element, in place."
    return function


def _number(value, argument, name):
    try:
        return number(value)
    except TypeError:
        raise TypeError(
            f"{name}(): argument '{argument}' must be Tensor or Number, not {type(value).__name__}"
        ) from None


for _name, _library_name, _doc in UNARY + PREDICATES:
    (_code,) = _codes(_library_name)
    globals()[_name], _method = _make_unary(_name, _code, _doc)
    setattr(Tensor, _name, _method)
    if (_name, _library_name, _doc) in UNARY:
        _in_place = _make_unary_(_name, _code, _doc)
        globals()[_name + "_"] = _in_place
        methods(_in_place)
for _name, _library_name, _doc in BINARY:
    (_code,) = _codes(_library_name)
    globals()[_name] = _make_binary(_name, _code, _doc)
    methods(globals()[_name], _make_binary_(_name, _code, _doc))
for _name, _target in _ALIASES.items():
    if _target:
        globals()[_name] = globals()[_target]
        setattr(Tensor, _name, getattr(Tensor, _target))
        setattr(Tensor, _name + "_", getattr(Tensor, _target + "_"))

_ADD, _SUB, _MUL, _DIV, _FLOORDIV, _TRUNCDIV = _codes("add", "sub", "mul", "div", "floorDivide", "truncDivide")
_ROUND, _ROUND_DECIMALS = _codes("round", "roundDecimals")


def _times(value, alpha):
    return value if alpha == 1 else value * alpha


def _scaled(op, name, input, other, alpha):
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        if alpha == 1:
            return wrap(lib.sn_binary(op, input._h, other._h))
        return wrap(lib.sn_add_scaled(op, input._h, other._h, scalar(alpha)))
    if isinstance(input, Tensor):
        return wrap(lib.sn_binary_scalar(op, input._h, *_number(_times(other, alpha), "other", name), 0))
    if isinstance(other, Tensor):
        scaled = _times(other, alpha)
        return wrap(lib.sn_binary_scalar(op, scaled._h, *_number(input, "input", name), 1))
    raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")


def _scaled_(op, name, self, other, alpha):
    if not isinstance(other, Tensor):
        check(lib.sn_binary_scalar_(op, self._h, *_number(_times(other, alpha), "other", name)))
    elif alpha == 1:
        check(lib.sn_binary_(op, self._h, other._h))
    else:
        check(lib.sn_add_scaled_(op, self._h, other._h, scalar(alpha)))
    return self


def add(input, other, *, alpha=1):
    """input + alpha · other, with broadcasting."""
    return _scaled(_ADD, "add", input, other, alpha)


def sub(input, other, *, alpha=1):
    """input - alpha · other, with broadcasting."""
    return _scaled(_SUB, "sub", input, other, alpha)


def add_(self, other, *, alpha=1):
    """Adds alpha · other in place."""
    return _scaled_(_ADD, "add_", self, other, alpha)


def sub_(self, other, *, alpha=1):
    """Subtracts alpha · other in place."""
    return _scaled_(_SUB, "sub_", self, other, alpha)


def rsub(input, other, *, alpha=1):
    """other - alpha · input."""
    return other - (input if alpha == 1 else input * alpha)


def _division(rounding_mode):
    try:
        return {None: _DIV, "floor": _FLOORDIV, "trunc": _TRUNCDIV}[rounding_mode]
    except KeyError:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        ) from None


def div(input, other, *, rounding_mode=None):
    """input / other; rounding_mode "floor" or "trunc" rounds the quotient and keeps integers integers."""
    op = _division(rounding_mode)
    if not isinstance(input, Tensor):
        return wrap(lib.sn_binary_scalar(op, _tensor_argument(other, "other", "div"), *number(input), 1))
    if isinstance(other, Tensor):
        return wrap(lib.sn_binary(op, input._h, other._h))
    return wrap(lib.sn_binary_scalar(op, input._h, *_number(other, "other", "div"), 0))


def div_(self, other, *, rounding_mode=None):
    """Divides in place."""
    op = _division(rounding_mode)
    if isinstance(other, Tensor):
        check(lib.sn_binary_(op, self._h, other._h))
    else:
        check(lib.sn_binary_scalar_(op, self._h, *_number(other, "other", "div_")))
    return self


def round(input, *, decimals=0):
    """The nearest integer, halves to even; with `decimals`, the nearest multiple of 10^-decimals."""
    return wrap(lib.sn_unary(_ROUND_DECIMALS if decimals else _ROUND, input._h, decimals, 0, 0))


def round_(self, *, decimals=0):
    """Rounds in place."""
    check(lib.sn_unary_(_ROUND_DECIMALS if decimals else _ROUND, self._h, decimals, 0, 0))
    return self


def where(condition, input=None, other=None):
    """`input` where the condition holds, `other` elsewhere, with broadcasting.

    Without `input` and `other`: the indices of the nonzero elements, one tensor per dimension.
    """
    if input is None and other is None:
        from swiftnet._functions.indexing import nonzero

        return nonzero(condition, as_tuple=True)
    a, b = (input._h, other._h) if isinstance(input, Tensor) and isinstance(other, Tensor) else (NULL, NULL)
    x = y = {"d": 0.0, "i": 0, "kind": 0}
    if a == NULL:
        a, x = (input._h, x) if isinstance(input, Tensor) else (NULL, scalar(input))
        b, y = (other._h, y) if isinstance(other, Tensor) else (NULL, scalar(other))
    # The parameter keeps the tensor alive: its handle alone would not.
    mask = _tensor_argument(condition, "condition", "where")
    return wrap(lib.sn_where(mask, a, x, b, y))


def _where_method(self, condition, other):
    """This tensor where the condition holds, `other` elsewhere."""
    return where(condition, self, other)


subtract, true_divide, divide = sub, div, div
methods(add, add_, sub, sub_, div, div_, round, round_)
methods(
    subtract=sub, subtract_=sub_, true_divide=div, divide=div, divide_=div_, true_divide_=div_, where=_where_method
)  # fmt: skip


def to(self, *args, dtype=None, device=None, copy=False, memory_format=None, non_blocking=False):
    """This tensor with another dtype, or another order in memory; itself if nothing changes.

    Args:
        *args: a dtype, a device, or a tensor whose dtype is taken.
        copy: always make a copy.
    """
    from swiftnet._device import check_device

    for argument in args:
        if isinstance(argument, Tensor):
            dtype = argument.dtype
        elif isinstance(argument, bool):
            continue
        elif isinstance(argument, _dtypes.dtype) or argument in (float, int, bool):
            dtype = argument
        else:
            device = argument
    check_device(device)
    result = self
    if dtype is not None and _dtypes.code(dtype) != lib.sn_dtype(self._h):
        result = wrap(lib.sn_to_dtype(self._h, _dtypes.code(dtype)))
    elif copy:
        result = wrap(lib.sn_clone(self._h))
    if memory_format is not None and memory_format.name.startswith("channels_last"):
        result = wrap(lib.sn_channels_last(result._h))
    return result


def _converter(name, kind):
    def function(self, memory_format=None):
        return to(self, kind)

    function.__name__ = name
    function.__doc__ = f"This tensor as {kind.name}."
    return function


for _name, _kind in [
    ("float", _dtypes.float32), ("double", _dtypes.float64), ("half", _dtypes.float16),
    ("bfloat16", _dtypes.bfloat16), ("char", _dtypes.int8), ("short", _dtypes.int16), ("int", _dtypes.int32),
    ("long", _dtypes.int64), ("byte", _dtypes.uint8), ("bool", _dtypes.bool_),
]:  # fmt: skip
    setattr(Tensor, _name, _converter(_name, _kind))


def type_as(self, other):
    """This tensor with the dtype of another."""
    return to(self, other.dtype)


def clone(input, *, memory_format=None):
    """A copy with memory of its own; gradients flow through."""
    return wrap(lib.sn_clone(input._h))


def contiguous(self, memory_format=None):
    """This tensor if its elements lie row by row, otherwise such a copy."""
    if memory_format is not None and memory_format.name.startswith("channels_last"):
        return wrap(lib.sn_channels_last(self._h))
    if lib.sn_is_contiguous(self._h):
        return self
    return wrap(lib.sn_contiguous(self._h))


def copy_(self, src, non_blocking=False):
    """Writes `src`, broadcast and converted, into this tensor."""
    check(lib.sn_copy_(self._h, _tensor_argument(src, "other", "copy_")))
    return self


def fill_(self, value):
    """Sets every element to a value."""
    if isinstance(value, Tensor):
        value = value.item()
    check(lib.sn_fill_(self._h, scalar(value)))
    return self


def zero_(self):
    """Sets every element to 0."""
    check(lib.sn_fill_(self._h, {"d": 0.0, "i": 0, "kind": 1}))
    return self


def _cpu(self, memory_format=None):
    """This tensor: it already is on the CPU."""
    return self


def _cuda(self, device=None, non_blocking=False, memory_format=None):
    """Raises: there is no CUDA. See `swiftnet.cuda.fall_back_to_cpu`."""
    from swiftnet.cuda import refuse

    refuse("cuda" if device is None else str(device))
    return self


def detach_(self):
    """Takes this tensor out of its graph, in place."""
    check(lib.sn_detach_(self._h))
    return self


methods(to, type_as, clone, contiguous, copy_, fill_, zero_, detach_, cpu=_cpu, cuda=_cuda)
