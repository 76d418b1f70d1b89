"""Elementwise operations against PyTorch: dtypes, layouts, promotion, gradients, errors."""

import itertools

import numpy as np
import pytest
import swiftnet
import torch
from parity import DTYPES, FLOATS, compare, raises_alike, to_swiftnet, values
from swiftnet._functions.elementwise import BINARY, PREDICATES, UNARY

# Where a function is defined.
DOMAIN = {
    "sqrt": (0.1, 3),
    "rsqrt": (0.1, 3),
    "log": (0.1, 3),
    "log2": (0.1, 3),
    "log10": (0.1, 3),
    "log1p": (-0.9, 3),
    "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9),
    "atanh": (-0.9, 0.9),
    "acosh": (1.1, 3),
    "erfinv": (-0.9, 0.9),
    "lgamma": (0.3, 4),
    "digamma": (0.3, 4),
    "tan": (-1.2, 1.2),
    "reciprocal": (0.3, 3),
}
UNARY_NAMES = [name for name, _, _ in UNARY + PREDICATES]
SPECIAL = [
    "erf",
    "erfc",
    "erfinv",
    "expit",
    "logit",
    "gammaln",
    "digamma",
    "psi",
    "i0",
    "i1",
    "ndtr",
    "ndtri",
    "exp2",
    "expm1",
    "log1p",
    "sinc",
    "entr",
    "erfcx",
    "log_ndtr",
    "round",
]
SPECIAL_DOMAIN = {
    "erfinv": (-0.9, 0.9),
    "logit": (0.1, 0.9),
    "gammaln": (0.3, 4),
    "digamma": (0.3, 4),
    "psi": (0.3, 4),
    "ndtri": (0.1, 0.9),
    "log1p": (-0.9, 3),
    "entr": (0.1, 3),
}
LAYOUTS = {
    "contiguous": lambda t: t,
    "transposed": lambda t: t.transpose(0, 1),
    "sliced": lambda t: t[:, ::2],
    "expanded": lambda t: t[:1].expand(5, t.shape[1]),
    "empty": lambda t: t[:0],
    "number": lambda t: t[1, 1],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY_NAMES)
def test_unary(name, dtype):
    low, high = DOMAIN.get(name, (-3, 3))
    x = values((5, 37), dtype, low=low, high=high)
    # PyTorch's trigamma, the derivative, has ten digits.
    ulps = 1 << 23 if name == "digamma" and dtype == "float64" else 16 if name == "tanh" else 4
    compare(lambda m, a: getattr(m, name)(a), [x], ulps=ulps, what=name)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["exp", "tanh", "neg", "isnan", "sigmoid", "logical_not"])
def test_unary_layouts(name, layout):
    x = values((6, 8), "float32")
    compare(lambda m, a: getattr(m, name)(LAYOUTS[layout](a)), [x], what=name)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "erf", "lgamma", "digamma", "sin", "round", "sinc"])
def test_unary_special_values(name):
    x = torch.tensor([0.0, -0.0, 1.0, -1.0, float("inf"), -float("inf"), float("nan"), 1e-40, 1e38, -1e38, 0.5, 2.5])
    compare(lambda m, a: getattr(m, name)(a), [x], gradient=False, what=name)


# Not differentiable, or not in place in PyTorch.
NO_IN_PLACE = ("logical_not", "bitwise_not", "asinh", "acosh", "atanh")


@pytest.mark.parametrize("name", [n for n, _, _ in UNARY if n not in NO_IN_PLACE])
def test_unary_in_place(name):
    low, high = DOMAIN.get(name, (-3, 3))
    x = values((3, 5), "float64", low=low, high=high)
    ulps = 1 << 23 if name == "digamma" else 4
    compare(lambda m, a: getattr(a * 1.0, name + "_")() * 2, [x], ulps=ulps, what=name)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name in SPECIAL
        for dtype in ["float32", "float64", "bfloat16", "int64", "bool"]
        # Those PyTorch does not have.
        if not (dtype == "bfloat16" and name in ("erfcx", "log_ndtr", "ndtri"))
        and not (dtype == "int64" and name == "round")
    ],
)
def test_special(name, dtype):
    low, high = SPECIAL_DOMAIN.get(name, (-3, 3))
    x = values((4, 9), dtype, low=low, high=high)
    ulps = 1 << 23 if name in ("digamma", "psi") and dtype == "float64" else 32
    compare(lambda m, a: getattr(m.special, name)(a), [x], gradient=dtype.startswith("float"), ulps=ulps, what=name)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_polygamma(n):
    compare(lambda m, a: m.special.polygamma(n, a), [values((3, 7), "float64", low=0.3, high=5)], ulps=1 << 23)


