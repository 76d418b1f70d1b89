"""Distances of two tensors."""

from swiftnet.nn.modules.linear import forward2
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(BuiltIn):
    """The p-norm of x₁ - x₂ + eps along the last dimension.

    Args:
        p: Default: 2.
        eps: Default: 1e-6.
        keepdim: whether the last dimension stays, with size 1. Default: False.
    """

    _type = "PairwiseDistance"

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        self._build({"p": p, "eps": eps, "keepdim": keepdim})
        self.norm = p

    def forward(self, x1, x2):
        return forward2(self, x1, x2)


class CosineSimilarity(BuiltIn):
    """x₁ · x₂ / (|x₁| |x₂|) along a dimension, each norm at least eps.

    Args:
        dim: the dimension. Default: 1.
        eps: Default: 1e-8.
    """

    _type = "CosineSimilarity"

    def __init__(self, dim=1, eps=1e-8):
        self._build(locals())

    def forward(self, x1, x2):
        return forward2(self, x1, x2)
