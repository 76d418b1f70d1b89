"""Clipping of gradients, and parameters as one vector."""

from swiftnet.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from swiftnet.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from swiftnet.nn.utils.fusion import (
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
    fuse_linear_bn_weights,
)
