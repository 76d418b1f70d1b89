"""Products of matrices and vectors, einsum and linear algebra against PyTorch."""

import pytest
import swiftnet
import torch
from parity import DTYPES, compare, raises_alike, values


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4, 5)),
        ((4,), (4,)),
        ((4,), (4, 5)),
        ((3, 4), (4,)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (4,)),
        ((2, 3, 4), (2, 4, 5)),
        ((5, 1, 3, 4), (2, 4, 2)),
        ((4,), (2, 4, 3)),
        ((0, 4), (4, 5)),
        ((3, 0), (0, 5)),
        ((2, 3, 4), (1, 4, 5)),
    ],
    ids=str,
)
def test_matmul(shapes):
    for dtype in ("float64", "float32"):
        compare(
            lambda m, a, b: m.matmul(a, b),
            [values(shapes[0], dtype, 1), values(shapes[1], dtype, 2)],
            ulps=16,
            sums=True,
        )
        compare(lambda m, a, b: a @ b, [values(shapes[0], dtype, 1), values(shapes[1], dtype, 2)], ulps=16, sums=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    a, b = values((5, 6), dtype, 1), values((6, 4), dtype, 2)
    for name in ("mm", "matmul"):
        compare(lambda m, x, y: getattr(m, name)(x, y), [a, b], ulps=16, sums=True, what=name)
    compare(lambda m, x, y: m.mv(x, y[:, 0]), [a, b], ulps=16, sums=True, what="mv")
    compare(lambda m, x, y: m.dot(x[0], y[:, 0]), [a, b], ulps=16, sums=True, what="dot")
    compare(lambda m, x, y: m.outer(x[0], y[0]), [a, b], ulps=16, sums=True, what="outer")
    compare(lambda m, x, y: m.bmm(x.reshape(1, 5, 6), y.reshape(1, 6, 4)), [a, b], ulps=16, sums=True, what="bmm")
    c = values((5, 4), dtype, 3)
    compare(lambda m, x, y, z: m.addmm(z, x, y), [a, b, c], ulps=16, sums=True, what="addmm")
    compare(lambda m, x, y, z: m.addmm(z, x, y, beta=2, alpha=3), [a, b, c], ulps=16, sums=True, what="addmm")


@pytest.mark.parametrize("layout", ["transposed", "sliced"])
def test_layouts(layout):
    a, b = values((6, 6), "float64", 1), values((6, 6), "float64", 2)
    change = {"transposed": lambda t: t.transpose(0, 1), "sliced": lambda t: t[::2, ::2]}[layout]
    compare(lambda m, x, y: change(x) @ change(y), [a, b], ulps=16, sums=True)
    compare(lambda m, x, y: m.einsum("ij,kj->ik", change(x), change(y)), [a, b], ulps=16, sums=True)


@pytest.mark.parametrize("scales", [(1, 1), (0, 2), (0.5, 0), (2, -1.5)], ids=str)
def test_added_products(scales):
    beta, alpha = scales
    options = {"beta": beta, "alpha": alpha}
    m3, v3, v4 = values((3, 4), "float64", 1), values((3,), "float64", 2), values((4,), "float64", 3)
    a, b = values((2, 3, 5), "float64", 4), values((2, 5, 4), "float64", 5)
    compare(lambda m, c, x, y: m.addmm(c, x[0], y[0], **options), [m3, a, b], ulps=64, sums=True)
    compare(lambda m, c, x, y: m.addmm(c[:1], x[0], y[0], **options), [m3, a, b], ulps=64, sums=True)
    compare(lambda m, c, x, y: m.addmv(c, x, y, **options), [v3, m3, v4], ulps=64, sums=True)
    compare(lambda m, c, x, y: m.addbmm(c, x, y, **options), [m3, a, b], ulps=64, sums=True)
    compare(lambda m, c, x, y: m.baddbmm(c, x, y, **options), [m3, a, b], ulps=64, sums=True)
    compare(lambda m, c, x, y: m.addr(c, x, y, **options), [m3, v3, v4], ulps=64, sums=True)
    compare(lambda m, c, x, y: (c * 1).addmm_(x[0], y[0], **options), [m3, a, b], ulps=64, sums=True)
    compare(lambda m, c, x, y: c.addmm(x[0], y[0], **options), [m3, a, b], ulps=64, sums=True)


def test_ignored_addend():
    c = torch.full((2, 2), float("nan"), dtype=torch.float64)
    a = values((2, 2), "float64")
    compare(lambda m, z, x: m.addmm(z, x, x, beta=0), [c, a], gradient=False)


EQUATIONS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "ij,jk": [(2, 3), (3, 4)],
    "ii": [(3, 3)],
    "ii->i": [(3, 3)],
    "ij->ji": [(2, 3)],
    "ij->": [(2, 3)],
    "ij->j": [(2, 3)],
    "i,j->ij": [(2,), (3,)],
    "i,i": [(4,), (4,)],
    "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)],
    "...ij,...jk->...ik": [(2, 3, 4), (2, 4, 5)],
    "...ij,jk": [(2, 5, 3, 4), (4, 2)],
    "bn,anm,bm->ba": [(2, 3), (4, 3, 5), (2, 5)],
    "i...->...": [(2, 3, 4)],
    "...": [(2, 3)],
    "ij , jk -> ik": [(2, 3), (3, 4)],
    "bhid,bhjd->bhij": [(2, 3, 4, 5), (2, 3, 6, 5)],
    "ijj->ij": [(2, 3, 3)],
    "iij->j": [(2, 2, 3)],
    "Ab,bC->AC": [(2, 3), (3, 4)],
    "...i,...i": [(2, 3), (2, 3)],
    "ij,ij->ij": [(2, 3), (2, 3)],
    "ij,ij->": [(2, 3), (2, 3)],
    "a,ab,abc->abc": [(2,), (2, 3), (2, 3, 4)],
    "...ij->...ji": [(2, 3, 4)],
    "i,->i": [(3,), ()],
    "ij,jk,kl->il": [(2, 3), (3, 4), (4, 5)],
    "...a,...a->...": [(3, 1, 4), (2, 4)],
    "ij,jk->k": [(1, 3), (3, 4)],
    "ab,ab->a": [(2, 1), (2, 3)],
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation):
    operands = [values(shape, "float64", seed) for seed, shape in enumerate(EQUATIONS[equation])]
    compare(lambda m, *tensors: m.einsum(equation, *tensors), operands, ulps=64, sums=True)
    compare(lambda m, *tensors: m.einsum(equation, list(tensors)), operands, gradient=False, ulps=64, sums=True)


