"""Matrix products."""

from swiftnet._core import lib
from swiftnet._functions import methods
from swiftnet._tensor import wrap


def matmul(input, other):
    """The matrix product, with broadcasting of leading dimensions; vectors count as rows or columns."""
    return wrap(lib.sn_matmul(input._h, other._h))


def mm(input, mat2):
    """The product of two matrices."""
    return wrap(lib.sn_mm(input._h, mat2._h))


def bmm(input, mat2):
    """The products of two stacks of matrices."""
    return wrap(lib.sn_bmm(input._h, mat2._h))


methods(matmul, mm, bmm)
