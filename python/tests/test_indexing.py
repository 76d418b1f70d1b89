"""`x[...]` and the functions that read and write by index, against PyTorch."""

import numpy as np
import pytest
import swiftnet.nn.functional
import torch
from nn_parity import LIBRARIES, compare


def long(lib, values):
    return lib.tensor(values, dtype=lib.int64)


def mask(lib, shape, seed=0):
    return lib.tensor(np.random.default_rng(seed).random(shape) > 0.5)


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float64)


# Indices of a tensor of shape (2, 3, 4).
INDICES = [
    "0", "-1", "1, 2", "0, -1, 2", ":", "...", "..., 0", "0, ...", "1, ..., 2", "None", "..., None", "0, None, :, None",
    "()", "1:", ":, 1:3", "::2, ::2, ::3", ":, -2:, :-1", "5:, :", ":, 2:1", "..., -100:100", "..., ...",
    "[0, 1]", "[1, 0, 1]", "[[0, 1], [1, 2]]", "[[0, 1]]", "([0, 1], [2, 1])", "[]", "range(2)", "[True, False]",
    "[-1, -2]", "(0, 1),", "[(0, 1), (1, 1)]", "[0, None]", "[slice(0, 1)]",
    "0, [0, 2]", ":, [0, 2]", "..., [0, 3, 1]", "[0, 1], :, [1, 2]", "0, :, [1, 2]", ":, [0, 1], [2, 3]",
    "[0, 1], 1:, [1, 2]", ":, [[0, 1], [1, 2]], None, ::2", "[0], [1], [2]", "[[0], [1]], [0, 2]",
    "[[0], [1]], :, [0, 2, 1]", "None, [0, 1]", "[0, 1], None, [0, 2]", "[1, 1], ..., [0, 0]",
    "True", "False", "0, True", "np.int64(1)", "np.array(1)", "np.array([0, 1])", "np.array([True, False])",
    "np.array([[0, 1], [1, 1]])", ":, np.array([2, 0])",
    "long(lib, 1)", "long(lib, [1, 0])", ":, long(lib, [[0, 2]])", "long(lib, [0, 1]), :, None, long(lib, [0, 1])",
    "0:1, long(lib, 1), [0, 1]", "lib.tensor(True)", "lib.tensor([0, 1], dtype=lib.int32)", "long(lib, []), 0",
    "lib.tensor([0, 1], dtype=lib.uint8)", "mask(lib, 2)", ":, mask(lib, 3)", "..., mask(lib, 4)",
    "mask(lib, (2, 3))", "mask(lib, (2, 3)), 0", "mask(lib, (2, 3)), 1:3", ":, mask(lib, (3, 4))",
    "0, mask(lib, (3, 4))",
    "mask(lib, (2, 3, 4))", "x > 0", "x[0] > 0, None", "..., mask(lib, (3, 4))", "lib.zeros(2, 3, 4, dtype=lib.bool)",
    "mask(lib, 2), :, mask(lib, 4)" ,
]  # fmt: skip
INDICES.remove("x[0] > 0, None")


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("layout", ["dense", "transposed", "sliced"])
def test_read(index, layout):
    shape = {"dense": (2, 3, 4), "transposed": (4, 3, 2), "sliced": (4, 3, 8)}[layout]

    def call(f, lib, base):
        x = base if layout == "dense" else base.transpose(0, 2) if layout == "transposed" else base[::2, :, 1::2]
        scope = {"x": x, "lib": lib, "np": np, "long": long, "mask": mask}
        if index == "mask(lib, 2), :, mask(lib, 4)":
            return x[lib.tensor([True, True]), :, lib.tensor([True, False, True, False])]
        return eval(f"x[{index}]", scope)

    compare(call, [floats(*shape)], second=True)