def test_einsum_by_numbers():
    a, b = values((2, 3), "float64", 1), values((3, 4), "float64", 2)
    compare(lambda m, x, y: m.einsum(x, [0, 1], y, [1, 2], [0, 2]), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.einsum(x, [..., 1], y, [1, 2], [..., 2]), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.einsum(x, [0, 1], y, [1, 2]), [a, b], ulps=64, sums=True)


@pytest.mark.parametrize(
    "equation", ["ij,jk->ik", "ij->ik", "i->i", "ij,jk,kl", "i.j->ij", "ij->ii", "ij-ij", "i1->i", "ik,kj->ij", "ii->i"]
)
def test_einsum_errors(equation):
    if equation in ("ik,kj->ij", "ij,jk->ik"):
        raises_alike(lambda m, x: m.einsum(equation, x, x), torch.ones(2, 3))
    else:
        raises_alike(lambda m, x: m.einsum(equation, x), torch.ones(2, 3))


def test_further_products():
    a, b = values((3, 4, 2), "float64", 1), values((4, 3, 5), "float64", 2)
    compare(lambda m, x, y: m.tensordot(x, y, ([0, 1], [1, 0])), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.tensordot(x, y, dims=0), [a[0], b[0]], ulps=64, sums=True)
    compare(lambda m, x, y: m.tensordot(x[:, :, 0], y[:, :, 0], 1), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.inner(x, y[0, :, :2]), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.inner(x[0, 0, 0], y), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.kron(x[0], y[0]), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.kron(x, y[0]), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.vdot(x[0, 0], y[0, 0, :2]), [a, b], ulps=64, sums=True)
    compare(lambda m, x, y: m.ger(x[0, 0], y[0, 0]), [a, b], ulps=64, sums=True)
    chain = [
        values((2, 3), "float64", 1),
        values((3, 7), "float64", 2),
        values((7, 4), "float64", 3),
        values((4,), "float64", 4),
    ]
    compare(lambda m, *t: m.linalg.multi_dot(list(t)), chain, ulps=64, sums=True)
    compare(lambda m, *t: m.chain_matmul(*t[:3]), chain, ulps=64, sums=True)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (2, 3, 3)], ids=str)
