"""Splitting, stacking, rearranging, padding, triangles and grids, against PyTorch."""

import numpy as np
import pytest
import swiftnet.nn.functional
from nn_parity import LIBRARIES, compare


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float64)


# x: (2, 3, 4), m: (4, 4), v: (5,).
CALLS = [
    "x.split(2, 1)", "x.split(2, -1)", "x.split([1, 3], 2)", "lib.split(x, [2, 0, 2], dim=2)", "x.split(9)",
    "x.split_with_sizes([1, 2], 1)", "x.chunk(2, 2)", "x.chunk(3, -1)", "x.chunk(7, 2)", "lib.chunk(x, 1)",
    "x.tensor_split(3, 2)", "x.tensor_split(9, 2)", "x.tensor_split((1, 3), 2)", "x.tensor_split([2, 1], 2)",
    "x.tensor_split(lib.tensor([1, 2]), 1)", "x.tensor_split((-1, 9), 2)",
    "lib.hsplit(x, 3)", "lib.hsplit(v, [2])", "x.vsplit(2)", "lib.dsplit(x, 2)", "x.unbind()", "x.unbind(-1)",
    "list(x)", "[t * 2 for t in m]",
    "lib.stack([x, x * 2], 1)", "lib.stack((v, v), -1)", "lib.hstack([x, x])", "lib.hstack((v, v))",
    "lib.vstack([v, v])", "lib.vstack([m, m])", "lib.row_stack([m])", "lib.dstack([v, v])", "lib.dstack([m, m])",
    "lib.column_stack([v, v])", "lib.column_stack([m[:, 0], m])", "lib.hstack([v[0], v])",
    "x.movedim(0, 2)", "x.movedim((0, 1), (-1, 0))", "lib.moveaxis(x, -1, 0)", "x.swapaxes(0, 1)", "x.swapdims(-1, 0)",
    "x.unflatten(2, (2, -1))", "x.unflatten(-1, [2, 2])",
    "lib.atleast_1d(v[0])", "lib.atleast_2d(v)", "lib.atleast_3d(v)", "lib.atleast_3d(m)", "lib.atleast_2d(v[0], v, m)",
    "lib.atleast_3d([v[0], x])",
    "lib.broadcast_to(v, (3, 5))", "lib.broadcast_tensors(v, x[0, 0, :1])", "v.broadcast_to((2, 5))", "v.expand(2, -1)",
    "x.flip(0)", "x.flip(0, 2)", "x.flip([1, -1])", "lib.fliplr(x)", "lib.flipud(v)", "x.transpose(0, 2).flip(0)",
    "x[:, ::2].flip(1)", "x.flip(())",
    "x.roll(1)", "x.roll(-2, 2)", "lib.roll(x, (1, 5), (0, 2))", "x.roll(0, 1)", "lib.rot90(x)", "lib.rot90(m, 2)",
    "m.rot90(-1)", "lib.rot90(x, 1, (1, 2))", "lib.rot90(x, 4, [0, 2])",
    "x.repeat(1, 2, 1)", "v.repeat(2, 3)", "x.repeat(2, 1, 1, 2)", "v.repeat(1)", "v.repeat(0)", "x.tile(2)",
    "x.tile(2, 1)", "lib.tile(v, (2, 2))", "v[0].repeat(3)",
    "x.repeat_interleave(2)", "x.repeat_interleave(2, 1)", "x.repeat_interleave(lib.tensor([1, 0, 2]), dim=1)",
    "lib.repeat_interleave(v, lib.tensor([1, 0, 2, 3, 1]))", "x.repeat_interleave(lib.tensor([2]), 0)",
    "m.tril()", "m.triu(1)", "lib.tril(x, -1)", "x.triu(-1)", "m.t().tril(2)", "x.tril(100)", "x.triu(-100)",
    "lib.diag(v)", "lib.diag(v, 2)", "lib.diag(v, -1)", "m.diag()", "m.diag(-1)", "lib.diagflat(m)",
    "lib.diagflat(v, 1)", "lib.diag_embed(x)", "lib.diag_embed(x, 1, 0, 2)", "x.diag_embed(-2, -1, 0)", "m.trace()",
    "x.diagonal(1, 0, 2)", "lib.block_diag(m, v, v[0])", "lib.block_diag(m)", "lib.meshgrid(v, m[0], indexing='ij')",
    "lib.meshgrid(v, m[0], v[:2], indexing='xy')", "lib.meshgrid([v, v[0]])",
    "lib.cartesian_prod(v, m[0])", "lib.cartesian_prod(v)", "lib.cartesian_prod(v, v, m[1])", "lib.combinations(v)",
    "lib.combinations(v, 3)", "lib.combinations(v, 2, with_replacement=True)", "lib.combinations(v[:1], 3, True)",
    "lib.combinations(v, 1)", "lib.combinations(v, 6)",
    "x.select_scatter(m[:3], 0, 1)", "x.slice_scatter(x[:, :2] * 3, 1, 1)",
    "x.slice_scatter(x[..., :2] * 3, 2, 0, None, 2)", "m.diagonal_scatter(v[:4])", "m.diagonal_scatter(v[:3], 1)",
    "lib.select_scatter(m.detach(), m[0], 1, -1)",
    "f.pad(x, (1, 2))", "f.pad(x, (1, 2, 0, 3))", "f.pad(x, (1, 1, 1, 1, 2, 2), value=1.5)", "f.pad(x, (-1, 2))",
    "f.pad(x, (-1, -1, 2, -1))", "f.pad(v, (0, 0))", "f.pad(x, [2, -6])", "f.pad(x, ())",
    "x.view_as(x.reshape(2, 3, 4))", "x.ravel()", "x.reshape_as(x.transpose(0, 2))",
    "x.index_select(0, lib.tensor([1])).squeeze(0)",
]  # fmt: skip
CALLS.remove("f.pad(x, [2, -6])")
for _mode in ("reflect", "replicate", "circular"):
    CALLS += [
        f"f.pad(x, (1, 2), mode='{_mode}')", f"f.pad(m, (2, 0), '{_mode}')", f"f.pad(x[None], (1, 2, 2, 0), '{_mode}')",
        f"f.pad(x, (0, 3, 1, 1), '{_mode}')",
        f"f.pad(x[None, None], (1, 2, 2, 0, 1, 1), '{_mode}')", f"f.pad(x[None], (0, 1, 2, 2, 0, 1), '{_mode}')",
    ]  # fmt: skip