def test_further_functions():
    x = values((4, 5), "float64", low=0.1, high=0.9)
    y = values((4, 5), "float64", 1, low=0.2, high=3)
    for function in [
        lambda m, a, b: m.logit(a),
        lambda m, a, b: m.logit(a, eps=0.3),
        lambda m, a, b: m.mvlgamma(b + 3, 3),
        lambda m, a, b: m.special.multigammaln(b + 3, 2),
        lambda m, a, b: m.deg2rad(a) + m.rad2deg(b),
        lambda m, a, b: m.float_power(a, b),
        lambda m, a, b: m.float_power(2, b),
        lambda m, a, b: m.float_power(b, 2),
        lambda m, a, b: m.special.xlog1py(a, b),
        lambda m, a, b: m.special.xlog1py(a, 2.0),
        lambda m, a, b: m.special.softmax(a, 1) + m.special.log_softmax(b, 0),
        lambda m, a, b: m.special.logsumexp(a, (0, 1)),
        lambda m, a, b: m.round(a * 100, decimals=1),
        lambda m, a, b: m.round(a * 100, decimals=-1),
        lambda m, a, b: m.nan_to_num(m.log(a - 0.5), nan=0.25, neginf=-4),
        lambda m, a, b: m.where(a > 0.5, a, b),
        lambda m, a, b: m.where(a > 0.5, a, 0.0),
        lambda m, a, b: m.isreal(a),
    ]:
        compare(function, [x, y], ulps=16)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8", "bool"])
def test_nan_to_num(dtype):
    x = values((3, 4), dtype)
    if x.dtype.is_floating_point:
        x[0, :3] = torch.tensor([float("nan"), float("inf"), -float("inf")], dtype=x.dtype)
    compare(lambda m, a: m.nan_to_num(a), [x])
    compare(lambda m, a: m.nan_to_num(a, 1.0, 2.0, 3.0), [x])


# ---- two operands ----

PAIRS = [n for n, _, _ in BINARY if n not in ("nextafter",)] + ["add", "sub", "div"]
ARITHMETIC = [
    "add",
    "sub",
    "mul",
    "div",
    "floor_divide",
    "remainder",
    "fmod",
    "pow",
    "maximum",
    "eq",
    "lt",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "atan2",
    "copysign",
]


def positive(name):
    return name in (
        "pow",
        "xlogy",
        "floor_divide",
        "remainder",
        "fmod",
        "div",
        "bitwise_left_shift",
        "bitwise_right_shift",
        "gcd",
        "lcm",
        "ldexp",
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_binary(name, dtype):
    low = 1 if positive(name) else -3
    a, b = values((4, 9), dtype, 1, low, 4), values((4, 9), dtype, 2, low, 4)
    # Near its zero a logarithm loses digits in everybody's hands.
    ulps = 64 if name.startswith("logaddexp") else 4
    compare(lambda m, x, y: getattr(m, name)(x, y), [a, b], ulps=ulps, what=name)


@pytest.mark.parametrize("name", ARITHMETIC)
def test_promotion_of_all_pairs(name):
    for first, second in itertools.product(DTYPES, DTYPES):
        a, b = values((3, 4), first, 1, 1, 3), values((3, 4), second, 2, 1, 3)
        if second == "bool":
            b = torch.ones_like(b)
        for x, y in ((a, b), (a, b[0, 0]), (a[0, 0], b)):
            compare(
                lambda m, x, y: getattr(m, name)(x, y),
                [x, y],
                gradient=False,
                what=f"{name} {first}{tuple(x.shape)} {second}{tuple(y.shape)}",
            )


@pytest.mark.parametrize("number", [2, 2.5, True], ids=["int", "float", "bool"])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_promotion_with_numbers(name, number):
    for dtype in DTYPES:
        a = values((3, 4), dtype, 1, 1, 3)
        what = f"{name} {dtype} {number!r}"
        if name not in ("maximum",):
            compare(lambda m, x: getattr(m, name)(x, number), [a], gradient=False, what=what)


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<": lambda a, b: a < b,
    "==": lambda a, b: a == b,
}


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool", "bfloat16"])
@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators(symbol, dtype):
    a = values((3, 4), dtype, 1, 1, 3)
    operator = OPERATORS[symbol]
    for number in (2, 5, 1.5, True):
        compare(lambda m, x: operator(x, number), [a], what=f"{dtype} {symbol} {number!r}")
        if symbol != "**" or number is not True:
            compare(lambda m, x: operator(number, x), [a], gradient=symbol != "%", what=f"{number!r} {symbol} {dtype}")