def test_equations(shape):
    a = values(shape, "float64", 1) + 3 * torch.eye(shape[-1], dtype=torch.float64)
    b, v = values((*shape[:-1], 2), "float64", 2), values(shape[:-1], "float64", 3)
    compare(lambda m, x: m.linalg.inv(x), [a], ulps=512, sums=True)
    compare(lambda m, x: m.inverse(x) if m is torch else x.inverse(), [a], ulps=512, sums=True)
    compare(lambda m, x: m.linalg.det(x), [a], ulps=512, sums=True)
    compare(lambda m, x: m.det(x), [a], ulps=512, sums=True)
    compare(lambda m, x: m.linalg.slogdet(x).logabsdet, [a], ulps=512, sums=True)
    compare(lambda m, x: m.linalg.slogdet(x).sign, [a], gradient=False)
    compare(lambda m, x, y: m.linalg.solve(x, y), [a, b], ulps=512, sums=True)
    compare(lambda m, x, y: m.linalg.solve(x, y), [a, v], ulps=512, sums=True)
    compare(lambda m, x, y: m.linalg.solve(x, y.mT, left=False), [a, b], ulps=512, sums=True)
    for n in (0, 1, 2, 5, -2):
        compare(lambda m, x: m.matrix_power(x, n), [a], ulps=4096, sums=True)
    compare(lambda m, x: m.linalg.cholesky(x @ x.mT), [a], ulps=4096, sums=True)
    compare(lambda m, x: m.linalg.cholesky(x @ x.mT, upper=True), [a], ulps=4096, gradient=False)


def test_singular():
    a = torch.ones(2, 2, dtype=torch.float64)
    compare(lambda m, x: m.linalg.slogdet(x), [a], gradient=False)
    # PyTorch gives zeros here; the derivatives are the signed minors.
    x = swiftnet.ones(2, 2, dtype=swiftnet.float64, requires_grad=True)
    x.det().backward()
    assert x.grad.tolist() == [[1, -1], [-1, 1]]
    for function in (
        lambda m, x: m.linalg.inv(x),
        lambda m, x: m.linalg.solve(x, x),
        lambda m, x: m.linalg.cholesky(-x),
    ):
        with pytest.raises(RuntimeError):
            function(swiftnet, swiftnet.ones(2, 2, dtype=swiftnet.float64))


ERRORS = {
    "mm sizes": lambda m, x: m.mm(x, x),
    "mm rank": lambda m, x: m.mm(x[0], x),
    "mm dtype": lambda m, x: m.mm(x, x.double().t()),
    "matmul number": lambda m, x: m.matmul(x, x[0, 0]),
    "matmul sizes": lambda m, x: m.matmul(m.ones(2, 2, 3), m.ones(3, 3, 2)),
    "bmm rank": lambda m, x: m.bmm(x, x),
    "bmm batch": lambda m, x: m.bmm(m.ones(2, 2, 3), m.ones(3, 3, 2)),
    "dot sizes": lambda m, x: m.dot(m.ones(2), m.ones(3)),
    "dot rank": lambda m, x: m.dot(x, x),
    "mv sizes": lambda m, x: m.mv(x, m.ones(2)),
    "outer rank": lambda m, x: m.outer(x, x),
    "addmm shape": lambda m, x: m.addmm(m.ones(5, 5), x, x.t()),
    "tensordot sizes": lambda m, x: m.tensordot(x, x, ([0], [1])),
    "inv of rectangle": lambda m, x: m.linalg.inv(x),
    "multi_dot of one": lambda m, x: m.linalg.multi_dot([x]),
    "mm of number": lambda m, x: m.mm(x, 3),
    "matmul of list": lambda m, x: m.matmul(x, [[1.0]]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    raises_alike(ERRORS[case], torch.ones(2, 3))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_integer_products(dtype):
    """Sizes beyond a tile, transposed operands, stacks; sums that leave the range come round, as in PyTorch."""

    def products(m, a, b):
        a, b = (x.to(getattr(m, dtype)) for x in (a, b))
        return m.mm(a, b), m.mm(b.t(), a.t()), m.bmm(a.expand(3, -1, -1), b.expand(3, -1, -1)), m.mv(a, b[:, 0].clone())

    compare(products, [values((65, 130), "int64") * 37, values((130, 33), "int64") * 41], gradient=False)
