"""Linear algebra, under the names of `torch.linalg`.

Decompositions are computed in double precision by methods that suit small matrices (eigenvalues and singular values by
rotations): a batch of matrices is shared out over the threads, a single one of 200×200 takes 0.1 to 0.2 s.
"""

from swiftnet import _dtypes, return_types
from swiftnet._core import check, dims, ffi, integers, lib
from swiftnet._functions.indexing import unpack
from swiftnet._functions.rearranging import broadcast_tensors
from swiftnet._tensor import Tensor, handles, wrap

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "householder_product", "inv", "lstsq", "lu",
    "lu_factor", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv",
    "qr", "slogdet", "solve", "svd", "svdvals", "vander", "vecdot", "vector_norm",
]  # fmt: skip


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(Σ |x|^ord)^(1/ord) over the given dimensions, or over all elements; ±inf: the extreme |x|, 0: the number of
    elements that are not zero."""
    d = dims(dim)
    return wrap(lib.sn_vector_norm(x._h, float(ord), d, len(d), keepdim, _dtypes.code(dtype)))


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """Norms of matrices: 'fro', 'nuc' (the sum of the singular values), 2, -2 (the largest, the least of them), 1, -1
    (sums over columns), inf, -inf (sums over rows)."""
    if dtype is not None:
        A = A.to(dtype)
    if isinstance(ord, str) and ord not in ("fro", "nuc"):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    d = integers(dim)
    if ord in ("nuc", 2, -2):
        values = svdvals(A.movedim(d, (-2, -1)))
        result = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord == 2 else values.amin(-1)
        if keepdim:
            for position in sorted(position % A.ndim for position in d):
                result = result.unsqueeze(position)
        return result
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


# ---- decompositions ----

_UNKNOWN = float("nan")


def qr(A, mode="reduced"):
    """Q R = A with orthonormal columns in Q, R upper triangular.

    Args:
        mode: "reduced" (Q is m × min(m, n)), "complete" (m × m) or "r" (Q is empty).
    """
    return return_types.linalg_qr(unpack(lib.sn_linalg_qr(A._h, mode.encode())))


def _is_upper(UPLO):
    if UPLO not in ("L", "U", "l", "u"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO in "Uu"


def eigh(A, UPLO="L"):
    """Eigenvalues, ascending, and eigenvectors (columns) of symmetric matrices, of which the lower ("L") or the upper
    ("U") triangle is read."""
    return return_types.linalg_eigh(unpack(lib.sn_linalg_eigh(A._h, _is_upper(UPLO))))


def eigvalsh(A, UPLO="L"):
    """The eigenvalues of symmetric matrices, ascending; see `eigh`."""
    return eigh(A, UPLO).eigenvalues


def svd(A, full_matrices=True, *, driver=None):
    """U diag(S) Vh = A; S descends.

    Args:
        full_matrices: U is m × m and Vh n × n, instead of min(m, n) columns and rows.
        driver: has no effect on the CPU; PyTorch allows None only.
    """
    if driver is not None:
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs")
    return return_types.linalg_svd(unpack(lib.sn_linalg_svd(A._h, full_matrices)))


def svdvals(A, *, driver=None):
    """The singular values, descending; see `svd`."""
    return svd(A, False, driver=driver).S


def _tolerance(value, name):
    if value is None:
        return _UNKNOWN
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise NotImplementedError(f"linalg: {name} is one number for all matrices")
        value = value.item()
    return float(value)


def matrix_rank(A, *, atol=None, rtol=None, hermitian=False):
    """How many singular values are greater than max(atol, rtol · the largest).

    Args:
        rtol: Default: max(m, n) · the dtype's precision, or 0 if atol is given.
        hermitian: has no effect: the singular values of symmetric matrices are found as those of others.
    """
    return wrap(lib.sn_linalg_matrix_rank(A._h, _tolerance(atol, "atol"), _tolerance(rtol, "rtol")))


def pinv(A, *, atol=None, rtol=None, hermitian=False):
    """The pseudoinverse of Moore and Penrose. Arguments as of `matrix_rank`."""
    return wrap(lib.sn_linalg_pinv(A._h, _tolerance(atol, "atol"), _tolerance(rtol, "rtol")))


def lstsq(A, B, rcond=None, *, driver=None):
    """X with the least ‖A X - B‖, the shortest of several, by the pseudoinverse.

    Args:
        B: (*, m, k), or vectors (*, m).
        rcond: singular values up to rcond · the largest count as zero. Default: max(m, n) · the dtype's precision.
        driver: "gels", "gelsy" (default), "gelsd" or "gelss": as in PyTorch, it decides which of residuals, rank and
            singular_values there are.
    """
    driver = "gelsy" if driver is None else driver
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), but got " + driver
        )
    if A.ndim < 2:
        raise RuntimeError("torch.linalg.lstsq: input must have at least 2 dimensions.")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            "torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's dtype "
            f"{A.dtype} and other's dtype {B.dtype}"
        )
    is_vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    m, n = A.shape[-2:]
    right = B.unsqueeze(-1) if is_vector else B
    if right.shape[-2] != m:
        raise RuntimeError("torch.linalg.lstsq: input.size(-2) should match other.size(-2)")
    relative = max(m, n) * _dtypes.finfo(A.dtype).eps if rcond is None else rcond
    wide = A.to(_dtypes.float64)
    solution = pinv(wide, rtol=relative) @ right.to(_dtypes.float64)
    residuals, singular_values = A.new_empty(0), A.new_empty(0)
    rank = A.new_empty(0, dtype=_dtypes.int64)
    if driver != "gels":
        rank = matrix_rank(A, rtol=relative)
    if m > n and driver != "gelsy" and (driver == "gels" or bool((rank == n).all())):
        residuals = (wide @ solution - right.to(_dtypes.float64)).square().sum(-2).to(A.dtype)
    if driver in ("gelsd", "gelss"):
        singular_values = svdvals(A)
    solution = solution.to(A.dtype)
    return return_types.linalg_lstsq(solution.squeeze(-1) if is_vector else solution, residuals, rank, singular_values)


def lu_factor(A, *, pivot=True):
    """L and U of P L U = A in one matrix (the diagonal of L is 1), and pivots: the row, from 1, that each step changed
    places with. Gradients are there for square matrices."""
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    return return_types.linalg_lu_factor(unpack(lib.sn_linalg_lu_factor(A._h)))


def lu(A, *, pivot=True):
    """P L U = A: a permutation, a lower triangular matrix with ones on its diagonal, and an upper triangular one."""
    if not pivot:
        raise RuntimeError("linalg.lu: LU without pivoting is not implemented on the CPU")
    factors, pivots = lu_factor(A)
    m, n = A.shape[-2:]
    k = min(m, n)
    P = wrap(lib.sn_linalg_permutation(pivots._h, m, _dtypes.code(A.dtype)))
    ones = factors.new_zeros(m, k).fill_diagonal_(1)
    return return_types.linalg_lu(P, factors[..., :, :k].tril(-1) + ones, factors[..., :k, :].triu())
