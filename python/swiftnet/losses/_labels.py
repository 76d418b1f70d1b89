"""Losses of samples with several labels."""

from swiftnet import losses
from swiftnet._tensor import Tensor, tensor
from swiftnet.nn.modules.linear import forward2
from swiftnet.nn.modules.module import BuiltIn

_NOT_SETTINGS = BuiltIn._not_settings | {"rate", "cond_prob"}


def _numbers(values):
    from swiftnet import get_default_dtype

    if isinstance(values, Tensor):
        return values if values.is_floating_point() else values.to(get_default_dtype())
    return tensor(values, dtype=get_default_dtype())


class DeepMarWeights:
    """Weights of labels from how often they are positive: e^(alpha·(1 - rate)) for positive, e^(alpha·rate) for
    negative ones (Li et al., 2015, DeepMAR).

    Args:
        alpha: Default: 1.
        rate: the share of positive samples of each label, from 0 to 1: a sequence, an array or a tensor.

    Attributes:
        weight_pos, weight_neg: tensors with a number for each label.

    >>> weights = DeepMarWeights(rate=[0.5, 0.01])
    >>> weights.weighted_label(swiftnet.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor([[1.6487, 1.0101],
            [1.6487, 2.6912]])
    """

    def __init__(self, alpha=1.0, rate=None):
        if rate is None or isinstance(rate, (str, bytes)):
            raise TypeError("DeepMarWeights needs the labels' rates themselves: a sequence, an array or a tensor")
        self.weight_pos, self.weight_neg = self.get_weight(alpha, rate)

    @staticmethod
    def get_weight(alpha, rate):
        """The weights of positive and of negative labels."""
        return losses.functional.deepmar_weights(_numbers(rate), alpha)

    def weighted_label(self, target):
        """The weight of each element of targets (N, L) of zeros and ones."""
        return losses.functional.weighted_label(target, self.weight_pos, self.weight_neg)


class DeepMarLoss(BuiltIn):
    """Binary cross entropy of logits, each element weighted by its label's rate: see `DeepMarWeights`.

    Args:
        rate: the share of positive samples of each label, from 0 to 1; a buffer.
        alpha: Default: 1.
        reduction: "none", "mean" or "sum". Default: "mean".

    Shape: (N, L) twice, targets 0 or 1.
    """

    _type = "DeepMarLoss"
    _not_settings = _NOT_SETTINGS

    def __init__(self, rate, alpha=1.0, reduction="mean"):
        self._build({"rate": _numbers(rate), "alpha": alpha, "reduction": reduction})

    def weighted_label(self, target):
        """The weight of each element of targets (N, L) of zeros and ones."""
        return losses.functional.weighted_label(target, *losses.functional.deepmar_weights(self.rate, self.alpha))

    def forward(self, input, target):
        return forward2(self, input, target)


class MultiLabelSoftmaxLoss(BuiltIn):
    """Each positive label of a sample against its negative ones: the mean over all positive labels p of
    -ln(e^x[p] / (e^x[p] + Σₙ e^x[n] · w[n, p])), where w[n, ·] is the softmax of cond_prob[n, ·] over the sample's
    positive labels.

    Args:
        cond_prob: (L, L), how strongly label n goes with label p. Default: all alike.
        reduction: "none" (the sum for each sample), "mean" (over all positive labels) or "sum". Default: "mean".

    Shape: (N, L) twice, targets 0 or 1. The scores may be logits or, as in the original, sigmoids.
    """

    _type = "MultiLabelSoftmaxLoss"
    _not_settings = _NOT_SETTINGS

    def __init__(self, cond_prob=None, reduction="mean"):
        given = None if cond_prob is None else _numbers(cond_prob)
        self._build({"cond_prob": given, "reduction": reduction})

    def forward(self, input, target):
        return forward2(self, input, target)

    def get_loss(self, prediction, target):
        """The loss."""
        return self(prediction, target)