CALLS += ["f.pad(x, (6, 5), 'replicate')", "f.pad(x, (4, 4), 'circular')", "f.pad(x, (3, 3), 'reflect')"]


@pytest.mark.parametrize("expression", CALLS)
def test_calls(expression):
    def call(f, lib, x, m, v):
        result = eval(expression, {"x": x, "m": m, "v": v, "lib": lib, "f": f})
        return list(result) if isinstance(result, tuple) else result

    compare(call, [floats(2, 3, 4), floats(4, 4, seed=1), floats(5, seed=2)], second=True)


@pytest.mark.parametrize(
    "expression",
    [
        "lib.tril_indices(3, 4)", "lib.triu_indices(3, 3, 1)", "lib.tril_indices(3, 3, -1, dtype=lib.int32)",
        "lib.tril_indices(0, 2)", "lib.repeat_interleave(lib.tensor([2, 0, 1]))",
        "lib.tensor([1, 2]).repeat(2)", "lib.arange(6).flip(0)", "lib.arange(6).reshape(2, 3).tril()",
        "lib.arange(3).diag()", "lib.ones(2, 2, dtype=lib.int32).trace()", "lib.combinations(lib.tensor([1, 2, 3]))",
        "lib.arange(6).roll(2)", "lib.zeros(0, 3).roll(1, 0)", "lib.zeros(2, 0).flip(0)", "lib.zeros(0, 3).tile(2)",
        "lib.zeros(3, 0).chunk(2, 1)[1]", "lib.zeros(0).split(2)[0]", "lib.tensor([True, False]).flip(0)",
        "lib.nn.functional.pad(lib.arange(4), (1, 1), value=7)", "lib.nn.functional.pad(lib.tensor([True]), (1, 0))",
        "lib.broadcast_shapes((2, 1), (3,), (1, 1, 1))", "lib.broadcast_shapes(2, (1,))",
        "lib.zeros(2, 0, 3).tril()", "lib.zeros(0, 3).unbind(1)[0]", "lib.block_diag()",
    ],
)  # fmt: skip
def test_integers_and_empty(expression):
    found = []
    for lib in LIBRARIES:
        result = eval(expression, {"lib": lib})
        if not isinstance(result, tuple):
            result = (str(result.dtype).split(".")[1], tuple(result.shape), result.tolist())
        found.append(tuple(result))
    assert found[0] == found[1]


def test_in_place_through_pieces():
    """Changes of a piece reach the whole, in value and in gradient."""
    x = swiftnet.tensor(floats(4, 3), requires_grad=True)
    y = x * 1
    a, b = y.split(2)
    a.mul_(3)
    y.unbind(1)[0].zero_()
    (y * y).sum().backward()
    expected = np.asarray(x.detach()) * 2
    expected[:2] *= 9
    expected[:, 0] = 0
    np.testing.assert_allclose(np.asarray(x.grad), expected)
    assert swiftnet.ones(2).unbind()[0].grad_fn is None


