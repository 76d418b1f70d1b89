"""Normalisation, norms and distances."""

from swiftnet._core import integers, lib
from swiftnet._tensor import wrap
from swiftnet.nn.functional._activations import handle, optional


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05):
    """Each channel (dimension 1) normalised, then scaled by weight and shifted by bias.

    In training by the batch's mean and variance, and the running statistics are updated in place:
    running += momentum · (batch - running), the variance with Bessel's correction. Otherwise by the running statistics.
    """
    name = "batch_norm"
    return wrap(
        lib.sn_batch_norm(
            handle(input, name), optional(running_mean, name, "running_mean"),
            optional(running_var, name, "running_var"), optional(weight, name, "weight"), optional(bias, name, "bias"),
            training, momentum, eps,
        )
    )  # fmt: skip


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-05
):
    """Each channel of each sample normalised by its own mean and variance, or by running statistics."""
    name = "instance_norm"
    return wrap(
        lib.sn_instance_norm(
            handle(input, name), optional(running_mean, name, "running_mean"),
            optional(running_var, name, "running_var"), optional(weight, name, "weight"), optional(bias, name, "bias"),
            use_input_stats, momentum, eps,
        )
    )  # fmt: skip


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05):
    """Normalised over the last dimensions, whose sizes are `normalized_shape`."""
    shape = integers(normalized_shape)
    name = "layer_norm"
    return wrap(
        lib.sn_layer_norm(
            handle(input, name), shape, len(shape), optional(weight, name, "weight"), optional(bias, name, "bias"), eps
        )
    )


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05):
    """Each group of channels of each sample normalised by its own mean and variance."""
    name = "group_norm"
    return wrap(
        lib.sn_group_norm(
            handle(input, name), num_groups, optional(weight, name, "weight"), optional(bias, name, "bias"), eps
        )
    )


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Divided by the root of the mean square over the last dimensions, whose sizes are `normalized_shape`."""
    shape = integers(normalized_shape)
    w = optional(weight, "rms_norm", "weight")
    return wrap(
        lib.sn_rms_norm(handle(input, "rms_norm"), shape, len(shape), w, eps is not None, 0.0 if eps is None else eps)
    )


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """input / (k + alpha / size · Σ input²)^beta, the sum over `size` neighbouring channels."""
    return wrap(lib.sn_local_response_norm(handle(input, "local_response_norm"), size, alpha, beta, k))


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """Divided by the p-norm along a dimension (or several), or by eps where that is greater."""
    dims = integers(dim)
    return wrap(lib.sn_normalize(handle(input, "normalize"), p, dims, len(dims), eps))


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 · x2 / (|x1| |x2|) along a dimension, each norm at least eps."""
    name = "cosine_similarity"
    return wrap(lib.sn_cosine_similarity(handle(x1, name, "x1"), handle(x2, name, "x2"), dim, eps))


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps along the last dimension."""
    name = "pairwise_distance"
    return wrap(lib.sn_pairwise_distance(handle(x1, name, "x1"), handle(x2, name, "x2"), p, eps, keepdim))


def pdist(input, p=2.0):
    """The p-distances of all pairs of rows i < j of a matrix."""
    return wrap(lib.sn_pdist(handle(input, "pdist"), p))
