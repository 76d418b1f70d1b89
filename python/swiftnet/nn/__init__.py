"""Layers and functions of neural networks."""

from swiftnet.nn import functional