IN_PLACE = {
    "+=": "__iadd__",
    "-=": "__isub__",
    "*=": "__imul__",
    "/=": "__itruediv__",
    "//=": "__ifloordiv__",
    "%=": "__imod__",
    "**=": "__ipow__",
    "&=": "__iand__",
    "|=": "__ior__",
    "^=": "__ixor__",
    "<<=": "__ilshift__",
    ">>=": "__irshift__",
}


@pytest.mark.parametrize("symbol", IN_PLACE)
def test_in_place_operators(symbol):
    for first, second in itertools.product(["float32", "float64", "int32", "int64", "bool"], repeat=2):
        a, b = values((3, 4), first, 1, 1, 3), torch.ones(4, dtype=getattr(torch, second))

        def change(m, x, y):
            x = x.clone()
            return getattr(x, IN_PLACE[symbol])(y)

        compare(change, [a, b], gradient=False, what=f"{first} {symbol} {second}")


@pytest.mark.parametrize("shapes", [((3, 1), (4,)), ((2, 3, 1), (1, 4)), ((), (3,)), ((0, 3), (3,)), ((5,), (1,))])
@pytest.mark.parametrize("name", ["add", "mul", "div", "pow", "atan2", "maximum", "logaddexp", "hypot"])
def test_broadcasting(name, shapes):
    a, b = values(shapes[0], "float64", 1, 0.5, 3), values(shapes[1], "float64", 2, 0.5, 3)
    compare(lambda m, x, y: getattr(m, name)(x, y), [a, b], what=name)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("exponent", [0, 1, 2, 2.0, 3, -1, True])
def test_powers_of_numbers(exponent, dtype):
    a = torch.tensor([-3.0, -0.5, 0.5, 1, 4, 1e3]).to(getattr(torch, dtype))
    compare(lambda m, x: x**exponent, [a], what=f"x ** {exponent}")


@pytest.mark.parametrize("exponent", [0, 1, 2, 3.5])
def test_second_gradient_of_powers(exponent):
    results = []
    for library in (torch, swiftnet):
        x = library.tensor([0.5, 1.0, 4.0, 9.0], dtype=library.float64, requires_grad=True)
        (slope,) = library.autograd.grad((x**exponent * x).sum(), x, create_graph=True)
        results.append(slope.tolist() + library.autograd.grad(slope.sum(), x)[0].tolist())
    assert results[0] == pytest.approx(results[1], rel=1e-12)


@pytest.mark.parametrize("layout", [n for n in LAYOUTS if n != "expanded"])
def test_binary_layouts(layout):
    a, b = values((6, 6), "float32", 1), values((6, 6), "float32", 2)
    compare(lambda m, x, y: LAYOUTS[layout](x) * LAYOUTS[layout](y), [a, b])


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "int8"])
def test_integer_division(dtype):
    a = torch.tensor([-7, -6, -1, 0, 1, 6, 7, 5, -5]).to(getattr(torch, dtype))
    for divisor in (1, 2, 3, -2, -3):
        if dtype == "uint8" and divisor < 0:
            continue
        for name in ("floor_divide", "remainder", "fmod"):
            compare(lambda m, x: getattr(m, name)(x, divisor), [a], what=f"{name} {divisor}")
        for mode in ("floor", "trunc", None):
            compare(lambda m, x: m.div(x, divisor, rounding_mode=mode), [a])
    for name in ("floor_divide", "remainder", "fmod"):
        assert "ZeroDivisionError" in raises_alike(lambda m, x: getattr(m, name)(x, 0), a)[1]
        assert "ZeroDivisionError" in raises_alike(lambda m, x, y: getattr(m, name)(x, y), a, a)[1]


