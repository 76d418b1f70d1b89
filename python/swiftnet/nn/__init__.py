"""Layers and functions of neural networks."""

from swiftnet._lazy import TYPE_CHECKING
from swiftnet._lazy import lazily as _lazily
from swiftnet.nn import functional, parameter
from swiftnet.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

if TYPE_CHECKING:
    from swiftnet.nn import init, modules, utils
    from swiftnet.nn.modules import *  # noqa: F403
__getattr__, __dir__ = _lazily(__name__, ["init", "modules", "utils"], ["swiftnet.nn.modules"])
