"""Sorting, selection by rank, searching and counting, against PyTorch."""

import math

import numpy as np
import pytest
import swiftnet.nn.functional
import torch
from nn_parity import LIBRARIES, compare

NAN, INF = math.nan, math.inf


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float64)


def plain(result):
    """Nested lists of a result, with its dtypes."""
    if isinstance(result, (tuple, list)):
        return [plain(item) for item in result]
    if hasattr(result, "tolist"):
        kind = str(result.dtype).split(".")[1]
        values = result.to(torch.float64 if isinstance(result, torch.Tensor) else swiftnet.float64)
        return kind, tuple(result.shape), str(values.tolist())
    return result


def same(expression, make):
    """Evaluates an expression in both libraries, on arrays made into tensors."""
    found = []
    for lib in LIBRARIES:
        scope = {"lib": lib, "np": np} | {name: lib.tensor(value) for name, value in make.items()}
        found.append(plain(eval(expression, scope)))
    assert found[0] == found[1]


CALLS = [
    "x.sort()", "x.sort(1)", "x.sort(0, descending=True)", "lib.sort(x, stable=True)", "x.transpose(0, 2).sort(0)",
    "x[..., ::2].sort(-1)",
    "lib.argsort(x, 1)", "x.argsort(descending=True)", "lib.msort(x)", "x[0, 0, 0].sort()",
    "x.topk(2)", "x.topk(3, 1)", "x.topk(2, 2, largest=False)", "x.topk(0)", "x.topk(1, dim=0)",
    "x.topk(5, -1, True, True)", "x[0, 0, 0].topk(1)",
    "x.kthvalue(1)", "x.kthvalue(3, 2)", "x.kthvalue(2, 1, keepdim=True)", "lib.kthvalue(x, 4, 1)",
    "x.median()", "x.median(1)", "x.median(2, keepdim=True)", "lib.median(x, dim=0)", "x.nanmedian()", "x.nanmedian(1)",
    "x.quantile(0.3)", "x.quantile(0.5, 1)", "x.quantile(lib.tensor([0., .25, 1.], dtype=x.dtype), 2)",
    "x.quantile(0.7, 1, keepdim=True)",
    "lib.quantile(x, lib.tensor([.1, .9], dtype=x.dtype), dim=0, keepdim=True)", "x.quantile(.3, keepdim=True)",
    "x.nanquantile(.4, 1)",
]  # fmt: skip
CALLS += [f"x.quantile(.37, 1, interpolation='{how}')" for how in ("linear", "lower", "higher", "midpoint", "nearest")]


@pytest.mark.parametrize("expression", CALLS)
def test_calls(expression):
    def call(f, lib, x):
        result = eval(expression, {"x": x, "lib": lib})
        return list(result) if isinstance(result, tuple) else result

    compare(call, [floats(3, 4, 5)], grad="argsort" not in expression, second="argsort" not in expression)


DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [0, 1, 7, 30, 300, 3000])
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(dtype, length, descending):
    low = -50 if dtype[0] in "fbi" else 0
    values = np.random.default_rng(length).integers(low, 50, (3, length)).astype(np.float64)
    if dtype.startswith("float") and length > 6:
        values[:, 2:6] = NAN, -0.0, INF, -INF
        values /= 7
    found = []
    for lib in LIBRARIES:
        x = lib.tensor(values).to(getattr(lib, dtype))
        found.append(plain(lib.sort(x, stable=True, descending=descending)))
    assert found[0] == found[1]


def test_sort_of_many_and_wide_integers():
    rng = np.random.default_rng(0)
    for values in (rng.standard_normal(70000).astype(np.float32), rng.integers(-(2**63), 2**63 - 1, 5000)):
        ours, order = swiftnet.tensor(values).sort()
        np.testing.assert_array_equal(np.asarray(order), np.argsort(values, kind="stable"))
        np.testing.assert_array_equal(np.asarray(ours), np.sort(values))
    top = swiftnet.tensor(values).topk(100, largest=False)
    np.testing.assert_array_equal(np.asarray(top.values), np.sort(values)[:100])
    assert top[1] is top.indices