ASSIGNMENTS = [
    ("0", "lib.ones(3, 4)"), ("0", "2"), ("0", "True"), ("..., 1", "5.5"), (":, 1:", "lib.arange(4.)"),
    ("0", "lib.ones(1, 1, 3, 4)"), ("None", "3."), ("[0, 1]", "lib.ones(1, 1, 1, 3, 4)"), ("[1]", "4"),
    ("[1, 1]", "lib.arange(12.).reshape(3, 4)"), (":, [0, 2]", "lib.arange(4.)"), ("0, [1, 2]", "lib.ones(2, 4)"),
    ("[0, 1], :, [1, 2]", "lib.arange(3.)"), ("x > 0", "0"), ("x > 0", "lib.tensor(7.)"), ("x > 0", "lib.tensor([7.])"),
    ("mask(lib, (2, 3))", "lib.arange(4.)"), ("mask(lib, 2)", "9"), ("True", "1"), ("False", "1"), (":, 1:1", "5"),
    ("1:0, [0]", "3"), ("lib.zeros(2, 3, 4, dtype=lib.bool)", "8"), ("...", "lib.arange(4.)"),
    ("0", "lib.ones(3, 4, dtype=lib.float64) * 1.5"), ("0", "lib.tensor(3)"),
    ("long(lib, [1, 0]), 0", "lib.arange(8.).reshape(2, 4)"),
    ("1", "x[0]"), ("[0, 1]", "x[[1, 0]]"), (":, :2", "x[:, 1:]"),
]  # fmt: skip