def test_alpha():
    a, b = values((3, 4), "float64", 1), values((4,), "float64", 2)
    compare(lambda m, x, y: m.add(x, y, alpha=2.5), [a, b])
    compare(lambda m, x, y: m.sub(x, y, alpha=3), [a, b])
    compare(lambda m, x, y: m.rsub(x, y, alpha=3), [a, b])
    raises_alike(lambda m, x, y: m.add(x, y, alpha=1.5), values((3,), "int32"), values((3,), "int32"))


# ---- limits and three operands ----


@pytest.mark.parametrize("dtype", DTYPES)
def test_clamp_numbers(dtype):
    x = values((4, 6), dtype)
    for low, high in [(-1, 1), (None, 1), (1, None), (-0.5, 1.5), (2, 1), (None, 0.5), (0, 2)]:
        compare(lambda m, a: m.clamp(a, low, high), [x], what=f"{dtype} {low} {high}")
        compare(lambda m, a: a.clone().clamp_(low, high), [x], what=f"{dtype} {low} {high} in place")
    compare(lambda m, a: m.clamp(a), [x])


def test_clamp_at_the_limits():
    x = torch.tensor([-1.0, 0.0, 1.0, 2.0, float("nan")], dtype=torch.float64)
    compare(lambda m, a: m.clamp(a, 0, 1), [x])
    compare(lambda m, a: m.clamp_min(a, 0), [x])
    compare(lambda m, a: m.clamp_max(a, 1), [x])
    compare(lambda m, a: m.clip(a, 0, 1), [x])


