"""Losses of segmentation, as modules."""

from swiftnet.nn.modules.linear import forward2
from swiftnet.nn.modules.module import BuiltIn

_COMMON = """
        mode: "binary": one class, target of the predictions' size (dimensions of size one apart); "multiclass":
            predictions (N, C, …), target (N, …) of class indices, or (N, C, …) of shares; "multilabel": both (N, C, …).
            Default: "binary".
        weight: of each class, (C); the mean is divided by the weights' sum.
        from_logits: whether predictions are unnormalised (sigmoid or softmax is applied), or probabilities.
            Default: True.
        ignore_index: positions where the target has this value do not count.
        classes: the classes that count. Default: all.
        skip_absent: classes that do not occur in the target have a loss of 0. Default: False.
        per_image: compute the loss image by image, instead of for the whole batch at once. Default: False.
        reduction: over classes (and images): "none", "mean" or "sum". Default: "mean".
    """

_OVERLAP = """
        smooth: added above and below. Default: 1.
        eps: the least denominator. Default: 1e-7.
        log_loss: -ln score instead of 1 - score. Default: False."""


class _SegmentationLoss(BuiltIn):
    def forward(self, input, target):
        return forward2(self, input, target)

    def extra_repr(self):
        mode = self.mode
        return "" if mode in (None, "binary") else f"mode={mode!r}"


class _Smoothed(_SegmentationLoss):
    def forward(self, input, target, smooth=None):
        """`smooth` takes the place of the module's for this call."""
        if smooth is None or smooth == self.smooth:
            return forward2(self, input, target)
        before, self.smooth = self.smooth, smooth
        try:
            return forward2(self, input, target)
        finally:
            self.smooth = before


class DiceLoss(_Smoothed):
    __doc__ = (
        """1 - (2 Σ p·y + smooth) / (Σ p + Σ y + smooth), p being probabilities, y the truth (Milletari et al., 2016).

    Args:"""
        + _COMMON.rstrip()
        + _OVERLAP
        + "\n    "
    )
    _type = "DiceLoss"

    def __init__(
        self, mode="binary", *, smooth=1.0, eps=1e-7, log_loss=False, weight=None, from_logits=True, ignore_index=None,
        classes=None, skip_absent=False, per_image=False, reduction="mean",
    ):  # fmt: skip
        self._build(locals())


class JaccardLoss(_Smoothed):
    __doc__ = (
        """1 - (I + smooth) / (Σ p + Σ y - I + smooth), I = Σ p·y: intersection over union.

    Args:"""
        + _COMMON.rstrip()
        + _OVERLAP
        + "\n    "
    )
    _type = "JaccardLoss"

    def __init__(
        self, mode="binary", *, smooth=1.0, eps=1e-7, log_loss=False, weight=None, from_logits=True, ignore_index=None,
        classes=None, skip_absent=False, per_image=False, reduction="mean",
    ):  # fmt: skip
        self._build(locals())


class IoULoss(JaccardLoss):
    __doc__ = JaccardLoss.__doc__
    _type = "IoULoss"


class TverskyLoss(_Smoothed):
    __doc__ = (
        """(1 - score)^gamma, score = (TP + smooth) / (TP + alpha·FP + beta·FN + smooth) (Salehi et al., 2017,
    https://arxiv.org/abs/1706.05721).

    Args:
        alpha: weight of what is found wrongly. Default: 0.5.
        beta: weight of what is missed. Default: 0.5.
        gamma: Default: 1."""
        + _COMMON.rstrip()
        + _OVERLAP
        + "\n    "
    )
    _type = "TverskyLoss"

    def __init__(
        self, mode="binary", *, alpha=0.5, beta=0.5, gamma=1.0, smooth=1.0, eps=1e-7, log_loss=False, weight=None,
        from_logits=True, ignore_index=None, classes=None, skip_absent=False, per_image=False, reduction="mean",
    ):  # fmt: skip
        self._build(locals())


class FocalTverskyLoss(TverskyLoss):
    """`TverskyLoss` with gamma 4/3 by default (Abraham and Khan, 2018, https://arxiv.org/abs/1810.07842, who write the
    exponent as 1 / gamma).
    """

    _type = "FocalTverskyLoss"

    def __init__(
        self, mode="binary", *, alpha=0.5, beta=0.5, gamma=4 / 3, smooth=1.0, eps=1e-7, log_loss=False, weight=None,
        from_logits=True, ignore_index=None, classes=None, skip_absent=False, per_image=False, reduction="mean",
    ):  # fmt: skip
        self._build(locals())


class MCCLoss(_SegmentationLoss):
    __doc__ = (
        """1 - Matthews' correlation coefficient (Abhishek and Hamarneh, 2021, https://arxiv.org/abs/2010.13454).

    Args:
        eps: added to each of the four counts. Default: 1e-5."""
        + _COMMON
    )
    _type = "MCCLoss"

    def __init__(
        self, mode="binary", *, eps=1e-5, weight=None, from_logits=True, ignore_index=None, classes=None,
        skip_absent=False, per_image=False, reduction="mean",
    ):  # fmt: skip
        self._build(locals())


class DiceBCELoss(_Smoothed):
    __doc__ = (
        """Binary cross entropy (cross entropy with mode "multiclass") plus Dice loss.

    Args:
        bce_weight, dice_weight: of the two parts. Default: 1.
        smooth, eps: see `DiceLoss`."""
        + _COMMON
    )
    _type = "DiceBCELoss"

    def __init__(
        self, mode="binary", *, bce_weight=1.0, dice_weight=1.0, smooth=1.0, eps=1e-7, weight=None, from_logits=True,
        ignore_index=None, classes=None, skip_absent=False, per_image=False,
    ):  # fmt: skip
        self._build(locals())


