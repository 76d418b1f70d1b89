"""Products of matrices and vectors."""

from swiftnet._core import NULL, integers, lib, scalar
from swiftnet._functions import methods
from swiftnet._functions.limits import _check, in_place
from swiftnet._tensor import Tensor, wrap
from swiftnet.linalg import cholesky, det, matrix_power, slogdet
from swiftnet.linalg import inv as inverse


def _product(name, function, doc):
    def product(input, other):
        _check(input, "input", name)
        _check(other, "other", name)
        return wrap(function(input._h, other._h))

    product.__name__ = product.__qualname__ = name
    product.__doc__ = doc
    return product


matmul = _product(
    "matmul", lib.sn_matmul,
    "The matrix product, with broadcasting of leading dimensions; vectors count as rows or columns.",
)  # fmt: skip
dot = _product("dot", lib.sn_dot, "Σ a·b of two vectors.")
vdot = _product("vdot", lib.sn_dot, "Σ a·b of two vectors.")
inner = _product("inner", lib.sn_inner, "Σ a·b over the last dimension of both.")
kron = _product("kron", lib.sn_kron, "The Kronecker product.")


def mm(input, mat2):
    """The product of two matrices."""
    _check(mat2, "mat2", "mm")
    return wrap(lib.sn_mm(input._h, mat2._h))


def bmm(input, mat2):
    """The products of two stacks of matrices."""
    _check(mat2, "mat2", "bmm")
    return wrap(lib.sn_bmm(input._h, mat2._h))


def mv(input, vec):
    """The product of a matrix and a vector."""
    _check(vec, "vec", "mv")
    return wrap(lib.sn_mv(input._h, vec._h))


def outer(input, vec2):
    """The matrix aᵢ·bⱼ of two vectors."""
    _check(vec2, "vec2", "outer")
    return wrap(lib.sn_outer(input._h, vec2._h))


ger = outer


def _add_product(op, input, a, b, beta, alpha):
    for name, value in (("input", input), ("first factor", a), ("second factor", b)):
        _check(value, name, op.decode())
    return wrap(lib.sn_add_product(op, input._h, a._h, b._h, scalar(beta), scalar(alpha)))


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta · input + alpha · mat1 mat2"""
    return _add_product(b"addmm", input, mat1, mat2, beta, alpha)


def addmv(input, mat, vec, *, beta=1, alpha=1):
    """beta · input + alpha · mat vec"""
    return _add_product(b"addmv", input, mat, vec, beta, alpha)


def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta · input + alpha · Σ batch1ᵢ batch2ᵢ"""
    return _add_product(b"addbmm", input, batch1, batch2, beta, alpha)


def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta · input + alpha · batch1ᵢ batch2ᵢ, for each i"""
    return _add_product(b"baddbmm", input, batch1, batch2, beta, alpha)


def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """beta · input + alpha · vec1 vec2ᵀ"""
    return _add_product(b"addr", input, vec1, vec2, beta, alpha)


def chain_matmul(*matrices):
    """The product of several matrices in the cheapest order."""
    if len(matrices) == 1:
        return matrices[0].clone()
    return wrap(lib.sn_multi_dot([m._h for m in matrices], len(matrices)))


def tensordot(a, b, dims=2):
    """Σ over the last `dims` dimensions of a and the first of b, or over two lists of dimensions."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        first, second = tuple(range(a.ndim - dims, a.ndim)), tuple(range(dims))
    else:
        first, second = (integers(d) for d in dims)
    return wrap(lib.sn_tensordot(a._h, b._h, first, len(first), second, len(second)))


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _subscript(indices):
    text = ""
    for index in indices:
        if index is Ellipsis:
            text += "..."
        else:
            if not 0 <= index < len(_LETTERS):
                raise ValueError(f"einsum(): subscript {index} is not within the valid range [0, {len(_LETTERS)})")
            text += _LETTERS[index]
    return text


def einsum(equation, *operands):
    """Products summed over indices, by Einstein's convention: `einsum("ij,jk->ik", a, b)`. Spaces, `...`, repeated and
    implicit indices work; so does the form `einsum(a, [0, 1], b, [1, 2], [0, 2])`."""
    if not isinstance(equation, str):
        parts = [equation, *operands]
        output = parts.pop() if len(parts) % 2 else None
        operands = parts[::2]
        equation = ",".join(_subscript(indices) for indices in parts[1::2])
        if output is not None:
            equation += "->" + _subscript(output)
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    for position, operand in enumerate(operands):
        _check(operand, f"operands[{position}]", "einsum")
    handles = [t._h for t in operands] or NULL
    return wrap(lib.sn_einsum(equation.encode(), handles, len(operands)))


methods(
    matmul, mm, bmm, mv, dot, vdot, inner, outer, kron, addmm, addmv, addbmm, baddbmm, addr, det, slogdet,
    cholesky, matrix_power, in_place(addmm), in_place(addmv), in_place(addbmm), in_place(baddbmm), in_place(addr),
    ger=outer, inverse=inverse,
)  # fmt: skip
