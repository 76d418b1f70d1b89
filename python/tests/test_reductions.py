"""Reductions and scans against PyTorch: dimensions, dtypes, layouts, gradients, errors."""

import math

import numpy as np
import pytest
import swiftnet
import torch
from parity import DTYPES, FLOATS, assert_same, compare, raises_alike, to_swiftnet, values

DIMS = [None, 0, 1, -1, (0, 1), (0, 2), (-1, -2), (0, 1, 2)]
INFINITY = math.inf


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "mean",
        "amax",
        "amin",
        "var",
        "std",
        "any",
        "all",
        "nansum",
        "nanmean",
        "norm",
        "logsumexp",
        "count_nonzero",
    ],
)
def test_dimensions(name, dim, keepdim):
    x = values((3, 4, 5), "float64")
    if dim is None:
        if name != "logsumexp":
            compare(lambda m, a: getattr(m, name)(a), [x], ulps=16, sums=True, what=name)
    elif name == "count_nonzero":
        compare(lambda m, a: m.count_nonzero(a, dim), [x])
    else:
        compare(lambda m, a: getattr(m, name)(a, dim=dim, keepdim=keepdim), [x], ulps=16, sums=True, what=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "mean",
        "prod",
        "amax",
        "amin",
        "var",
        "std",
        "any",
        "all",
        "nansum",
        "norm",
        "max",
        "min",
        "argmax",
        "argmin",
        "count_nonzero",
        "aminmax",
    ],
)
def test_dtypes(name, dtype):
    x = values((6, 7), dtype)
    compare(lambda m, a: getattr(m, name)(a), [x], ulps=16, sums=True, what=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name",
    ["cumsum", "cumprod", "cummax", "cummin", "max", "min", "argmax", "argmin", "logcumsumexp", "prod", "logsumexp"],
)
def test_one_dimension(name, dtype):
    # No equal neighbours: which of equal elements is the extreme one is not part of the rule for gradients.
    x = values((5, 6), dtype, low=-2, high=2)
    if dtype == "float16" and name == "cumprod":
        x = x.abs() + 0.5
    for dim in (0, 1, -1):
        compare(lambda m, a: getattr(m, name)(a, dim), [x], ulps=32, sums=True, what=f"{name} {dim}")


@pytest.mark.parametrize("layout", ["transposed", "sliced", "expanded"])
@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "mean",
        "prod",
        "amax",
        "var",
        "cumsum",
        "cumprod",
        "max",
        "argmin",
        "cummax",
        "logcumsumexp",
        "logsumexp",
        "norm",
        "diff",
    ],
)
def test_layouts(name, layout):
    x = values((6, 8), "float64", low=0.5, high=2)
    change = {
        "transposed": lambda a: a.transpose(0, 1),
        "sliced": lambda a: a[1::2, ::3],
        "expanded": lambda a: a[:, :1].expand(6, 4),
    }[layout]
    if layout == "expanded" and name in ("max", "argmin", "cummax", "amax"):
        # Equal elements, of which any may be the one: along the other dimension.
        compare(lambda m, a: getattr(m, name)(change(a), dim=0), [x], ulps=32, sums=True, what=name)
        return
    compare(lambda m, a: getattr(m, name)(change(a), dim=1), [x], ulps=32, sums=True, what=name)


@pytest.mark.parametrize("count", [1, 7, 1000, 70_001, 300_000])
@pytest.mark.parametrize("dtype", FLOATS)
def test_accuracy_of_long_sums(dtype, count):
    x = values((count,), dtype, low=0.1)
    exact = {"sum": math.fsum(x.tolist()), "norm": math.sqrt(math.fsum(v * v for v in x.tolist()))}
    exact["mean"] = exact["sum"] / count
    exact["var"] = math.fsum((v - exact["mean"]) ** 2 for v in x.tolist()) / max(count - 1, 1)
    for name, truth in exact.items():
        if name != "var" or count > 1:
            assert_same(
                getattr(to_swiftnet(x), name)(), getattr(x, name)(), torch.tensor(truth, dtype=torch.float64), what=name
            )


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), ()], ids=str)
@pytest.mark.parametrize(
    "name", ["sum", "prod", "any", "all", "nansum", "count_nonzero", "max", "argmax", "amax", "norm", "mean", "aminmax"]
)
def test_empty(name, shape):
    x = values(shape, "float64")
    compare(lambda m, a: getattr(m, name)(a), [x], what=f"{name} {shape}")
    if name not in ("aminmax",) and len(shape) == 2:
        for dim in (0, 1):
            compare(lambda m, a: getattr(m, name)(a, dim), [x], what=f"{name} {shape} {dim}")


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, 2.5, INFINITY, -INFINITY, -1, "fro"], ids=str)
@pytest.mark.parametrize("dim", [None, 1, (0, 1)], ids=str)
def test_norms(p, dim):
    x = values((3, 4), "float64")
    x[0, 0] = 0.125
    compare(lambda m, a: m.norm(a, p, dim), [x], ulps=16, sums=True)
    if p != "fro":
        compare(lambda m, a: m.linalg.vector_norm(a, p, dim, keepdim=True), [x], ulps=16, sums=True)
    if p in ("fro", 1, -1, INFINITY, -INFINITY):
        compare(lambda m, a: m.linalg.matrix_norm(a, p), [x], ulps=16, sums=True)
        compare(lambda m, a: m.linalg.norm(a, p), [x], ulps=16, sums=True)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, INFINITY])
