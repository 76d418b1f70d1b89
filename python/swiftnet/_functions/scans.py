"""Running sums, products and extrema; differences and integrals."""

from swiftnet import _dtypes, return_types
from swiftnet._core import NULL, check, ffi, lib
from swiftnet._functions import methods
from swiftnet._functions.limits import in_place
from swiftnet._tensor import wrap


def cumsum(input, dim, *, dtype=None):
    """Σ x[0…i] along a dimension."""
    return wrap(lib.sn_cumulate(b"sum", input._h, dim, _dtypes.code(dtype)))


def cumprod(input, dim, *, dtype=None):
    """Π x[0…i] along a dimension."""
    return wrap(lib.sn_cumulate(b"prod", input._h, dim, _dtypes.code(dtype)))


def logcumsumexp(input, dim):
    """ln Σ exp(x[0…i]) along a dimension."""
    return wrap(lib.sn_cumulate(b"logsumexp", input._h, dim, -1))


def _pair(status_function, kind):
    results = ffi.new("sn_tensor[2]")
    check(status_function(results))
    return kind(wrap(results[0]), wrap(results[1]))


def cummax(input, dim):
    """The largest elements up to each place, and where they stand."""
    return _pair(lambda out: lib.sn_cumulative_extremum(input._h, dim, 1, out), return_types.cummax)


def cummin(input, dim):
    """The smallest elements up to each place, and where they stand."""
    return _pair(lambda out: lib.sn_cumulative_extremum(input._h, dim, 0, out), return_types.cummin)


def diff(input, n=1, dim=-1, prepend=None, append=None):
    """Differences of neighbours along a dimension, n times."""
    before = NULL if prepend is None else prepend._h
    after = NULL if append is None else append._h
    return wrap(lib.sn_diff(input._h, n, dim, before, after))


def _integral(y, x, dx, dim, cumulative):
    if x is not None and dx is not None:
        raise TypeError("trapezoid() takes positions x or a step dx, not both")
    return wrap(lib.sn_trapezoid(y._h, NULL if x is None else x._h, 1.0 if dx is None else float(dx), dim, cumulative))


def trapezoid(y, x=None, *, dx=None, dim=-1):
    """The integral of y along a dimension by the trapezoid rule, over positions x or the constant step dx."""
    return _integral(y, x, dx, dim, 0)


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The running integral by the trapezoid rule."""
    return _integral(y, x, dx, dim, 1)


trapz = trapezoid
methods(cumsum, cumprod, logcumsumexp, cummax, cummin, diff, in_place(cumsum), in_place(cumprod))