@pytest.mark.parametrize("kinds", ["both", "low", "high"])
def test_clamp_tensors(kinds):
    x, low, high = (values((4, 5), "float64", s) for s in (1, 2, 3))
    low[0, 0] = x[0, 0]
    functions = {
        "both": lambda m, a, b, c: m.clamp(a, b, c),
        "low": lambda m, a, b, c: m.clamp(a, min=b),
        "high": lambda m, a, b, c: m.clamp(a, max=c),
    }
    compare(functions[kinds], [x, low, high])
    compare(functions[kinds], [x, low[0], high[:, :1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_three_operands(dtype):
    a, b, c = (values((3, 4), dtype, s, 1, 3) for s in (1, 2, 3))
    compare(lambda m, x, y, z: m.lerp(x, y, z), [a, b, c], what="lerp")
    compare(lambda m, x, y, z: m.lerp(x, y, 0.25), [a, b, c], what="lerp")
    compare(lambda m, x, y, z: m.addcmul(x, y, z, value=2), [a, b, c], what="addcmul")
    compare(lambda m, x, y, z: m.addcdiv(x, y, z, value=2), [a, b, c], what="addcdiv")
    compare(lambda m, x, y, z: m.addcmul(x, y, z, value=0.5), [a, b, c], what="addcmul 0.5")


def test_three_operands_in_place():
    a, b, c = (values((3, 4), "float64", s, 1, 3) for s in (1, 2, 3))
    compare(lambda m, x, y, z: (x * 1).lerp_(y, z) * 2, [a, b, c])
    compare(lambda m, x, y, z: (x * 1).addcmul_(y, z, value=2) * 2, [a, b, c])
    compare(lambda m, x, y, z: (x * 1).addcdiv_(y, z) * 2, [a, b, c])
    compare(lambda m, x, y, z: (x * 1).clamp_(1.5, 2) * y, [a, b, c])


# ---- dtypes ----


def test_type_functions():
    for a, b in itertools.product(DTYPES, DTYPES):
        ours = swiftnet.promote_types(getattr(swiftnet, a), getattr(swiftnet, b))
        assert ours.name == str(torch.promote_types(getattr(torch, a), getattr(torch, b))).split(".")[1]
        assert swiftnet.can_cast(getattr(swiftnet, a), getattr(swiftnet, b)) == torch.can_cast(
            getattr(torch, a), getattr(torch, b)
        )
        x, y = values((2,), a), values((), b)
        assert swiftnet.result_type(to_swiftnet(x), to_swiftnet(y)).name == str(torch.result_type(x, y)).split(".")[1]
        assert swiftnet.result_type(to_swiftnet(x), 1.5).name == str(torch.result_type(x, 1.5)).split(".")[1]


@pytest.mark.parametrize("dtype", FLOATS)
def test_out_of_place_keeps_input(dtype):
    x = values((3, 4), dtype)
    mine = to_swiftnet(x)
    swiftnet.exp(mine)
    mine + 1
    assert mine.tolist() == x.tolist()


# ---- errors ----

ERRORS = {
    "shapes": lambda m, x: x + m.ones(3),
    "pow of negative": lambda m, x: x.int() ** -1,
    "bool minus": lambda m, x: x.bool() - x.bool(),
    "neg bool": lambda m, x: -x.bool(),
    "float and": lambda m, x: x & x,
    "float shift": lambda m, x: m.bitwise_left_shift(x, x) and m.gcd(x, x),
    "in place shape": lambda m, x: m.ones(1, 2).add_(x),
    "in place dtype": lambda m, x: m.ones(2, 2, dtype=m.int32).add_(1.5),
    "text": lambda m, x: x + "a",
    "None": lambda m, x: m.add(x, None),
    "exp of list": lambda m, x: m.exp([1.0]),
    "rounding": lambda m, x: m.div(x, x, rounding_mode="up"),
    "clamp nothing": lambda m, x: m.clamp(x),
    "clamp text": lambda m, x: m.clamp(x, "a"),
    "lerp dtype": lambda m, x: m.lerp(x, x.double(), 0.5),
    "invert float": lambda m, x: ~x,
    "not a tensor": lambda m, x: m.sigmoid(3.0),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    raises_alike(ERRORS[case], torch.ones(2, 2))


@pytest.mark.parametrize("scale", [1, 1e3, 1e8, 1e18, 1e-5, 1e-30])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainders_are_exact(dtype, scale):
    """To the last bit and sign: multiples of the divisor, quotients beyond all digits, and what is no number."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(6000) * scale).astype(dtype), rng.standard_normal(6000).astype(dtype)
    a[:2500] = (rng.integers(-50, 50, 2500) * b[:2500]).astype(dtype)
    a[2500:3000], b[2500:3000] = np.round(a[2500:3000]), rng.integers(-5, 6, 500)
    a[3000:3010] = [0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0, 5, -5]
    b[3000:3010] = [1, 1, 1, 2, 1, np.inf, np.inf, -np.inf, 0, np.nan]
    for name in ("fmod", "remainder", "floor_divide"):
        ours = getattr(swiftnet, name)(swiftnet.tensor(a), swiftnet.tensor(b)).numpy()
        theirs = getattr(torch, name)(torch.tensor(a), torch.tensor(b)).numpy()
        np.testing.assert_array_equal(ours, theirs)
        isnumber = ~np.isnan(ours)
        np.testing.assert_array_equal(np.signbit(ours)[isnumber], np.signbit(theirs)[isnumber])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("integer", ["int64", "int32", "int16", "int8", "uint8", "bool"])
def test_conversions_of_what_does_not_fit(dtype, integer):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(5000) * 10.0 ** rng.integers(-3, 22, 5000)).astype(dtype)
    x[:8] = [np.nan, np.inf, -np.inf, 2**31, -(2**31), 2.0**63, -(2.0**63), 2**31 - 1]
    ours = swiftnet.tensor(x).to(getattr(swiftnet, integer)).numpy()
    np.testing.assert_array_equal(ours, torch.tensor(x).to(getattr(torch, integer)).numpy())