@pytest.mark.parametrize("index, value", ASSIGNMENTS)
@pytest.mark.parametrize("strided", [False, True])
def test_assign(index, value, strided):
    found = []
    for lib in LIBRARIES:
        base = lib.tensor(floats(2, 3, 8).astype(np.float32))
        x = base[:, :, ::2] if strided else base[:, :, :4].clone()
        scope = {"x": x, "lib": lib, "np": np, "long": long, "mask": mask}
        exec(f"x[{index}] = {value}", scope)
        found.append((np.asarray(base), np.asarray(x)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "index", ["0", ":, 1", "[0, 1]", ":, [2, 0]", "x > 0", "mask(lib, (2, 3))", "[1], :, [3]", "..., 1:3"]
)
def test_assign_gradients(index):
    def call(f, lib, base, value):
        x = base * 2
        scope = {"x": x, "lib": lib, "mask": mask, "long": long, "value": value.sum()}
        exec(f"x[{index}] = value", scope)
        return x * x

    compare(call, [floats(2, 3, 4), floats(5)], second=True)


def test_assign_through_a_view_and_integers():
    for lib in LIBRARIES:
        x = lib.zeros(4, 4)
        x[1][2:] = 3
        x[:, 0][lib.tensor([True, False, False, True])] = 5
        assert x.tolist() == [[5, 0, 0, 0], [0, 0, 3, 3], [0, 0, 0, 0], [5, 0, 0, 0]]
        i = lib.arange(4)
        i[0] = 1.5
        i[[1]] = 7.9
        i[i == 2] = 1.7
        assert i.tolist() == [1, 7, 1, 3]


ERRORS = [
    ("x[1.0]", "only integers"), ("x[lib.tensor([1.])]", "must be long"),
    ("x[5]", "index 5 is out of bounds for dimension 0 with size 2"),
    ("x[0, 3]", "index 3 is out of bounds for dimension 1 with size 3"), ("x[0, 0, 0, 0]", "too many indices"),
    ("x[lib.tensor([5])]", "index 5 is out of bounds for dimension 0 with size 2"),
    ("x[[-3]]", "index -3 is out of bounds"),
    ("x[lib.tensor([True])]", "The shape of the mask"), ("x[[0, 1], [0, 1, 2]]", "shape mismatch"),
    ("x[::-1]", "step must be greater"),
    ("x[[0], [0], [0], [0]]", "too many indices"), ("lib.tensor(5.)[0]", "0-dim"), ("x['a']", "invalid data type"),
    ("x[lib.zeros(2, dtype=lib.int16)]", "must be long"),
    ("x.__setitem__(0, [1., 2.])", "can't assign"), ("x.__setitem__(0, np.ones(4))", "can't assign"),
    ("x.__setitem__(0, None)", "can't assign"),
    ("x.__setitem__([0], lib.ones(3, 4, dtype=lib.float64))", "dtypes match"),
    ("x.__setitem__([0, 1], lib.ones(3))", "shape mismatch"),
    ("x.__setitem__([7], 1)", "index 7 is out of bounds"), ("x.__setitem__(0, lib.ones(5))", "size"),
    ("x.__setitem__(x > 3, lib.ones(2))", "shape mismatch"),
    ("x.gather(0, long(lib, [0]))", "same number of dimensions"),
    ("x.gather(1, lib.full((2, 9, 4), 3))", "index 3 is out of bounds for dimension 1 with size 3"),
    ("x.gather(1, lib.zeros(3, 9, 4, dtype=lib.int64))", "no larger than self"),
    ("x.scatter(1, lib.full((2, 3, 4), -1), 1.)", "out of bounds"),
    ("x.scatter(1, lib.zeros(2, 4, 4, dtype=lib.int64), x)", "larger"),
    ("x.scatter(1, lib.zeros(2, 1, 4, dtype=lib.int64), x.double())", "dtype"),
    ("x.index_select(0, lib.tensor([3]))", "ind"), ("x.index_select(0, lib.tensor([[0]]))", "vector"),
    ("x.index_select(0, lib.tensor([0.]))", "dtype"),
    ("x.index_select(7, lib.tensor([0]))", "Dimension out of range"),
    ("x.index_add(0, lib.tensor([0]), x)", "Number of indices"),
    ("x.index_add(0, lib.tensor([5]), x[:1])", "out of bounds"),
    ("x.index_copy(0, lib.tensor([0]), x)", "Number of indices"),
    ("x.index_fill(0, lib.tensor([4]), 1.)", "out of bounds"), ("x.take(lib.tensor([99]))", "out of range"),
    ("x.masked_select(lib.ones(5, dtype=lib.bool))", "must match"), ("x.masked_select(lib.ones(4))", "mask"),
    ("x.masked_fill(lib.ones(4), 1)", "mask"),
    ("x.masked_scatter(x > -1, lib.ones(3))", "Number of elements of source"),
    ("x.put_(lib.tensor([0, 1]), lib.ones(3))", "same number of elements"),
    ("x.scatter_reduce(0, lib.zeros(1, 1, 1, dtype=lib.int64), x, 'foo')", "reduce argument"),
    ("x.scatter(0, lib.zeros(1, 1, 1, dtype=lib.int64), x, reduce='foo')", "reduce argument"),
    ("x.scatter_add(0, lib.zeros(1, 1, 1, dtype=lib.int64), x.double())", "dtype"),
    ("x.index_put((lib.tensor([0]),), lib.ones(5))", "shape mismatch"),
    ("lib.take_along_dim(x, lib.tensor([0]), 0)", "same number of dimensions"),
]  # fmt: skip


@pytest.mark.parametrize("expression, message", ERRORS)
def test_errors(expression, message):
    kinds = []
    for lib in LIBRARIES:
        scope = {"x": lib.arange(24.0).reshape(2, 3, 4), "lib": lib, "np": np, "long": long}
        with pytest.raises(Exception) as caught:  # noqa: PT011, B017
            eval(expression, scope)
        assert message in str(caught.value)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


I3 = "lib.tensor([2, 0, 2])"
CALLS = [
    f"x.index_select(1, {I3})", "x.index_select(-1, lib.tensor([3], dtype=lib.int32))",
    "x.index_select(0, lib.tensor(1))",
    "x.index_select(1, long(lib, []))", "x[0, 0, 0].index_select(0, lib.tensor([0]))",
    f"x.index_add(1, {I3}, y)", f"x.index_add(1, {I3}, y, alpha=-2.5)", f"x.index_copy(1, {I3}[:2], y[:, :2])",
    f"x.index_fill(1, {I3}, 7)", f"x.index_fill(1, {I3}, y.sum())",
    "x.index_fill(0, lib.tensor([0, 0, 1]), y.sum())", "x.index_fill(1, lib.tensor([1, 1]), 7)",
    "x.index_put((lib.tensor([0, 0]), lib.tensor([1, 1])), y[0, :2], accumulate=True)",
    "x.index_put((lib.tensor([0, 1]),), y, accumulate=False)",
    "x.index_put((lib.tensor([[0], [1]]), lib.tensor([1, 1])), y[0, 0])",
    "x.index_put((x > 0,), y.sum())", "x.index_put((lib.tensor([0, 0, 0]),), lib.ones(1, dtype=x.dtype), True)",
    "x.take(lib.tensor([[0, 23], [-1, 5]]))", "x.put(lib.tensor([0, 23]), y[0, 0, :2])",
    "x.put(lib.tensor([0, 0]), y[0, 0, :2], accumulate=True)",
    "x.gather(0, idx(lib, (1, 3, 4), 2))", "x.gather(1, idx(lib, (2, 5, 4), 3))", "x.gather(2, idx(lib, (2, 2, 9), 4))",
    "x.gather(-1, idx(lib, (2, 0, 4), 4))",
    "x[0, 0, 0].gather(0, lib.tensor([0, 0]))", "x.transpose(0, 2).gather(1, idx(lib, (4, 3, 2), 3))",
    "x.gather(1, idx(lib, (2, 5, 4), 3).to(lib.int32))",
    "x.scatter(0, idx(lib, (1, 3, 4), 2), y[:1])", "x.scatter(1, uniq(lib), y)", "x.scatter(2, uniq(lib, 2), 4.)",
    "x.scatter(1, idx(lib, (1, 2, 3), 3), -1)", "x.scatter(1, uniq(lib), value=2)",
    "x.scatter(1, uniq(lib), src=y)", "x.scatter(0, idx(lib, (0, 3, 4), 2), y[:0])",
    "x.scatter_add(0, idx(lib, (2, 3, 4), 2), y)", "x.scatter_add(1, idx(lib, (2, 2, 3), 3), y[:, :2, :3])",
    "x.scatter_add(2, idx(lib, (1, 3, 4), 4), y[:1])",
    "x.transpose(0, 1).scatter_add(1, idx(lib, (3, 2, 4), 2), y.transpose(0, 1))",
    "lib.take_along_dim(x, idx(lib, (2, 1, 4), 3), 1)", "lib.take_along_dim(x, lib.tensor([[[0]]]), 1)",
    "lib.take_along_dim(x, lib.tensor([0, 5, 23]))",
    "x.masked_fill(x > 0, 3)", "x.masked_fill(mask(lib, (3, 1)), -float('inf')) * 0.5",
    "x.masked_fill(mask(lib, 4), y.sum())", "x[0, 0].masked_fill(mask(lib, (3, 4)), 0.)",
    "x.masked_select(x > 0)", "x.masked_select(mask(lib, (3, 1)))", "x[0, 0].masked_select(mask(lib, (3, 4)))",
    "lib.masked_select(x[0, 0, 0], lib.tensor(True))",
    "x.masked_scatter(x > 0, y)", "x.masked_scatter(mask(lib, (3, 1)), y)",
]  # fmt: skip
for _how in ("sum", "prod", "mean", "amax", "amin"):
    for _own in (True, False):
        CALLS.append(f"x.scatter_reduce(1, idx(lib, (2, 3, 4), 3), y, '{_how}', include_self={_own})")
        CALLS.append(f"x.scatter_reduce(2, idx(lib, (1, 3, 3), 2), y[:1, :, :3], '{_how}', include_self={_own})")


def idx(lib, shape, bound):
    return lib.tensor(np.random.default_rng(7).integers(0, bound, shape))


def uniq(lib, dim=1):
    """Indices that address every element once."""
    shape = (2, 3, 4)
    order = np.argsort(np.random.default_rng(3).random(shape), axis=dim)
    return lib.tensor(order)


@pytest.mark.parametrize("expression", CALLS)
def test_calls(expression):
    def call(f, lib, x, y):
        scope = {"x": x, "y": y, "lib": lib, "np": np, "long": long, "mask": mask, "idx": idx, "uniq": uniq}
        return eval(expression, scope)

    compare(call, [floats(2, 3, 4), floats(2, 3, 4, seed=1)], second="prod" not in expression)


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"]
)
@pytest.mark.parametrize(
    "expression",
    [
        "x[lib.tensor([1, 0, 1])]", "x[:, [2, 0]]", "x[x > 1]", "x.gather(1, idx(lib, (2, 5, 4), 3))",
        "x.scatter(1, uniq(lib), y)",
        "x.scatter_add(1, idx(lib, (2, 3, 4), 3), y)", "x.index_add(1, lib.tensor([0, 0, 1]), y)",
        "x.index_put((lib.tensor([0, 0]),), y, True)",
        "x.masked_fill(x > 1, 2)", "x.nonzero()", "x.index_fill(0, lib.tensor([1]), 1)", "x.take(lib.tensor([5, 3]))",
    ],
)  # fmt: skip
def test_dtypes(expression, dtype):
    found = []
    for lib in LIBRARIES:
        rng = np.random.default_rng(0)
        x, y = (lib.tensor(rng.integers(0, 4, (2, 3, 4))).to(getattr(lib, dtype)) for _ in range(2))
        if dtype == "bool" and "index_add" in expression:
            # PyTorch adds bools by another rule where an index is repeated.
            expression = expression.replace("[0, 0, 1]", "[2, 0, 1]")
        result = eval(expression, {"x": x, "y": y, "lib": lib, "idx": idx, "uniq": uniq})
        found.append((str(result.dtype).split(".")[1], result.to(lib.float64).tolist()))
    assert found[0] == found[1]


