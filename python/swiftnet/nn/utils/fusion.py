"""Batch normalisation folded into the layer before it, for inference."""

import copy

from swiftnet._core import NULL, check, ffi, lib
from swiftnet._tensor import Parameter, wrap

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _fold(weight, bias, mean, variance, eps, scale, shift, transpose):
    def held(tensor):
        return NULL if tensor is None else tensor._h

    results = ffi.new("sn_tensor[2]")
    plain = [None if t is None else t.detach() for t in (weight, bias, scale, shift)]
    w, b, gamma, beta = plain
    check(
        lib.sn_fold_batch_norm(
            w._h, held(b), mean._h, variance._h, float(eps), held(gamma), held(beta), bool(transpose), results
        )
    )
    folded, moved = wrap(results[0]), wrap(results[1])
    needs = bias is not None and bias.requires_grad
    return Parameter(folded, weight.requires_grad), Parameter(moved, needs)


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """Weight and bias of a convolution that does what a convolution and a batch normalisation do in evaluation:

        weight · γ / √(var + eps),   (bias - mean) · γ / √(var + eps) + β

    Args:
        conv_w, conv_b: of the convolution; the bias may be None.
        bn_rm, bn_rv, bn_eps: running mean and variance, eps.
        bn_w, bn_b: γ and β; may be None.
        transpose: a transposed convolution. Default: False.
    """
    return _fold(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose)


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """The same of a linear layer."""
    return _fold(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, False)


def _fused(layer, bn, transpose):
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("Fusion needs a batch normalisation with running statistics")
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = _fold(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A copy of a convolution with the batch normalisation after it folded in. Both have to be in evaluation."""
    return _fused(conv, bn, transpose)


def fuse_linear_bn_eval(linear, bn):
    """A copy of a linear layer with the batch normalisation after it folded in. Both have to be in evaluation."""
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"{linear.out_features} and {bn.num_features}"
        )
    return _fused(linear, bn, False)
