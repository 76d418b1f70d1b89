"""Reductions over some or all dimensions."""

from swiftnet import _dtypes
from swiftnet._core import dims, lib
from swiftnet._functions import methods
from swiftnet._tensor import wrap


def sum(input, dim=None, keepdim=False, *, dtype=None):
    """Σ over the given dimensions (default: all). Integers sum as int64."""
    d = dims(dim)
    return wrap(lib.sn_sum(input._h, d, len(d), keepdim, _dtypes.code(dtype)))


def mean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over the given dimensions (default: all)."""
    d = dims(dim)
    return wrap(lib.sn_mean(input._h, d, len(d), keepdim, _dtypes.code(dtype)))


def prod(input, dim=None, keepdim=False, *, dtype=None):
    """The product over one dimension, or over all. Integers multiply as int64."""
    d = dims(dim)
    return wrap(lib.sn_prod(input._h, d, len(d), keepdim, _dtypes.code(dtype)))


def amax(input, dim=(), keepdim=False):
    """The largest elements over the given dimensions; the gradient is shared among equal ones."""
    d = dims(dim)
    return wrap(lib.sn_amax(input._h, d, len(d), keepdim))


def amin(input, dim=(), keepdim=False):
    """The smallest elements over the given dimensions; the gradient is shared among equal ones."""
    d = dims(dim)
    return wrap(lib.sn_amin(input._h, d, len(d), keepdim))


def any(input, dim=None, keepdim=False):
    """Whether any element is nonzero, over the given dimensions or all."""
    d = dims(dim)
    return wrap(lib.sn_any(input._h, d, len(d), keepdim))


def all(input, dim=None, keepdim=False):
    """Whether all elements are nonzero, over the given dimensions or all."""
    d = dims(dim)
    return wrap(lib.sn_all(input._h, d, len(d), keepdim))


def _correction(unbiased, correction):
    if correction is not None:
        return correction
    return 1 if unbiased is None or unbiased else 0


def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Σ(x - mean)² / (n - correction) over the given dimensions (default: all). Default correction: 1."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    d = dims(dim)
    return wrap(lib.sn_var(input._h, d, len(d), _correction(unbiased, correction), keepdim))


def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The square root of `var`."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    d = dims(dim)
    return wrap(lib.sn_std(input._h, d, len(d), _correction(unbiased, correction), keepdim))


def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """`var` and `mean`."""
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """`std` and `mean`."""
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


methods(sum, mean, prod, amax, amin, any, all, var, std)
