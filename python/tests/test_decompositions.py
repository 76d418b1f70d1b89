"""Decompositions of matrices against PyTorch, by what does not depend on the signs of vectors, and their gradients."""

import numpy as np
import pytest
import swiftnet
import torch

LIBRARIES = (swiftnet, torch)
SHAPES = [(4, 4), (6, 3), (3, 6), (2, 5, 4), (2, 3, 3, 3), (1, 1), (0, 3), (3, 0), (0, 3, 3)]


def data(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def symmetric(*shape):
    x = data(*shape)
    return x + np.swapaxes(x, -1, -2)


def deficient(m, n, rank):
    return data(m, rank) @ data(rank, n, seed=1)


def numbers(result):
    if isinstance(result, (tuple, list)):
        return [number for part in result for number in numbers(part)]
    return [result.detach().numpy()]


def alike(call, *arrays, grad=True, second=False, dtype="float64", tolerance=1e-9):
    """The same shapes, values and gradients; with `second` gradients of gradients as well."""
    found = []
    for library in LIBRARIES:
        inputs = [library.tensor(a, dtype=getattr(library, dtype), requires_grad=grad) for a in arrays]
        out = call(library, *inputs)
        values = numbers(out)
        if grad:
            parts = out if isinstance(out, (tuple, list)) else (out,)
            total = sum(
                (p * library.arange(1.0, p.numel() + 1).reshape(p.shape).to(p.dtype).sin()).sum() for p in parts
            )
            first = library.autograd.grad(total, inputs, create_graph=second)
            values += numbers(first)
            if second:
                values += numbers(library.autograd.grad(sum(g.square().sum() for g in first), inputs))
        found.append(values)
    for own, other in zip(*found, strict=True):
        assert own.shape == other.shape and own.dtype == other.dtype
        np.testing.assert_allclose(own, other, rtol=tolerance, atol=tolerance * max(1, np.abs(other).max(initial=0)))


@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_qr(shape, mode):
    x = data(*shape)
    grad = mode != "r" and x.size > 0 and (mode == "reduced" or shape[-2] <= shape[-1])
    alike(lambda t, a: tuple(t.linalg.qr(a, mode)), x, grad=grad, second=grad)
    alike(lambda t, a: tuple(t.linalg.qr(a, mode)), x, grad=False, dtype="float32", tolerance=1e-5)


@pytest.mark.parametrize("shape", [(4, 4), (2, 5, 5), (2, 3, 3, 3), (1, 1), (0, 0), (0, 3, 3), (40, 40)], ids=str)
@pytest.mark.parametrize("triangle", ["L", "U"])
def test_eigh(shape, triangle):
    x = data(*shape)
    alike(lambda t, a: t.linalg.eigvalsh(a, triangle), x, grad=x.size > 0)
    values, vectors = swiftnet.linalg.eigh(swiftnet.tensor(x), triangle)
    v = vectors.numpy()
    if shape[-1]:
        whole = np.tril(x) if triangle == "L" else np.triu(x)
        whole = whole + np.swapaxes(whole, -1, -2) * (1 - np.eye(shape[-1]))
        np.testing.assert_allclose(v * values.numpy()[..., None, :] @ np.swapaxes(v, -1, -2), whole, atol=1e-12)
        np.testing.assert_allclose(np.swapaxes(v, -1, -2) @ v, np.broadcast_to(np.eye(shape[-1]), shape), atol=1e-12)

    def without_signs(t, a):
        a = a + a.transpose(-2, -1)
        values, vectors = t.linalg.eigh(a, triangle)
        return values, vectors**2, (vectors * values.exp().unsqueeze(-2)) @ vectors.transpose(-2, -1)

    if 0 < x.size < 1000:
        alike(without_signs, x, second=True, tolerance=1e-8)


@pytest.mark.parametrize("shape", [*SHAPES, (30, 20), (20, 30)], ids=str)
@pytest.mark.parametrize("full", [True, False])
def test_svd(shape, full):
    x = data(*shape)
    u, s, vh = swiftnet.linalg.svd(swiftnet.tensor(x), full)
    theirs = torch.linalg.svd(torch.tensor(x), full)
    assert [tuple(p.shape) for p in (u, s, vh)] == [tuple(p.shape) for p in theirs]
    np.testing.assert_allclose(s.numpy(), theirs.S.numpy(), atol=1e-12)
    u, s, vh = u.numpy(), s.numpy(), vh.numpy()
    k = min(shape[-2:])
    np.testing.assert_allclose(u[..., :k] * s[..., None, :] @ vh[..., :k, :], x, atol=1e-12)
    for q in (u, np.swapaxes(vh, -1, -2)):
        identity = np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], q.shape[-1], q.shape[-1]))
        np.testing.assert_allclose(np.swapaxes(q, -1, -2) @ q, identity, atol=1e-12)

    def without_signs(t, a):
        u, s, vh = t.linalg.svd(a, full)
        u, vh = u[..., :k], vh[..., :k, :]
        return s, u**2, vh**2, (u * s.unsqueeze(-2) ** 2) @ vh

    if 0 < x.size < 400:
        alike(without_signs, x, second=x.size < 100, tolerance=1e-7)
        alike(lambda t, a: t.linalg.svdvals(a), x, second=True)
    alike(lambda t, a: t.linalg.svdvals(a), x, grad=False, dtype="float32", tolerance=1e-5)


