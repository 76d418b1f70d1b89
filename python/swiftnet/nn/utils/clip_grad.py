"""Limits on gradients."""

import types
import warnings

from swiftnet._core import check, lib
from swiftnet._tensor import Tensor, wrap

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _list(parameters):
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scales the gradients so that their norm, as one vector, is at most max_norm; returns the norm before.

    Args:
        parameters: one parameter or several.
        norm_type: p of the norm; may be inf. Default: 2.
        error_if_nonfinite: raise if the norm is not finite. Default: False.
    """
    is_generator = isinstance(parameters, types.GeneratorType)
    tensors = _list(parameters)
    if is_generator and not tensors:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    handles = [t._h for t in tensors]
    return wrap(
        lib.sn_clip_grad_norm(handles, len(handles), float(max_norm), float(norm_type), bool(error_if_nonfinite))
    )


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Limits each element of the gradients to [-clip_value, clip_value]."""
    tensors = _list(parameters)
    check(lib.sn_clip_grad_value([t._h for t in tensors], len(tensors), float(clip_value)))


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The p-norm of all tensors as if they were one vector."""
    tensors = _list(tensors)
    total = wrap(lib.sn_total_norm([t._h for t in tensors], len(tensors), float(norm_type)))
    if error_if_nonfinite and not float(total) < float("inf"):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scales the gradients by min(1, max_norm / (total_norm + 1e-6))."""
    tensors = _list(parameters)
    check(lib.sn_scale_gradients([t._h for t in tensors], len(tensors), float(max_norm), total_norm._h))


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The older name of `clip_grad_norm_`."""
    warnings.warn(
        "`swiftnet.nn.utils.clip_grad_norm` is now deprecated in favor of `swiftnet.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)
