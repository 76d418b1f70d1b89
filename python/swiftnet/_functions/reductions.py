"""Reductions over some or all dimensions."""

import operator

from swiftnet import _dtypes, return_types
from swiftnet._core import NULL, check, dims, ffi, lib
from swiftnet._functions import methods
from swiftnet._functions.elementwise import maximum, minimum
from swiftnet._tensor import Tensor, wrap


def sum(input, dim=None, keepdim=False, *, dtype=None):
    """Σ over the given dimensions (default: all). Integers sum as int64."""
    if dim is None and dtype is None:
        return wrap(lib.sn_sum(input._h, NULL, 0, keepdim, -1))
    d = dims(dim)
    return wrap(lib.sn_sum(input._h, d, len(d), keepdim, _dtypes.code(dtype)))


def mean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean over the given dimensions (default: all)."""
    if dim is None and dtype is None:
        return wrap(lib.sn_mean(input._h, NULL, 0, keepdim, -1))
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
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """`std` and `mean`."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


def _extremum(input, dim, keepdim, largest):
    name = "max" if largest else "min"
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    if dim is None:
        return wrap(lib.sn_extremum(input._h, largest))
    if isinstance(dim, Tensor):
        return (maximum if largest else minimum)(input, dim)
    results = ffi.new("sn_tensor[2]")
    check(lib.sn_extremum_dim(input._h, operator.index(dim), keepdim, largest, results))
    return getattr(return_types, name)(wrap(results[0]), wrap(results[1]))


def max(input, dim=None, keepdim=False, *, other=None):
    """The largest element; with `dim` the largest ones along it and where they stand; with another tensor the larger of
    the two, element by element."""
    return _extremum(input, other if other is not None else dim, keepdim, 1)


def min(input, dim=None, keepdim=False, *, other=None):
    """The smallest element; with `dim` the smallest ones along it and where they stand; with another tensor the smaller
    of the two, element by element."""
    return _extremum(input, other if other is not None else dim, keepdim, 0)


def argmax(input, dim=None, keepdim=False):
    """The index of the largest element along a dimension, or in the flattened tensor."""
    return wrap(lib.sn_arg_extremum(input._h, dim is not None, dim or 0, keepdim, 1))


def argmin(input, dim=None, keepdim=False):
    """The index of the smallest element along a dimension, or in the flattened tensor."""
    return wrap(lib.sn_arg_extremum(input._h, dim is not None, dim or 0, keepdim, 0))


def aminmax(input, *, dim=None, keepdim=False):
    """The smallest and the largest elements."""
    results = ffi.new("sn_tensor[2]")
    check(lib.sn_aminmax(input._h, dim is not None, dim or 0, keepdim, results))
    return return_types.aminmax(wrap(results[0]), wrap(results[1]))


methods(sum, mean, prod, amax, amin, any, all, var, std, max, min, argmax, argmin, aminmax)
