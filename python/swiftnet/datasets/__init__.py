"""Data sets that lie in files: nothing is downloaded unasked."""

from swiftnet.datasets.cifar import CIFAR10
from swiftnet.datasets.coco import CocoClassification
from swiftnet.datasets.folder import ImageFolder
from swiftnet.datasets.voc import VOCClassification, VOCSegmentation

__all__ = ["CIFAR10", "CocoClassification", "ImageFolder", "VOCClassification", "VOCSegmentation"]