def test_svd_of_what_is_not_of_full_rank():
    for x in (deficient(6, 4, 2), deficient(4, 6, 1), np.zeros((3, 2)), 1e200 * data(3, 3), 1e-200 * data(3, 3)):
        u, s, vh = (part.numpy() for part in swiftnet.linalg.svd(swiftnet.tensor(x)))
        k = min(x.shape)
        np.testing.assert_allclose(u[:, :k] * s @ vh[:k], x, atol=1e-13 * max(s.max(), 1e-300))
        np.testing.assert_allclose(u.T @ u, np.eye(len(u)), atol=1e-12)
        np.testing.assert_allclose(vh @ vh.T, np.eye(len(vh)), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pinv_and_rank(shape):
    x = data(*shape)
    alike(lambda t, a: t.linalg.pinv(a), x, grad=x.size > 0, second=x.size > 0, tolerance=1e-8)
    alike(lambda t, a: t.linalg.matrix_rank(a), x, grad=False)


def test_tolerances():
    x = deficient(5, 4, 2)
    alike(lambda t, a: t.linalg.pinv(a), x)
    alike(lambda t, a: t.linalg.matrix_rank(a), x, grad=False)
    for options in ({"atol": 1.0}, {"rtol": 0.5}, {"atol": 0.1, "rtol": 0.7}):
        alike(lambda t, a, o=options: t.linalg.pinv(a, **o), data(4, 4), tolerance=1e-8)
        alike(lambda t, a, o=options: t.linalg.matrix_rank(a, **o), data(4, 4), grad=False)
    alike(lambda t, a: t.linalg.pinv(a, hermitian=True), symmetric(4, 4), grad=False)
    alike(lambda t, a: t.linalg.matrix_rank(a, hermitian=True), symmetric(4, 4), grad=False)


@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
def test_lstsq(driver):
    for a, b in (
        (data(6, 3), data(6, 2, seed=1)), (data(6, 3), data(6, seed=1)), (data(2, 5, 3), data(2, 5, 2, seed=1)),
        (data(3, 5), data(3, 2, seed=1)), (data(4, 4), data(4, 1, seed=1)), (data(2, 5, 3), data(2, 5, seed=1)),
    ):  # fmt: skip
        alike(lambda t, a, b: tuple(t.linalg.lstsq(a, b, driver=driver)), a, b, grad=False)
        alike(lambda t, a, b: t.linalg.lstsq(a, b, driver=driver).solution, a, b, tolerance=1e-8)


def test_lu():
    for shape in ((4, 4), (5, 3), (3, 5), (2, 4, 4), (0, 0)):
        x = data(*shape)
        square = shape[-1] == shape[-2] and x.size > 0
        alike(lambda t, a: tuple(t.linalg.lu_factor(a)), x, grad=False)
        alike(lambda t, a: tuple(t.linalg.lu(a)), x, grad=False)
        if square:
            alike(lambda t, a: t.linalg.lu_factor(a).LU, x, second=True, tolerance=1e-8)
            alike(lambda t, a: tuple(t.linalg.lu(a))[1:], x, tolerance=1e-8)


@pytest.mark.parametrize("order", ["nuc", 2, -2])
def test_norms_by_singular_values(order):
    for shape, dim in (((3, 4), (-2, -1)), ((2, 3, 4), (0, 2)), ((2, 3, 4), (2, 1))):
        for keepdim in (False, True):
            alike(lambda t, a, d=dim, k=keepdim: t.linalg.matrix_norm(a, order, d, k), data(*shape), tolerance=1e-8)


def test_mistakes():
    for call, error, text in (
        (lambda t: t.linalg.qr(t.zeros(3)), RuntimeError, "at least 2 dimensions"),
        (lambda t: t.linalg.qr(t.zeros(3, 3), "full"), Exception, "mode"),
        (lambda t: t.linalg.eigh(t.zeros(3, 4)), RuntimeError, "square"),
        (lambda t: t.linalg.eigh(t.zeros(3, 3), "X"), RuntimeError, "UPLO"),
        (lambda t: t.linalg.svd(t.zeros(3, 3, dtype=t.int64)), RuntimeError, "floating point"),
        (lambda t: t.linalg.svd(t.full((3, 3), float("nan"))), RuntimeError, "non-finite"),
        (lambda t: t.linalg.lstsq(t.zeros(3, 3), t.zeros(4, 3)), RuntimeError, "should match"),
        (lambda t: t.linalg.lstsq(t.zeros(3, 3), t.zeros(3, 3), driver="x"), RuntimeError, "driver"),
        (lambda t: t.linalg.lu_factor(t.zeros(3, 3), pivot=False), RuntimeError, "without pivoting"),
        (lambda t: t.linalg.qr(t.ones(3, 2, requires_grad=True), "r").R.sum().backward(), RuntimeError, "mode='r'"),
    ):
        for library in LIBRARIES:
            with pytest.raises(error) as raised:
                call(library)
            assert text in str(raised.value), (library, raised.value)
