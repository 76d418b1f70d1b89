"""Whole networks, computed in Swift: residual networks and what is built on them, and networks that fuse branches.

>>> model = swiftnet.models.resnet18(num_classes=10)
>>> model(swiftnet.randn(2, 3, 64, 64)).shape
swiftnet.Size([2, 10])

Children can be replaced, also by modules written in Python; `state_dict` keys are those of torchvision.
"""

from swiftnet.models import ccn, cifar_resnet, feature_extraction, group_clsgat, pspnet, resnet
from swiftnet.models.ccn import CCN, CCNModels, CCNSingle, DecisionFusion
from swiftnet.models.group_clsgat import GroupClsGat
from swiftnet.models.pspnet import PSPNet
from swiftnet.models.resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
