"""Sorting, selection by rank, searching and counting."""

from swiftnet import _dtypes, return_types
from swiftnet._core import NULL, fail, lib, scalar
from swiftnet._functions import methods
from swiftnet._functions.indexing import _tensor_handle, unpack
from swiftnet._tensor import Tensor, tensor, wrap


def sort(input, dim=-1, descending=False, *, stable=False):
    """The elements in order along a dimension, and their positions. Equal elements keep their order; NaN is largest.

    Args:
        stable: accepted for PyTorch's sake; sorting always is stable.
    """
    return return_types.sort._make(unpack(lib.sn_sort(input._h, dim, descending)))


def argsort(input, dim=-1, descending=False, *, stable=False):
    """The positions that sort a dimension."""
    return wrap(lib.sn_argsort(input._h, dim, descending))


def msort(input):
    """The elements in order along the first dimension."""
    return sort(input, 0).values


def topk(input, k, dim=-1, largest=True, sorted=True):
    """The k largest (or smallest) elements along a dimension, in order, and their positions."""
    if isinstance(k, Tensor):
        k = k.item()
    return return_types.topk._make(unpack(lib.sn_topk(input._h, k, -1 if dim is None else dim, largest)))


def kthvalue(input, k, dim=-1, keepdim=False):
    """The k-th smallest element along a dimension (k from 1), and its position."""
    return return_types.kthvalue._make(unpack(lib.sn_kthvalue(input._h, k, dim, keepdim)))


def median(input, dim=None, keepdim=False):
    """The lower median of all elements; or along a dimension, with its position. NaN wins."""
    if dim is None:
        return wrap(lib.sn_median_all(input._h, 0))
    return return_types.median._make(unpack(lib.sn_median(input._h, dim, keepdim, 0)))


def nanmedian(input, dim=None, keepdim=False):
    """As `median`, ignoring NaN."""
    if dim is None:
        return wrap(lib.sn_median_all(input._h, 1))
    return return_types.nanmedian._make(unpack(lib.sn_median(input._h, dim, keepdim, 1)))


def mode(input, dim=-1, keepdim=False):
    """The most frequent element along a dimension (of several, the smallest), and its last position."""
    return return_types.mode._make(unpack(lib.sn_mode(input._h, dim, keepdim)))


def _quantile(input, q, dim, keepdim, interpolation, ignore_nan):
    if not isinstance(q, Tensor):
        name = "nanquantile" if ignore_nan else "quantile"
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        q = wrap(lib.sn_full((), 0, scalar(float(q)), input.dtype.code))
    return wrap(lib.sn_quantile(input._h, q._h, dim is not None, dim or 0, keepdim, interpolation.encode(), ignore_nan))


def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The q-quantiles along a dimension, or of all elements. For a vector q the result has its dimension in front.

    Args:
        interpolation: "linear", "lower", "higher", "midpoint" or "nearest", for a quantile between two elements.
    """
    return _quantile(input, q, dim, keepdim, interpolation, 0)


def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """As `quantile`, ignoring NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, 1)


def _searchsorted(sorted, values, out_int32, right, side, sorter):
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
        if side == "left" and right:
            raise RuntimeError(
                "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
            )
        right = side == "right"
    if not isinstance(values, Tensor):
        values = tensor(values)
    result = wrap(lib.sn_searchsorted(sorted._h, values._h, right, NULL if sorter is None else sorter._h))
    return result.to(_dtypes.int32) if out_int32 else result


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """For each value the position in the sorted last dimension before which it belongs.

    Args:
        right: take the last such position instead of the first. `side="right"` says the same.
        sorter: positions that sort the sequence, if it is not sorted.
    """
    _tensor_handle(sorted_sequence, "sorted_sequence", "searchsorted")
    return _searchsorted(sorted_sequence, input, out_int32, right, side, sorter)


def bucketize(input, boundaries, *, out_int32=False, right=False):
    """For each value the number of its interval between sorted boundaries."""
    h = _tensor_handle(boundaries, "boundaries", "bucketize")
    if lib.sn_rank(h) != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({lib.sn_rank(h)})")
    return _searchsorted(boundaries, input, out_int32, right, None, None)


def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each element is among the test elements. One of the two may be a number."""
    elements = elements if isinstance(elements, Tensor) else tensor(elements)
    test_elements = test_elements if isinstance(test_elements, Tensor) else tensor(test_elements)
    return wrap(lib.sn_isin(elements._h, test_elements._h, invert))


def bincount(input, weights=None, minlength=0):
    """How often each of 0, 1, 2, … occurs, or the sum of the weights there."""
    return wrap(lib.sn_bincount(input._h, NULL if weights is None else weights._h, minlength))


def histc(input, bins=100, min=0, max=0):
    """Counts of the elements in intervals of equal width from min to max (both equal: those of the elements)."""
    return wrap(lib.sn_histc(input._h, bins, min, max))


def _distinct(found, return_inverse, return_counts):
    values, inverse, counts = found
    results = (values,) + (inverse,) * bool(return_inverse) + (counts,) * bool(return_counts)
    return results if len(results) > 1 else values


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in order; or along a dimension, the distinct slices.

    Args:
        return_inverse: also give, for each element, the position of its value in the result.
        return_counts: also give how often each value occurs.
    """
    found = unpack(lib.sn_unique(input._h, dim is not None, dim or 0, 0))
    return _distinct(found, return_inverse, return_counts)


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """Each run of equal neighbours once. The arguments are those of `unique`."""
    found = unpack(lib.sn_unique(input._h, dim is not None, dim or 0, 1))
    return _distinct(found, return_inverse, return_counts)


def equal(input, other):
    """Whether shape and all elements are equal."""
    return _truth(lib.sn_equal(input._h, _tensor_handle(other, "other", "equal")))


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether |input - other| ≤ atol + rtol · |other| everywhere."""
    return _truth(lib.sn_allclose(input._h, _tensor_handle(other, "other", "allclose"), rtol, atol, equal_nan))


def _truth(value):
    if value < 0:
        fail()
    return value == 1


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Element by element, whether |input - other| ≤ atol + rtol · |other|."""
    return wrap(lib.sn_isclose(input._h, _tensor_handle(other, "other", "isclose"), rtol, atol, equal_nan))


methods(
    sort, argsort, msort, topk, kthvalue, median, nanmedian, mode, quantile, nanquantile, bincount, histc, unique,
    unique_consecutive, equal, allclose, isclose,
)  # fmt: skip
