"""Losses of segmentation and of rare or many labels, beside PyTorch's own in `swiftnet.nn`.

Each is a module and, under `swiftnet.losses.functional`, a function. `DiceLoss()`, `DiceBCELoss()`, `IoULoss()` and
`FocalLoss()` without arguments are the plain forms for one class: on logits, over all elements, with smooth = 1.

>>> import swiftnet
>>> from swiftnet import losses
>>> logits = swiftnet.zeros(2, 1, 4, 4)
>>> round(float(losses.DiceLoss()(logits, swiftnet.ones(2, 1, 4, 4))), 4)
0.3265
>>> float(losses.JaccardLoss("multiclass", smooth=0)(swiftnet.zeros(2, 3, 4), swiftnet.zeros(2, 4).long())) < 1
True
"""

from swiftnet.losses import functional
from swiftnet.losses._labels import (
    DeepMarLoss,
    DeepMarWeights,
    MultiLabelSoftmaxLoss,
)
from swiftnet.losses._segmentation import (
    ComboLoss,
    DiceBCELoss,
    DiceLoss,
    FocalLoss,
    FocalTverskyLoss,
    IoULoss,
    JaccardLoss,
    LovaszHingeLoss,
    LovaszSoftmaxLoss,
    MCCLoss,
    SoftBCEWithLogitsLoss,
    SoftCrossEntropyLoss,
    TverskyLoss,
)

BCEDiceLoss = DiceBCELoss

__all__ = [
    "BCEDiceLoss", "ComboLoss", "DeepMarLoss", "DeepMarWeights", "DiceBCELoss", "DiceLoss", "FocalLoss",
    "FocalTverskyLoss", "IoULoss", "JaccardLoss", "LovaszHingeLoss", "LovaszSoftmaxLoss", "MCCLoss",
    "MultiLabelSoftmaxLoss", "SoftBCEWithLogitsLoss", "SoftCrossEntropyLoss", "TverskyLoss", "functional",
]  # fmt: skip
