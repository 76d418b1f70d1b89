"""Windows of signal processing, further ranges, and statistics of several variables."""

import math

from swiftnet._core import integers, lib
from swiftnet._functions.creation import arange, linspace
from swiftnet._functions.indexing import unpack
from swiftnet._tensor import tensor, wrap

__all__ = [
    "bartlett_window", "blackman_window", "cholesky_inverse", "cholesky_solve", "corrcoef", "cov", "empty_strided",
    "frobenius_norm", "geqrf", "gradient", "hamming_window", "hann_window", "kaiser_window", "logdet", "logspace",
    "matrix_exp", "orgqr", "range", "unravel_index", "vander",
]  # fmt: skip


def _window(length, periodic, dtype, requires_grad, shape):
    """`shape` of the positions 0 … 1, in float64; periodic: of one more position, which is left out."""
    from swiftnet import float64, get_default_dtype, ones, zeros

    dtype = get_default_dtype() if dtype is None else dtype
    if not dtype.is_floating_point:
        raise RuntimeError(f"window functions only support floating point types, got: {dtype}")
    if length < 0:
        raise RuntimeError(f"requires non-negative window_length, got window_length={length}")
    if length < 2:
        result = ones(1, dtype=dtype) if length else zeros(0, dtype=dtype)
    else:
        count = length if periodic else length - 1
        result = shape(arange(length, dtype=float64) / count).to(dtype)
    return result.requires_grad_() if requires_grad else result


def _cosines(*factors):
    return lambda x: sum(a * (2 * math.pi * k * x).cos() for k, a in enumerate(factors))


def hann_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """(1 - cos(2πn / N)) / 2."""
    return _window(window_length, periodic, dtype, requires_grad, _cosines(0.5, -0.5))


def hamming_window(
    window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None, requires_grad=False
):
    """alpha - beta · cos(2πn / N)."""
    return _window(window_length, periodic, dtype, requires_grad, _cosines(alpha, -beta))


def blackman_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """0.42 - 0.5 · cos(2πn / N) + 0.08 · cos(4πn / N)."""
    return _window(window_length, periodic, dtype, requires_grad, _cosines(0.42, -0.5, 0.08))


def bartlett_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, requires_grad=False):
    """1 - |2n / N - 1|."""
    return _window(window_length, periodic, dtype, requires_grad, lambda x: 1 - (2 * x - 1).abs())


def kaiser_window(
    window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None, requires_grad=False
):
    """I₀(beta · √(1 - (2n / N - 1)²)) / I₀(beta)."""
    from swiftnet import float64, i0

    top = i0(tensor(float(beta), dtype=float64))
    return _window(
        window_length, periodic, dtype, requires_grad,
        lambda x: i0(beta * (1 - (2 * x - 1) ** 2).clamp(min=0).sqrt()) / top,
    )  # fmt: skip


def logspace(start, end, steps, base=10.0, *, dtype=None, layout=None, device=None, requires_grad=False):
    """base to the powers of `steps` numbers from start to end."""
    from swiftnet import float64, get_default_dtype

    result = (base ** linspace(start, end, steps, dtype=float64)).to(get_default_dtype() if dtype is None else dtype)
    return result.requires_grad_() if requires_grad else result


def range(start=0, end=None, step=1, *, dtype=None, layout=None, device=None, requires_grad=False):
    """start, start + step, … up to and with end. `arange`, which leaves the end out, is what others have."""
    import warnings

    from swiftnet import get_default_dtype

    warnings.warn("swiftnet.range is deprecated: use arange, whose values are in [start, end).", stacklevel=2)
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("step must be nonzero")
    count = math.floor((end - start) / step) + 1
    if count < 1:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    result = (arange(count) * step + start).to(get_default_dtype() if dtype is None else dtype)
    return result.requires_grad_() if requires_grad else result


def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of undefined contents with the given strides."""
    from swiftnet import empty

    sizes, strides = integers(size), integers(stride)
    count = 0 if 0 in sizes else 1 + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
    result = empty(count, dtype=dtype, device=device).as_strided(sizes, strides)
    return result.requires_grad_() if requires_grad else result


def vander(x, N=None, increasing=False):
    """The powers 0 … N - 1 of a vector's elements as rows, the highest first unless `increasing`."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.shape[0] if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    powers = x.unsqueeze(1) ** arange(count)
    return powers if increasing else powers.flip(1)


def unravel_index(indices, shape):
    """The positions in each dimension of a shape that flat indices stand for."""
    sizes = integers(shape)
    result = []
    for size in reversed(sizes):
        result.append(indices % size)
        indices = indices // size
    return tuple(reversed(result))