SPECIAL = {
    "nan": np.array([[1.0, NAN, 3.0, NAN, 2.0], [4.0, 1.0, 1.0, 2.0, NAN], [NAN] * 5, [3.0, 1.0, 2.0, 2.0, 1.0]]),
    "inf": np.array([[INF, 1.0, -INF, 1.0], [INF, INF, INF, INF]]),
    "ints": np.array([[3, 1, 3, 1, 2], [7, 7, 7, 1, 1]]),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize(
    "expression",
    [
        "lib.sort(x, dim=1, stable=True)", "x.median(1).values", "x.nanmedian(1).values", "x.median()", "x.nanmedian()",
        "x[-1].mode()", "lib.where(x == x, x, 9).mode(0)", "lib.where(x == x, x, 9).mode(1, keepdim=True)",
        "x.kthvalue(2).values", "x.topk(3).values", "x.double().quantile(.3, 1)", "x.double().nanquantile(.3, 1)",
        "x.double().quantile(.5)", "x.double().nanquantile(lib.tensor([.2, .6], dtype=lib.float64), 1)",
        "lib.unique(x[-1])", "lib.unique(x[-1], return_inverse=True, return_counts=True)",
    ],
)  # fmt: skip
def test_special_values(name, expression):
    same(expression, {"x": SPECIAL[name]})


@pytest.mark.parametrize(
    "expression",
    [
        "lib.unique(x)", "lib.unique(x, return_inverse=True)", "lib.unique(x, return_counts=True)",
        "x.unique(return_inverse=True, return_counts=True)",
        "lib.unique(x, dim=0)", "lib.unique(x, dim=1, return_inverse=True, return_counts=True)",
        "lib.unique(x[0], dim=0)", "lib.unique_consecutive(x)",
        "lib.unique_consecutive(x, return_inverse=True, return_counts=True)",
        "lib.unique_consecutive(x, dim=0, return_inverse=True)", "lib.unique_consecutive(x, dim=1)",
        "lib.unique(x[:0])", "lib.unique(x[0, 0], return_inverse=True)", "lib.unique(x.float())", "lib.unique(x > 1)",
        "lib.unique(x.to(lib.uint8))",
        "lib.unique_consecutive(x[:0], return_counts=True)", "x.transpose(0, 1).unique(dim=0)",
    ],
)  # fmt: skip
def test_unique(expression):
    x = np.random.default_rng(2).integers(0, 3, (6, 4))
    x[3] = x[1]
    x[4] = x[3]
    same(expression, {"x": x})


@pytest.mark.parametrize(
    "expression",
    [
        "lib.searchsorted(s, v)", "lib.searchsorted(s, v, right=True)", "lib.searchsorted(s, v, side='right')",
        "lib.searchsorted(s, 2.0)", "lib.searchsorted(s, v, out_int32=True)",
        "lib.searchsorted(rows, v)",
        "lib.searchsorted(lib.tensor([3., 1., 2.], dtype=lib.float64), v, sorter=lib.tensor([1, 2, 0]))",
        "lib.searchsorted(lib.tensor([1, 3, 5]), lib.tensor([[3, 6], [0, 5]]))",
        "lib.bucketize(v, s)", "lib.bucketize(v, s, right=True)", "lib.bucketize(1.5, s)",
        "lib.bucketize(lib.tensor([1, 2]), lib.tensor([1., 2., 3.]))", "lib.bucketize(v, s, out_int32=True)",
        "lib.searchsorted(s[:0], v)", "lib.searchsorted(s, lib.tensor([float('nan')], dtype=lib.float64))",
        "lib.isin(v, s)", "lib.isin(v, s, invert=True)", "lib.isin(3, lib.tensor([1, 3]))",
        "lib.isin(lib.tensor([1, 3]), 3)", "lib.isin(lib.tensor([[1, 2], [3, 4]]), lib.tensor([2, 4, 9]))",
        "lib.isin(v, s[:0])",
        "lib.bincount(i)", "lib.bincount(i, minlength=12)", "lib.bincount(i, i.double() * .5)", "i.bincount(i.float())",
        "lib.bincount(i[:0])", "lib.bincount(i[:0], minlength=3)", "lib.bincount(i, i)",
        "lib.histc(v.flatten(), 4)", "lib.histc(v, 5, -1, 2)", "v.float().histc(bins=3, min=0, max=4)",
        "lib.histc(lib.ones(3), 4)",
        "lib.nn.functional.one_hot(i)", "lib.nn.functional.one_hot(i, 9)",
        "lib.nn.functional.one_hot(i.reshape(2, 3), 7)", "lib.nn.functional.one_hot(lib.tensor(2), 4)",
        "lib.nn.functional.one_hot(i[:0], 3)",
    ],
)  # fmt: skip
def test_searching_and_counting(expression):
    same(expression, {
        "s": np.array([1.0, 2.0, 2.0, 3.5]), "v": np.array([[0.0, 2.0, 9.0], [3.5, 1.0, 2.5]]),
        "rows": np.array([[0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 2.5, 4.0]]), "i": np.array([3, 1, 3, 0, 5, 1]),
    })  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        "lib.equal(a, a + 0)", "lib.equal(a, b)", "lib.equal(a, a[:1])", "lib.equal(a, a.float())",
        "lib.allclose(a, b)", "lib.allclose(a, b, atol=1.)", "a.allclose(a)",
        "lib.isclose(a, b)", "lib.isclose(a, b, rtol=.5)", "lib.isclose(a, b, equal_nan=True)",
        "lib.isclose(a, a, rtol=0, atol=0)", "lib.isclose(lib.tensor([1, 5]), lib.tensor([1, 6]))",
        "a.isclose(b[0], atol=2)",
        "lib.isclose(lib.tensor([True]), lib.tensor([True]))", "lib.numel(a)", "lib.is_tensor(a)", "lib.is_tensor(3)",
        "lib.is_floating_point(a)", "lib.is_nonzero(a[0, 0])",
    ],
)  # fmt: skip
def test_comparing(expression):
    same(expression, {
        "a": np.array([[1.0, INF, NAN], [0.0, -INF, 2.0]]), "b": np.array([[1.000001, INF, NAN], [1e-9, INF, 3.0]]),
    })  # fmt: skip


