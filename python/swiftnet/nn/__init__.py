"""Layers and functions of neural networks."""

from swiftnet.nn import functional, init, modules, parameter, utils
from swiftnet.nn.modules import *  # noqa: F403
from swiftnet.nn.modules import Module
from swiftnet.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