def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariances of variables (rows) over observations (columns).

    Args:
        correction: subtracted from the number of observations.
        fweights: how often each observation counts.
        aweights: weights of the observations.
    """
    if input.ndim > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} "
                           "dimensions")  # fmt: skip
    x = input.reshape(1, -1) if input.ndim < 2 else input
    x = x if x.is_floating_point() else x.float()
    weights = None
    for given in (fweights, aweights):
        if given is not None:
            weights = given.to(x.dtype) if weights is None else weights * given.to(x.dtype)
    if weights is None:
        total = float(x.shape[1])
        centred = x - x.mean(1, keepdim=True)
        products = centred @ centred.T
        norm = total - correction
    else:
        total = weights.sum()
        centred = x - (x * weights).sum(1, keepdim=True) / total
        products = (centred * weights) @ centred.T
        if aweights is None:
            norm = total - correction
        else:
            norm = total - correction * (weights * aweights.to(x.dtype)).sum() / total
    norm = max(float(norm), 0.0)
    return (products / norm).squeeze()


def corrcoef(input):
    """The correlations of variables (rows) over observations (columns)."""
    c = cov(input)
    if c.ndim == 0:
        return c / c
    scale = c.diagonal().sqrt()
    return (c / scale.unsqueeze(1) / scale.unsqueeze(0)).clamp(-1, 1)


def gradient(input, *, spacing=1, dim=None, edge_order=1):
    """Central differences along dimensions, one-sided ones at the ends.

    Args:
        spacing: distance of neighbours: one number, one for each dimension, or coordinates (vectors) for each.
        dim: the dimensions; default: all.
        edge_order: 1 or 2, of the differences at the ends.
    """
    from swiftnet import cat

    dims = list(integers(dim)) if dim is not None else [*_count(input.ndim)]
    spacings = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if len(spacings) != len(dims):
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar, or a list of length {len(dims)}, but got a "
            f"list of length {len(spacings)}"
        )
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    x = input if input.is_floating_point() else input.float()
    results = []
    for axis, step in zip(dims, spacings, strict=True):
        n = x.shape[axis]
        if n < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")

        def part(start, length, axis=axis):
            return x.narrow(axis, start, length)

        if hasattr(step, "ndim") and step.ndim:
            view = [1] * x.ndim
            view[axis] = -1
            h = (step[1:] - step[:-1]).to(x.dtype)
            a, b = h[:-1].reshape(view), h[1:].reshape(view)
            inner = (part(2, n - 2) * (a / (b * (a + b))) + part(1, n - 2) * ((b - a) / (a * b))
                     - part(0, n - 2) * (b / (a * (a + b))))  # fmt: skip
            first, last, second, previous = h[0], h[-1], h[1] if n > 2 else h[0], h[-2] if n > 2 else h[0]
        else:
            inner = (part(2, n - 2) - part(0, n - 2)) / (2 * step) if n > 2 else part(0, 0)
            first = last = second = previous = step
        if edge_order == 1:
            left, right = (part(1, 1) - part(0, 1)) / first, (part(n - 1, 1) - part(n - 2, 1)) / last
        else:
            left = _edge(part(0, 1), part(1, 1), part(2, 1), first, second)
            right = -_edge(part(n - 1, 1), part(n - 2, 1), part(n - 3, 1), last, previous)
        results.append(cat([left, inner, right], axis))
    return results


def _edge(f0, f1, f2, h1, h2):
    """The slope at the first of three points, of second order."""
    total = h1 + h2
    return -f0 * ((2 * h1 + h2) / (h1 * total)) + f1 * (total / (h1 * h2)) - f2 * (h1 / (h2 * total))


_count = __builtins__["range"] if isinstance(__builtins__, dict) else __builtins__.range


def frobenius_norm(input, dim=(), keepdim=False):
    """The 2-norm over the given dimensions, or over all."""
    from swiftnet import linalg

    return linalg.vector_norm(input, 2, dim if dim != () else None, keepdim)


def logdet(input):
    """ln det of square matrices; NaN where the determinant is negative."""
    from swiftnet import linalg, where

    sign, logs = linalg.slogdet(input)
    return where(sign < 0, tensor(math.nan, dtype=logs.dtype), logs)


def matrix_exp(input):
    """e^A of square matrices."""
    return wrap(lib.sn_matrix_exp(input._h))


def orgqr(input, tau):
    """The product of Householder's reflections: see `geqrf`."""
    return wrap(lib.sn_householder_product(input._h, tau._h))


def geqrf(input):
    """The compact form of a QR factorisation: R on and above the diagonal, the reflections below, and their factors."""
    from swiftnet import return_types

    return return_types.geqrf(*unpack(lib.sn_geqrf(input._h)))


def cholesky_solve(B, L, upper=False):
    """X with A·X = B, where A = L·Lᵀ (or Uᵀ·U)."""
    from swiftnet import linalg

    return linalg.solve(L.mT @ L if upper else L @ L.mT, B)


def cholesky_inverse(L, upper=False):
    """The inverse of A = L·Lᵀ (or Uᵀ·U)."""
    from swiftnet import linalg

    return linalg.inv(L.mT @ L if upper else L @ L.mT)
