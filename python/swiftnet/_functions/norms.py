"""Norms, distances and further reductions."""

from swiftnet import _dtypes
from swiftnet._core import dims, integers, lib
from swiftnet._functions import methods
from swiftnet._functions.limits import in_place
from swiftnet._tensor import wrap

_INFINITY = float("inf")


def _order(p):
    if isinstance(p, str):
        if p in ("inf", "-inf"):
            return float(p)
        raise RuntimeError(f"Norm mode {p} not supported: 'fro' or a number is")
    return float(p)


def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """(Σ |x|^p)^(1/p) over the given dimensions or all; 'fro' is p = 2. See `linalg.vector_norm`."""
    order = 2.0 if p is None or p == "fro" else _order(p)
    d = dims(dim)
    if p == "fro" and len(d) > 2:
        return wrap(lib.sn_matrix_norm(input._h, 1, 0.0, d, len(d), keepdim))
    return wrap(lib.sn_vector_norm(input._h, order, d, len(d), keepdim, _dtypes.code(dtype)))


def logsumexp(input, dim, keepdim=False):
    """ln Σ exp(x) over the given dimensions."""
    d = integers(dim)
    return wrap(lib.sn_logsumexp(input._h, d, len(d), keepdim))


def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """Σ of the elements that are not NaN."""
    d = dims(dim)
    return wrap(lib.sn_nansum(input._h, d, len(d), keepdim, _dtypes.code(dtype)))


def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean of the elements that are not NaN."""
    d = dims(dim)
    return wrap(lib.sn_nanmean(input._h, d, len(d), keepdim, _dtypes.code(dtype)))


def count_nonzero(input, dim=None):
    """How many elements are not zero."""
    d = dims(dim)
    return wrap(lib.sn_count_nonzero(input._h, d, len(d)))


def dist(input, other, p=2):
    """The p-norm of input - other."""
    return wrap(lib.sn_dist(input._h, other._h, float(p)))


_CDIST_MODES = {
    "use_mm_for_euclid_dist_if_necessary": -1,
    "use_mm_for_euclid_dist": 1,
    "donot_use_mm_for_euclid_dist": 0,
}


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """Distances between all rows of x1 [.., P, M] and of x2 [.., R, M], as [.., P, R].

    ``compute_mode`` says whether those with ``p=2`` come from a matrix product, which is much faster, and less exact
    where rows are close to each other: by default if P or R is above 25, always with ``"use_mm_for_euclid_dist"``,
    never with ``"donot_use_mm_for_euclid_dist"``.
    """
    products = _CDIST_MODES.get(compute_mode)
    if products is None:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    return wrap(lib.sn_cdist(x1._h, x2._h, float(p), products))


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """‖x1 - x2 + eps‖ₚ along the last dimension."""
    return wrap(lib.sn_pairwise_distance(x1._h, x2._h, float(p), float(eps), keepdim))


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """Σ x1·x2 / (max(‖x1‖, eps) · max(‖x2‖, eps)) along a dimension."""
    return wrap(lib.sn_cosine_similarity(x1._h, x2._h, dim, float(eps)))


def renorm(input, p, dim, maxnorm):
    """Slices along a dimension whose p-norm exceeds `maxnorm`, scaled down to it."""
    return wrap(lib.sn_renorm(input._h, float(p), dim, float(maxnorm)))


def cross(input, other, dim=None):
    """The vector product along a dimension of size 3; by default the first such one."""
    return wrap(lib.sn_cross(input._h, other._h, dim is not None, 0 if dim is None else dim))


methods(norm, logsumexp, nansum, nanmean, count_nonzero, dist, renorm, cross, in_place(renorm))
