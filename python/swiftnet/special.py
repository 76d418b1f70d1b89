"""Special functions, under the names of `torch.special`."""

from swiftnet._core import lib
from swiftnet._functions.elementwise import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    log1p,
    round,
    sinc,
    xlogy,
)
from swiftnet._functions.elementwise import lgamma as gammaln
from swiftnet._functions.elementwise import sigmoid as expit
from swiftnet._functions.limits import _NDTR, _NDTRI, i0, logit, polygamma, xlog1py
from swiftnet._functions.limits import mvlgamma as multigammaln
from swiftnet._functions.norms import logsumexp
from swiftnet._tensor import wrap

psi = digamma

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i1", "log1p",
    "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round",
    "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip


def ndtr(input):
    """The distribution function of the standard normal distribution."""
    return wrap(lib.sn_unary(_NDTR, input._h, 0, 0, 0))


def ndtri(input):
    """The inverse of `ndtr`."""
    return wrap(lib.sn_unary(_NDTRI, input._h, 0, 0, 0))


def log_ndtr(input):
    """The logarithm of `ndtr`."""
    return wrap(lib.sn_special(b"log_ndtr", input._h))


def entr(input):
    """-x ln x; 0 at 0 and -∞ below."""
    return wrap(lib.sn_special(b"entr", input._h))


def erfcx(input):
    """exp(x²) erfc(x)."""
    return wrap(lib.sn_special(b"erfcx", input._h))


def i1(input):
    """The modified Bessel function of order 1."""
    return wrap(lib.sn_special(b"i1", input._h))


def softmax(input, dim, *, dtype=None):
    """exp(x) / Σ exp(x) along a dimension."""
    from swiftnet._dtypes import code

    return wrap(lib.sn_softmax(input._h, dim, code(dtype), 0))


def log_softmax(input, dim, *, dtype=None):
    """The logarithm of `softmax`."""
    from swiftnet._dtypes import code

    return wrap(lib.sn_softmax(input._h, dim, code(dtype), 1))