class ComboLoss(_Smoothed):
    """alpha · weighted binary cross entropy - (1 - alpha) · Dice score (Taghanaki et al., 2019,
    https://arxiv.org/abs/1805.02798). Perfect predictions come to alpha - 1.

    Args:
        mode: "binary" or "multilabel".
        alpha: share of the cross entropy. Default: 0.5.
        beta: weight of its positive part, 1 - beta that of the negative one. Default: 0.5.
        smooth, eps, from_logits, ignore_index, classes, skip_absent, per_image: see `DiceLoss`.
    """

    _type = "ComboLoss"

    def __init__(
        self, mode="binary", *, alpha=0.5, beta=0.5, smooth=1.0, eps=1e-7, from_logits=True, ignore_index=None,
        classes=None, skip_absent=False, per_image=False,
    ):  # fmt: skip
        self._build(locals())


class FocalLoss(_SegmentationLoss):
    """Cross entropy with less weight for what is right already (Lin et al., 2017, https://arxiv.org/abs/1708.02002).

    Without a mode: alpha · (1 - e^(-B))^gamma · B of the mean binary cross entropy B, alpha being 0.8 by default. With
    one, (1 - p)^gamma · -ln p at each position, p being the probability of what is true there, and their mean.

    Args:
        mode: None, "binary", "multiclass" (softmax over the classes) or "multilabel". Default: None.
        alpha: the factor without mode; otherwise weight of positive positions, 1 - alpha that of negative ones (not for
            "multiclass", which has `weight`). Default: 0.8 without mode, otherwise no weights.
        gamma: Default: 2.
        weight: of each class.
        threshold: where p is below it the factor is 1, elsewhere ((1 - p) / threshold)^gamma.
        normalized: divide by the sum of the factors. Default: False.
        from_logits: whether predictions are unnormalised, or probabilities. Default: True.
        ignore_index: positions where the target has this value do not count.
        reduction: "none", "mean" (over the positions that count) or "sum". Default: "mean".
    """

    _type = "FocalLoss"

    def __init__(
        self, mode=None, *, alpha=None, gamma=2.0, weight=None, threshold=None, normalized=False, from_logits=True,
        ignore_index=None, reduction="mean",
    ):  # fmt: skip
        self._build(locals())

    def forward(self, input, target, alpha=None, gamma=None):
        """`alpha` and `gamma` take the place of the module's for this call."""
        if alpha is None and gamma is None:
            return forward2(self, input, target)
        before = self.alpha, self.gamma
        try:
            self.alpha = before[0] if alpha is None else alpha
            self.gamma = before[1] if gamma is None else gamma
            return forward2(self, input, target)
        finally:
            self.alpha, self.gamma = before


class LovaszHingeLoss(_SegmentationLoss):
    """The Lovász extension of the Jaccard loss, of hinge errors: for logits of one class, or of several taken together
    (Berman et al., 2018, https://arxiv.org/abs/1705.08790).

    Args:
        per_image: the mean of the images' losses. Default: False.
        ignore_index: positions where the target has this value do not count.
    """

    _type = "LovaszHingeLoss"
    mode = None

    def __init__(self, *, per_image=False, ignore_index=None):
        self._build(locals())


class LovaszSoftmaxLoss(_SegmentationLoss):
    """The Lovász extension of the Jaccard loss, of the errors of softmax probabilities, the mean over the classes
    (Berman et al., 2018, https://arxiv.org/abs/1705.08790).

    Args:
        classes: those that count. Default: all that occur in the target.
        only_present: False: also those that do not occur. Default: True.
        per_image: the mean of the images' losses. Default: False.
        ignore_index: positions where the target has this value do not count.
        from_logits: whether predictions are unnormalised, or probabilities. Default: True.

    Shape: (N, C, …) and (N, …).
    """

    _type = "LovaszSoftmaxLoss"
    mode = None

    def __init__(self, *, classes=None, only_present=True, per_image=False, ignore_index=None, from_logits=True):
        self._build(locals())


class SoftBCEWithLogitsLoss(_SegmentationLoss):
    """Binary cross entropy of sigmoid(x) with softened targets: y · (1 - s) + (1 - y) · s.

    Args:
        weight: a factor that broadcasts to the predictions.
        ignore_index: positions where the target has this value do not count, also not in the mean. Default: -100.
        reduction: "none", "mean" or "sum". Default: "mean".
        smooth_factor: s. Default: 0.
        pos_weight: of the positive part, one number or one for each class (dimension 1).
        mode: "binary" or "multilabel". Default: "binary".
    """

    _type = "SoftBCEWithLogitsLoss"

    def __init__(
        self, weight=None, ignore_index=-100, reduction="mean", smooth_factor=0.0, pos_weight=None, *, mode="binary"
    ):
        arguments = locals()
        arguments["smooth_factor"] = smooth_factor or 0.0
        self._build(arguments)


class SoftCrossEntropyLoss(_SegmentationLoss):
    """Cross entropy with part of the target spread over all classes (Szegedy et al., 2015).

    Args:
        reduction: "none", "mean" or "sum". Default: "mean".
        smooth_factor: that part. Default: 0.
        ignore_index: positions where the target has this value do not count. Default: -100.
        weight: of each class.

    Shape: (N, C, …) and (N, …) of class indices, or (N, C, …) of probabilities.
    """

    _type = "SoftCrossEntropyLoss"
    mode = None

    def __init__(self, reduction="mean", smooth_factor=0.0, ignore_index=-100, weight=None):
        arguments = locals()
        arguments["smooth_factor"] = smooth_factor or 0.0
        self._build(arguments)
