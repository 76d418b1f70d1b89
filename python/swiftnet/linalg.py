"""Linear algebra, under the names of `torch.linalg`."""

from swiftnet import _dtypes, return_types
from swiftnet._core import check, dims, ffi, integers, lib
from swiftnet._functions.rearranging import broadcast_tensors
from swiftnet._tensor import handles, wrap

__all__ = [
    "cholesky", "cross", "det", "diagonal", "householder_product", "inv", "matmul", "matrix_exp", "matrix_norm",
    "matrix_power", "multi_dot", "norm", "slogdet", "solve", "vander", "vecdot", "vector_norm",
]  # fmt: skip


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(Σ |x|^ord)^(1/ord) over the given dimensions, or over all elements; ±inf: the extreme |x|, 0: the number of
    elements that are not zero."""
    d = dims(dim)
    return wrap(lib.sn_vector_norm(x._h, float(ord), d, len(d), keepdim, _dtypes.code(dtype)))


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """Norms of matrices: 'fro', 1, -1 (sums over columns), inf, -inf (sums over rows)."""
    if dtype is not None:
        A = A.to(dtype)
    if isinstance(ord, str) and ord != "fro":
        raise NotImplementedError(f"linalg.matrix_norm: Order {ord} not supported: 'fro', 1, -1, inf and -inf are")
    d = integers(dim)
    is_frobenius = ord == "fro"
    return wrap(lib.sn_matrix_norm(A._h, is_frobenius, 0.0 if is_frobenius else float(ord), d, len(d), keepdim))


def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A norm of vectors (one dimension) or matrices (two); without `ord` the 2-norm of all elements."""
    d = dims(dim)
    if ord is not None and (len(d) == 2 or (dim is None and A.ndim == 2)):
        return matrix_norm(A, ord, d or (-2, -1), keepdim, dtype=dtype)
    if ord is not None and dim is None and A.ndim > 2:
        raise RuntimeError("linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D.")
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


def cross(input, other, *, dim=-1):
    """The vector product along a dimension of size 3."""
    return wrap(lib.sn_cross(input._h, other._h, 1, dim))


def vecdot(x, y, *, dim=-1):
    """Σ x·y along a dimension."""
    x, y = broadcast_tensors(x, y)
    if x.ndim == 0:
        return x * y
    return (x.movedim(dim, -1).unsqueeze(-2) @ y.movedim(dim, -1).unsqueeze(-1)).squeeze(-1).squeeze(-1)


def matmul(input, other):
    """The matrix product, see `swiftnet.matmul`."""
    return wrap(lib.sn_matmul(input._h, other._h))


def multi_dot(tensors):
    """The product of several matrices in the cheapest order."""
    return wrap(lib.sn_multi_dot(handles(tensors, "multi_dot"), len(tensors)))


def matrix_power(A, n):
    """A matrix to a whole power."""
    return wrap(lib.sn_matrix_power(A._h, n))


def inv(A):
    """The inverse of a matrix, or of each of a stack."""
    return wrap(lib.sn_inverse(A._h))


def solve(A, B, *, left=True):
    """X with A X = B (or X A = B if not `left`)."""
    if not left:
        transposed, right = A.mT, B.mT
        return wrap(lib.sn_solve(transposed._h, right._h)).mT
    return wrap(lib.sn_solve(A._h, B._h))


def det(A):
    """The determinant."""
    return wrap(lib.sn_det(A._h))


def slogdet(A):
    """Sign and logarithm of the absolute value of the determinant."""
    results = ffi.new("sn_tensor[2]")
    check(lib.sn_slogdet(A._h, results))
    return return_types.linalg_slogdet(wrap(results[0]), wrap(results[1]))


def cholesky(A, *, upper=False):
    """L with L Lᵀ = A, lower triangular; A is symmetric and positive definite."""
    return wrap(lib.sn_cholesky(A._h, upper))


def matrix_exp(A):
    """e^A of square matrices."""
    return wrap(lib.sn_matrix_exp(A._h))


def householder_product(A, tau):
    """The first columns of the product of Householder's reflections: see `geqrf`."""
    return wrap(lib.sn_householder_product(A._h, tau._h))


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices."""
    return A.diagonal(offset, dim1, dim2)


def vander(x, N=None):
    """The powers 0 … N - 1 of the elements of vectors (…, n), as rows."""
    from swiftnet import arange

    count = x.shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    return x.unsqueeze(-1) ** arange(count)