IN_PLACE = [
    "x.index_put_((lib.tensor([0, 1]),), y)", "x.index_add_(1, lib.tensor([0, 0, 1]), y)",
    "x.index_copy_(1, lib.tensor([2, 1, 0]), y)",
    "x.index_fill_(0, lib.tensor([1]), 3.)", "x.put_(lib.tensor([3, 4]), y[0, 0, :2])", "x.scatter_(1, uniq(lib), y)",
    "x.scatter_(1, uniq(lib), 2.)",
    "x.scatter_add_(1, idx(lib, (2, 3, 4), 3), y)", "x.scatter_reduce_(1, idx(lib, (2, 3, 4), 3), y, 'amax')",
    "x.masked_fill_(mask(lib, (3, 4)), 5)",
    "x.masked_scatter_(mask(lib, (3, 4)), y)", "x.tril_()", "x.triu_(1)",
]  # fmt: skip


@pytest.mark.parametrize("expression", IN_PLACE)
@pytest.mark.parametrize("viewed", [False, True])
def test_in_place(expression, viewed):
    def call(f, lib, a, y):
        base = a * 1
        x = base.transpose(0, 2) if viewed else base
        version = x._version
        result = eval(expression, {"x": x, "y": y, "lib": lib, "idx": idx, "uniq": uniq, "mask": mask})
        assert result is x
        assert x._version > version
        return base * base

    compare(call, [floats(*((4, 3, 2) if viewed else (2, 3, 4))), floats(2, 3, 4, seed=1)], second=True)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 0), (2, 3, 2)])
