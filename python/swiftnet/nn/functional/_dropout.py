"""Dropout."""

import warnings

from swiftnet._core import lib
from swiftnet._tensor import wrap
from swiftnet.nn.functional._activations import handle, into


def _dropout(name, input, p, training, inplace, alpha=0, features=0):
    h = handle(input, name)
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    result = wrap(lib.sn_dropout(h, p, training, alpha, features))
    return into(input, result) if inplace else result


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, zeroes each element with probability p and scales the others by 1 / (1 - p)."""
    return _dropout("dropout", input, p, training, inplace)


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps mean and variance of self-normalising networks (Klambauer et al., 2017)."""
    return _dropout("alpha_dropout", input, p, training, inplace, alpha=1)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """`alpha_dropout` of whole channels."""
    return _dropout("feature_alpha_dropout", input, p, training, inplace, alpha=1, features=1)


def _of_features(name, input, p, training, inplace, unbatched):
    handle(input, name)
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if input.ndim == unbatched:
        if inplace:
            view = input.unsqueeze(0)
            _dropout(name, view, p, training, True, features=1)
            return input
        return _dropout(name, input.unsqueeze(0), p, training, False, features=1).squeeze(0)
    return _dropout(name, input, p, training, inplace, features=1)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """In training, zeroes whole channels of (N, C, L) or (C, L) with probability p."""
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. "
            "Note that dropout1d exists to provide channel-wise dropout on inputs with 1 "
            "spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    return _of_features("dropout1d", input, p, training, inplace, 2)


def dropout2d(input, p=0.5, training=True, inplace=False):
    """In training, zeroes whole channels of (N, C, H, W) with probability p.

    A tensor of three dimensions counts as (N, C, L).
    """
    if input.ndim not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated "
            "and will result in an error in a future release.",
            stacklevel=2,
        )
    return _of_features("dropout2d", input, p, training, inplace, None)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """In training, zeroes whole channels of (N, C, D, H, W) or (C, D, H, W) with probability p."""
    if input.ndim not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {input.ndim}-D input to dropout3d, which is deprecated "
            "and will result in an error in a future release.",
            stacklevel=2,
        )
    return _of_features("dropout3d", input, p, training, inplace, 4)
