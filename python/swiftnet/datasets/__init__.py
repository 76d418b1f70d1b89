"""Data sets that lie in files: nothing is downloaded unasked."""

from swiftnet.datasets.cifar import CIFAR10
from swiftnet.datasets.folder import ImageFolder

__all__ = ["CIFAR10", "ImageFolder"]