def test_in_place_shapes():
    for lib in LIBRARIES:
        x = lib.arange(6.0).reshape(1, 2, 3)
        assert tuple(x.squeeze_(0).t_().shape) == (3, 2)
        assert tuple(x.unsqueeze_(1).transpose_(0, 2).shape) == (2, 1, 3)
        y = lib.arange(4.0)
        assert y.resize_(2).tolist() == [0, 1]
        assert y.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
        assert y.resize_(6)[:4].tolist() == [0, 1, 2, 3]
        assert tuple(y.resize_as_(lib.zeros(3)).shape) == (3,)


ERRORS = [
    ("x.split(-1)", "non-negative"), ("x.split([1, 3])", "sum exactly to 2"),
    ("x.split(0)", "split_size can only be 0"), ("lib.tensor(1.).split(1)", "at least a 1-dimensional"),
    ("x.chunk(0)", "greater than 0"), ("x.tensor_split(0)", "larger than 0"),
    ("lib.hsplit(lib.tensor(1.), 2)", "at least 1 dimension"), ("lib.hsplit(x, 2)", "not divisible"),
    ("lib.dsplit(v, 2)", "at least 3 dimension"), ("x.unbind(4)", "Dimension out of range"),
    ("x.movedim(0, 7)", "Dimension out of range"),
    ("x.movedim([0, 1], [0])", "same number of dims"), ("x.movedim([0, 0], [0, 1])", "repeated dim"),
    ("x.unflatten(2, (3, -1))", "don't multiply up"), ("x.unflatten(2, ())", "non-empty"),
    ("x.flip(5)", "Dimension out of range"), ("x.flip(0, 0)", "multiple times"),
    ("lib.rot90(x, 1, [0, 0])", "to be different"), ("lib.rot90(v)", "total dims >= 2"),
    ("x.roll([1, 2], [0])", "must align"), ("x.repeat(2)", "Number of dimensions of repeat"),
    ("x.repeat(-1, 1, 1)", "negative dimension"),
    ("x.repeat_interleave(lib.tensor([1, 2, 3]), 0)", "same size as input"),
    ("x.repeat_interleave(-1)", "non-negative"), ("lib.tril(lib.ones(3))", "at least 2 dimensions"),
    ("lib.diag(x)", "Supports 1D or 2D"), ("lib.trace(x)", "expected a matrix"),
    ("lib.diag_embed(v, 0, 0, 0)", "cannot be identical"), ("lib.meshgrid(x)", "Expected 0D or 1D"),
    ("lib.combinations(x)", "1D vector"), ("lib.cartesian_prod(x)", "1D vector"), ("lib.block_diag(x)", "2 or fewer"),
    ("lib.hstack([])", "non-empty"),
    ("lib.stack([])", "non-empty"), ("lib.stack([x, v])", "equal size"),
    ("lib.column_stack([v, x])", "number of dimensions"), ("x.select_scatter(v, 0, 0)", "expected src"),
    ("x.slice_scatter(v, 0, 0, 1)", "expected src"), ("x.diagonal_scatter(v)", "expected src"),
    ("F.pad(x, (1,))", "divisible by 2"), ("F.pad(x, (4, 0), 'reflect')", "less than the corresponding"),
    ("F.pad(v, (1, 1), 'reflect')", "not supported for 1D"), ("F.pad(x, (1, 1), 'foo')", "Unrecognised padding mode"),
    ("F.pad(x, (5, 0), 'circular')", "wrapping around"),
    ("F.pad(x, (1, 1, 1, 1, 1, 1, 1, 1))", "less than or equal"), ("lib.broadcast_shapes((2,), (3,))", "broadcast"),
    ("lib.broadcast_to(x, (3,))", "number of sizes"), ("lib.tril_indices(-1, 2)", "non-negative"),
    ("F.pad(x, (-3, -3))", "negative"),
    ("lib.zeros(2, requires_grad=True).resize_(3)", "requires? grad"),
    ("lib.meshgrid(v, indexing='ab')", "indexing must be one of"), ("x.repeat(2**40, 2**40, 1)", ""),
]  # fmt: skip


@pytest.mark.parametrize("expression, message", ERRORS)
def test_errors(expression, message):
    kinds = []
    for lib in LIBRARIES:
        scope = {"x": lib.arange(24.0).reshape(2, 3, 4), "v": lib.arange(5.0), "lib": lib, "F": lib.nn.functional}
        with pytest.raises(Exception, match=message.replace("(", ".").replace("[", ".")) as caught:  # noqa: B017
            eval(expression, scope)
        kinds.append(caught.type)
    if message:
        assert kinds[0] is kinds[1]
