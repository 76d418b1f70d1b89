"""The losses as functions of predictions and targets. Arguments are those of the modules; see there."""

from swiftnet._core import fail, ffi, lib
from swiftnet._functions.indexing import unpack
from swiftnet._tensor import Tensor, wrap
from swiftnet.nn.modules import _binding

__all__ = [
    "combo_loss", "deepmar_loss", "deepmar_weights", "dice_bce_loss", "dice_loss", "focal_loss", "focal_tversky_loss",
    "iou_loss", "jaccard_loss", "lovasz_hinge_loss", "lovasz_softmax_loss", "mcc_loss", "multilabel_softmax_loss",
    "soft_bce_with_logits", "soft_cross_entropy", "tversky_loss", "weighted_label",
]  # fmt: skip


def _run(type_name, function, input, target, settings):
    """Runs a loss once with the given settings."""
    for name, value in (("input", input), ("target", target)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(value).__name__}")
    module = ffi.gc(_binding.create(type_name, settings), lib.sn_module_release)
    result = lib.sn_module_forward2(module, input._h, target._h)
    if not result:
        fail()
    return wrap(result)


def dice_loss(
    input, target, mode="binary", *, smooth=1.0, eps=1e-7, log_loss=False, weight=None, from_logits=True,
    ignore_index=None, classes=None, skip_absent=False, per_image=False, reduction="mean",
):  # fmt: skip
    """1 - (2 Σ p·y + smooth) / (Σ p + Σ y + smooth). See `losses.DiceLoss`."""
    return _run("DiceLoss", "dice_loss", input, target, _settings(locals()))


def jaccard_loss(
    input, target, mode="binary", *, smooth=1.0, eps=1e-7, log_loss=False, weight=None, from_logits=True,
    ignore_index=None, classes=None, skip_absent=False, per_image=False, reduction="mean",
):  # fmt: skip
    """1 - (I + smooth) / (Σ p + Σ y - I + smooth), I = Σ p·y. See `losses.JaccardLoss`."""
    return _run("JaccardLoss", "jaccard_loss", input, target, _settings(locals()))


iou_loss = jaccard_loss


def tversky_loss(
    input, target, mode="binary", *, alpha=0.5, beta=0.5, gamma=1.0, smooth=1.0, eps=1e-7, log_loss=False, weight=None,
    from_logits=True, ignore_index=None, classes=None, skip_absent=False, per_image=False, reduction="mean",
):  # fmt: skip
    """(1 - (TP + smooth) / (TP + alpha·FP + beta·FN + smooth))^gamma. See `losses.TverskyLoss`."""
    return _run("TverskyLoss", "tversky_loss", input, target, _settings(locals()))


def focal_tversky_loss(
    input, target, mode="binary", *, alpha=0.5, beta=0.5, gamma=4 / 3, smooth=1.0, eps=1e-7, log_loss=False,
    weight=None, from_logits=True, ignore_index=None, classes=None, skip_absent=False, per_image=False,
    reduction="mean",
):  # fmt: skip
    """`tversky_loss` with gamma 4/3. See `losses.FocalTverskyLoss`."""
    return _run("FocalTverskyLoss", "focal_tversky_loss", input, target, _settings(locals()))


def mcc_loss(
    input, target, mode="binary", *, eps=1e-5, weight=None, from_logits=True, ignore_index=None, classes=None,
    skip_absent=False, per_image=False, reduction="mean",
):  # fmt: skip
    """1 - Matthews' correlation coefficient. See `losses.MCCLoss`."""
    return _run("MCCLoss", "mcc_loss", input, target, _settings(locals()))


def dice_bce_loss(
    input, target, mode="binary", *, bce_weight=1.0, dice_weight=1.0, smooth=1.0, eps=1e-7, weight=None,
    from_logits=True, ignore_index=None, classes=None, skip_absent=False, per_image=False,
):  # fmt: skip
    """Binary cross entropy plus Dice loss. See `losses.DiceBCELoss`."""
    return _run("DiceBCELoss", "dice_bce_loss", input, target, _settings(locals()))


def combo_loss(
    input, target, mode="binary", *, alpha=0.5, beta=0.5, smooth=1.0, eps=1e-7, from_logits=True, ignore_index=None,
    classes=None, skip_absent=False, per_image=False,
):  # fmt: skip
    """alpha · weighted binary cross entropy - (1 - alpha) · Dice score. See `losses.ComboLoss`."""
    return _run("ComboLoss", "combo_loss", input, target, _settings(locals()))


def focal_loss(
    input, target, mode=None, *, alpha=None, gamma=2.0, weight=None, threshold=None, normalized=False,
    from_logits=True, ignore_index=None, reduction="mean",
):  # fmt: skip
    """Cross entropy with less weight for what is right already. See `losses.FocalLoss`."""
    return _run("FocalLoss", "focal_loss", input, target, _settings(locals()))


def lovasz_hinge_loss(input, target, *, per_image=False, ignore_index=None):
    """The Lovász extension of the Jaccard loss, of hinge errors. See `losses.LovaszHingeLoss`."""
    return _run("LovaszHingeLoss", "lovasz_hinge_loss", input, target, _settings(locals()))


def lovasz_softmax_loss(
    input, target, *, classes=None, only_present=True, per_image=False, ignore_index=None, from_logits=True
):
    """The Lovász extension of the Jaccard loss, of softmax probabilities. See `losses.LovaszSoftmaxLoss`."""
    return _run("LovaszSoftmaxLoss", "lovasz_softmax_loss", input, target, _settings(locals()))


def soft_bce_with_logits(
    input, target, weight=None, ignore_index=-100, reduction="mean", smooth_factor=0.0, pos_weight=None, *,
    mode="binary",
):  # fmt: skip
    """Binary cross entropy of sigmoid(x) with softened targets. See `losses.SoftBCEWithLogitsLoss`."""
    return _run("SoftBCEWithLogitsLoss", "soft_bce_with_logits", input, target, _settings(locals()))


def soft_cross_entropy(input, target, reduction="mean", smooth_factor=0.0, ignore_index=-100, weight=None):
    """Cross entropy with label smoothing. See `losses.SoftCrossEntropyLoss`."""
    return _run("SoftCrossEntropyLoss", "soft_cross_entropy", input, target, _settings(locals()))


def deepmar_loss(input, target, rate, alpha=1.0, reduction="mean"):
    """Binary cross entropy of logits, weighted by the labels' positive rates. See `losses.DeepMarLoss`."""
    return _run("DeepMarLoss", "deepmar_loss", input, target, _settings(locals()))


def multilabel_softmax_loss(input, target, cond_prob=None, reduction="mean"):
    """Each positive label against the negative ones. See `losses.MultiLabelSoftmaxLoss`."""
    return _run("MultiLabelSoftmaxLoss", "multilabel_softmax_loss", input, target, _settings(locals()))


def _settings(arguments):
    return {name: value for name, value in arguments.items() if name not in ("input", "target")}


def deepmar_weights(rate, alpha=1.0):
    """e^(alpha·(1 - rate)) and e^(alpha·rate): weights of positive and of negative labels from their positive rates."""
    return unpack(lib.sn_deepmar_weights(rate._h, float(alpha)))


def weighted_label(target, weight_pos, weight_neg):
    """The weight of each element of targets (N, L): weight_pos where they are 1, weight_neg where they are 0."""
    return wrap(lib.sn_weighted_labels(target._h, weight_pos._h, weight_neg._h))
