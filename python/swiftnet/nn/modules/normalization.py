"""Normalisations without running statistics."""

from swiftnet._core import integers
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class LayerNorm(BuiltIn):
    """y = (x - mean) / √(variance + eps) · weight + bias over the last dimensions (Ba et al., 2016,
    https://arxiv.org/abs/1607.06450).

    Args:
        normalized_shape: sizes of those dimensions.
        eps: added to the variance. Default: 1e-5.
        elementwise_affine: whether there are weight and bias, of that shape, 1 and 0 at first. Default: True.
        bias: whether there is a bias, where affine. Default: True.
    """

    _type = "LayerNorm"

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        normalized_shape = tuple(integers(normalized_shape))
        self._build(locals())

    def extra_repr(self):
        bias = ", bias=False" if self.weight is not None and self.bias is None else ""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}{bias}"


class RMSNorm(BuiltIn):
    """y = x / √(mean(x²) + eps) · weight over the last dimensions (Zhang and Sennrich, 2019,
    https://arxiv.org/abs/1910.07467).

    Args:
        normalized_shape: sizes of those dimensions.
        eps: Default: None, the spacing of the dtype's numbers at 1.
        elementwise_affine: whether there is a weight, of that shape, 1 at first. Default: True.
    """

    _type = "RMSNorm"

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        normalized_shape = tuple(integers(normalized_shape))
        self._build(locals())

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(BuiltIn):
    """y = (x - mean) / √(variance + eps) · weight + bias over groups of channels of each sample (Wu and He, 2018,
    https://arxiv.org/abs/1803.08494).

    Args:
        num_groups: number of groups.
        num_channels: channels (dimension 1), a multiple of it.
        eps: added to the variance. Default: 1e-5.
        affine: whether there are weight and bias, (num_channels), 1 and 0 at first. Default: True.
        bias: whether there is a bias, where affine. Default: True.
    """

    _type = "GroupNorm"

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        self._build(locals())

    def extra_repr(self):
        bias = ", bias=False" if self.weight is not None and self.bias is None else ""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}{bias}"


class LocalResponseNorm(BuiltIn):
    """y = x / (k + alpha / size · Σ x²)^beta, the sum over `size` neighbouring channels (Krizhevsky et al., 2012).

    Args:
        size: number of channels in the sum.
        alpha, beta, k: Default: 1e-4, 0.75, 1.
    """

    _type = "LocalResponseNorm"

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        self._build(locals())

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