def test_nonzero(shape):
    values = np.random.default_rng(1).integers(0, 2, shape)
    results = []
    for lib in LIBRARIES:
        x = lib.tensor(values)
        columns = [t.tolist() for t in x.nonzero(as_tuple=True)]
        results.append((lib.nonzero(x).tolist(), tuple(x.nonzero().shape), columns, tuple(lib.argwhere(x).shape)))
    assert results[0] == results[1]


def test_large_rows_and_threads():
    rng = np.random.default_rng(0)
    table, rows = rng.standard_normal((500, 300)).astype(np.float32), rng.integers(0, 500, 2000)
    results = []
    for threads in (1, 2):
        swiftnet.set_num_threads(threads)
        t = swiftnet.tensor(table, requires_grad=True)
        picked = t[swiftnet.tensor(rows)]
        (picked * picked).sum().backward()
        results.append((np.asarray(picked.detach()), np.asarray(t.grad)))
    np.testing.assert_array_equal(results[0][0], table[rows])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    t = torch.tensor(table, requires_grad=True)
    (t[torch.tensor(rows)] ** 2).sum().backward()
    np.testing.assert_allclose(results[0][1], t.grad.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("how", ["scatter", "scatter_add", "sum", "mean", "amax", "prod"])
def test_source_larger_than_index(how):
    results = []
    for lib in LIBRARIES:
        x, y = (lib.tensor(floats(2, 3, 4, seed=s)) for s in (0, 1))
        index = idx(lib, (1, 2, 3), 2)
        out = getattr(x, how)(2, index, y) if "scatter" in how else x.scatter_reduce(2, index, y, how)
        results.append(np.asarray(out))
    np.testing.assert_allclose(*results, rtol=1e-12)
    x = swiftnet.tensor(floats(2, 3, 4), requires_grad=True)
    y = swiftnet.tensor(floats(2, 3, 4), requires_grad=True)
    x.scatter_add(2, idx(swiftnet, (1, 2, 3), 2), y).sum().backward()
    assert y.grad[:1, :2, :3].sum().item() == 6
    assert y.grad.sum().item() == 6


@pytest.mark.parametrize("shape", [(100_000,), (3, 70_000), (900, 101), (40_000, 3), (20, 30, 40, 5), (0, 3), (3, 0)])
@pytest.mark.parametrize("share", [0, 0.01, 0.6, 1])
def test_nonzero_of_many(shape, share):
    """Found in pieces by all threads."""
    mask = np.random.default_rng(1).random(shape) < share
    ours, theirs = swiftnet.tensor(mask), torch.tensor(mask)
    np.testing.assert_array_equal(ours.nonzero().numpy(), theirs.nonzero().numpy())
    numbers = np.arange(mask.size).reshape(shape)
    np.testing.assert_array_equal(swiftnet.tensor(numbers)[ours].numpy(), numbers[mask])