def test_norm_of_zeros(p):
    x = torch.zeros(3, 4, dtype=torch.float64)
    x[1, 2] = 1
    compare(lambda m, a: m.norm(a, p, 1), [x])


def test_extremes():
    x, y = values((4, 5), "float64", 1), values((4, 5), "float64", 2)
    compare(lambda m, a, b: m.max(a, b) + m.min(a, b), [x, y])
    compare(lambda m, a, b: a.max(b), [x, y])
    for keepdim in (False, True):
        compare(lambda m, a: m.max(a, 1, keepdim), [x])
        compare(lambda m, a: m.min(a, dim=0, keepdim=keepdim), [x])
        compare(lambda m, a: m.argmax(a, 1, keepdim=keepdim), [x])
        compare(lambda m, a: m.argmin(a, keepdim=keepdim), [x])
        compare(lambda m, a: m.aminmax(a, dim=1, keepdim=keepdim), [x])
    ties = torch.tensor([[1.0, 3.0, 3.0, 2.0], [2.0, 2.0, 2.0, 2.0]], dtype=torch.float64)
    for name in ("max", "min", "amax", "amin"):
        compare(lambda m, a: getattr(m, name)(a), [ties], what=name)
    compare(lambda m, a: m.amax(a, 1), [ties])
    compare(lambda m, a: m.argmax(a, 1), [ties])
    nan = torch.tensor([[1.0, math.nan, 3.0], [2.0, 5.0, 2.0]])
    for name in ("max", "min", "cummax", "cummin", "argmax", "argmin"):
        compare(lambda m, a: getattr(m, name)(a, 1), [nan], gradient=False, what=name)


def test_named_results():
    x = to_swiftnet(values((3, 4), "float32"))
    result = x.max(dim=1)
    assert result.values is result[0] and result.indices is result[1]
    values_, indices = result
    assert isinstance(result, swiftnet.return_types.max) and repr(result).startswith("swiftnet.return_types.max(")
    assert swiftnet.aminmax(x).min.item() == x.min().item()
    assert x.cummax(0).indices.dtype is swiftnet.int64


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unbiased": False},
        {"correction": 0},
        {"correction": 2},
        {"dim": 1},
        {"dim": (0, 1), "correction": 1.5, "keepdim": True},
    ],
    ids=str,
)
def test_variance(options):
    x = values((4, 5), "float64")
    for name in ("var", "std", "var_mean", "std_mean"):
        compare(lambda m, a: getattr(m, name)(a, **options), [x], ulps=16, sums=True, what=name)
    compare(lambda m, a: m.var(a, False), [x], ulps=16, sums=True)


@pytest.mark.parametrize("dtype", ["float64", "int32", "bool", "float16"])
def test_result_dtype(dtype):
    x = values((3, 4), dtype)
    for kind in ("float64", "int64", "int32", "float32"):
        for name in ("sum", "prod", "nansum"):
            compare(
                lambda m, a: getattr(m, name)(a, dtype=getattr(m, kind)), [x], gradient=False, what=f"{name} {kind}"
            )
        compare(lambda m, a: m.cumsum(a, 1, dtype=getattr(m, kind)), [x], gradient=False)
    compare(lambda m, a: m.mean(a, dtype=m.float64), [x], gradient=False)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_products_with_zeros(zeros):
    x = values((3, 5), "float64", low=0.5, high=2)
    x[1, :zeros] = 0
    compare(lambda m, a: m.prod(a), [x])
    compare(lambda m, a: m.prod(a, 1), [x])
    compare(lambda m, a: m.cumprod(a, 1), [x], ulps=32, sums=True)
    compare(lambda m, a: m.cumprod(a, 0), [x], ulps=32, sums=True)


def test_logarithms_of_sums():
    x = values((3, 4), "float64")
    x[0, 0], x[1] = 800, -800
    # The exponent of a difference of numbers near 800 keeps three digits less.
    compare(lambda m, a: m.logsumexp(a, 1), [x], ulps=512)
    compare(lambda m, a: m.logcumsumexp(a, 1), [x], ulps=512, sums=True)
    x[2] = -math.inf
    compare(lambda m, a: m.logsumexp(a, 1), [x], gradient=False)
    x[2, 0] = math.inf
    compare(lambda m, a: m.logsumexp(a, 1), [x], gradient=False)


def test_nan_reductions():
    x = values((3, 4), "float64")
    x[0, 1] = x[2, 2] = math.nan
    compare(lambda m, a: m.nansum(a, 1), [x])
    compare(lambda m, a: m.nanmean(a, 0), [x])