ERRORS = [
    ("x.sort(7)", "Dimension out of range"), ("x.topk(9)", "selected index k out of range"),
    ("x.topk(-1)", "selected index k out of range"), ("x.kthvalue(9)", "out of range"),
    ("x.kthvalue(0)", "out of range"),
    ("lib.zeros(0, 3).median(0)", "non-zero size"), ("x.quantile(2.)", "range [0, 1]"),
    ("i.quantile(.5)", "float or double"), ("lib.zeros(0).quantile(.5)", "non-empty"),
    ("x.quantile(.5, interpolation='x')", "interpolation must be one of"),
    ("x.quantile(lib.zeros(2, 2))", "scalar or 1D"), ("lib.bincount(lib.tensor([-1]))", "non-negative"),
    ("lib.bincount(x)", "bincount"),
    ("lib.bincount(i, x[0, 0])", "same length"), ("lib.histc(i)", "not implemented"),
    ("lib.histc(x, 4, 2, 1)", "max must be larger"), ("lib.histc(lib.tensor([1., float('nan')]), 4)", "is not finite"),
    ("F.one_hot(x)", "LongTensor"), ("F.one_hot(lib.tensor([-1]))", "non-negative"),
    ("F.one_hot(lib.tensor([3]), 2)", "smaller than"), ("F.one_hot(i[:0])", "Can not infer"),
    ("lib.unique(x, dim=5)", "Dimension out of range"), ("lib.isclose(x, x.double())", "did not match"),
    ("lib.allclose(x, x.double())", "did not match"), ("lib.numel(3)", "must be Tensor"),
    ("lib.searchsorted(lib.zeros(2, 3), lib.zeros(3, 3))", "boundaries tensor"),
    ("lib.searchsorted(x[0, 0], x, side='up')", "side can only be"), ("lib.bucketize(x, x)", "1 dimension"),
    ("lib.mode(lib.zeros(0, 3), 0)", "non-zero size"),
]  # fmt: skip


@pytest.mark.parametrize("expression, message", ERRORS)
def test_errors(expression, message):
    kinds = []
    for lib in LIBRARIES:
        scope = {"x": lib.arange(24.0).reshape(2, 3, 4), "i": lib.arange(6), "lib": lib, "F": lib.nn.functional}
        with pytest.raises(Exception) as caught:  # noqa: PT011, B017
            eval(expression, scope)
        assert message in str(caught.value)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bfloat16"])
@pytest.mark.parametrize("largest", [True, False])
def test_few_of_many(dtype, largest):
    """Up to 32 of eight times as many are found without sorting; beyond that the way changes, the result does not."""
    numbers = np.random.default_rng(0).standard_normal((7, 400)) * 50
    if dtype.startswith("float"):
        numbers[2, ::9] = np.nan
        numbers[3, ::7] = np.inf
    numbers[4] = np.sort(numbers[4])
    numbers[5] = np.sort(numbers[5])[::-1]
    x, theirs = (lib.tensor(numbers).to(getattr(lib, dtype)) for lib in (swiftnet, torch))
    for k in (1, 2, 10, 31, 32, 33, 50, 51, 400):
        values, places = x.topk(k, 1, largest)
        expected = theirs.topk(k, 1, largest).values
        np.testing.assert_array_equal(values.double().numpy(), expected.double().numpy())
        np.testing.assert_array_equal(x.gather(1, places).double().numpy(), values.double().numpy())
        assert all(len(set(row)) == k for row in places.tolist())