def test_differences_and_integrals():
    x, y = values((4, 5), "float64", 1), values((4, 2), "float64", 2)
    compare(lambda m, a, b: m.diff(a), [x, y])
    compare(lambda m, a, b: m.diff(a, n=2, dim=0), [x, y])
    compare(lambda m, a, b: m.diff(a, prepend=b, append=b), [x, y])
    compare(lambda m, a: m.diff(a), [values((6,), "bool")])
    compare(lambda m, a: m.trapezoid(a), [x], sums=True)
    compare(lambda m, a: m.trapz(a, dx=0.5, dim=0), [x], sums=True)
    compare(lambda m, a, b: m.trapezoid(a, b), [x, values((5,), "float64", 3)], sums=True)
    compare(lambda m, a, b: m.trapezoid(a, b), [x, values((4, 5), "float64", 3)], sums=True)
    compare(lambda m, a: m.cumulative_trapezoid(a, dim=0), [x], sums=True)


def test_distances():
    x, y = values((3, 4), "float64", 1), values((5, 4), "float64", 2)
    for p in (0.5, 1, 2, 3, INFINITY):
        compare(lambda m, a, b: m.cdist(a, b, p), [x, y], ulps=64, sums=True, what=f"cdist {p}")
        compare(lambda m, a, b: m.dist(a, b[:3], p), [x, y], ulps=16, sums=True, what=f"dist {p}")
        compare(lambda m, a, b: m.pairwise_distance(a, b[:3], p), [x, y], ulps=16, sums=True)
    compare(lambda m, a, b: m.cdist(a.reshape(1, 3, 4), b.reshape(1, 5, 4)), [x, y], ulps=64, sums=True)
    compare(lambda m, a, b: m.cosine_similarity(a, b[:3]), [x, y], ulps=64, sums=True)
    compare(lambda m, a, b: m.cosine_similarity(a, b[:1], dim=0), [x, y], ulps=64, sums=True)
    compare(lambda m, a, b: m.cosine_similarity(a * 0, b[:3]), [x, y], ulps=64, gradient=False)
    compare(lambda m, a: m.renorm(a, 2, 0, 2.0), [x], ulps=64, sums=True)
    a, b = values((4, 3), "float64", 1), values((4, 3), "float64", 2)
    compare(lambda m, p, q: m.cross(p, q), [a, b], ulps=64, sums=True)
    compare(lambda m, p, q: m.linalg.cross(p, q), [a, b], ulps=64, sums=True)
    compare(lambda m, p, q: m.cross(p, q, dim=1), [a[:1], b], ulps=64, sums=True)


@pytest.mark.parametrize("mode", ["use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist",
                                  "donot_use_mm_for_euclid_dist"])  # fmt: skip
@pytest.mark.parametrize("shapes", [((40, 6), (3, 6)), ((2, 1, 5, 4), (3, 30, 4)), ((3, 2), (4, 2)), ((0, 3), (30, 3))])
def test_distances_of_many_rows(mode, shapes):
    inputs = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate(shapes)]
    if shapes[0][0] > 3:
        # A distance of 0 has the gradient 0.
        inputs[0][1] = inputs[1][1] = [1, 2, 0, 0, 4, 0]
    found = []
    for lib in (swiftnet, torch):
        x, y = (lib.tensor(i).requires_grad_() for i in inputs)
        distances = lib.cdist(x, y, compute_mode=mode)
        weights = lib.tensor(np.random.default_rng(9).standard_normal(tuple(distances.shape)))
        gradients = lib.autograd.grad((distances * weights).sum(), (x, y))
        found.append([t.detach().numpy() for t in (distances, *gradients)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_distances_know_their_modes():
    x = swiftnet.ones(3, 2)
    with pytest.raises(ValueError, match="fast is not a valid value for compute_mode"):
        swiftnet.cdist(x, x, compute_mode="fast")


ERRORS = {
    "dim": lambda m, x: x.sum(5),
    "dim twice": lambda m, x: x.sum((0, 0)),
    "mean of int": lambda m, x: x.int().mean(),
    "var of int": lambda m, x: x.int().var(),
    "argmax of nothing": lambda m, x: x[:0].argmax(),
    "max of nothing": lambda m, x: x[:0].max(),
    "amax of nothing": lambda m, x: x[:0].amax(0),
    "max dim of nothing": lambda m, x: x[:0].max(0),
    "norm of int": lambda m, x: m.linalg.vector_norm(x.int()),
    "cumsum dim": lambda m, x: x.cumsum(4),
    "cdist columns": lambda m, x: m.cdist(x, x[:, :1]),
    "cross size": lambda m, x: m.cross(x, x, dim=0),
    "renorm vector": lambda m, x: m.renorm(x[0], 2, 0, 1.0),
    "logcumsumexp of int": lambda m, x: m.logcumsumexp(x.int(), 0),
    "argmax of bool": lambda m, x: m.argmax(x.bool()),
    "diff of number": lambda m, x: m.diff(x[0, 0]),
    "max of a list": lambda m, x: m.max([1.0, 2.0]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    raises_alike(ERRORS[case], torch.ones(2, 2))
