"""A residual network of 34 layers for small images, with biases in its convolutions and a ReLU before each sum."""

from swiftnet.models.resnet import PaddedShortcut  # noqa: F401 - the class of one of the shortcuts
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["ResNet", "Residualblock"]


class Residualblock(BuiltIn):
    """relu(longway(x) + shortway(x)); `longway` has two 3×3 convolutions and ends in a ReLU.

    Args:
        in_channels, out_channels, stride: of the first convolution.
        shortcut: the module `shortway`; None: the input itself.
    """

    _type = "Residualblock"
    _not_settings = BuiltIn._not_settings | {"shortcut"}

    def __init__(self, in_channels, out_channels, stride=1, shortcut=None):
        self._build({"in_channels": in_channels, "out_channels": out_channels, "stride": stride})
        if shortcut is not None:
            self.shortway = shortcut

    def __getattr__(self, name):
        if name == "shortway" and name not in self._modules:
            return None
        return super().__getattr__(name)


class ResNet(BuiltIn):
    """Residual network for small images.

    Args:
        out_size: classes.
        layers: numbers of blocks of the four stages, to each of which one is added. Default: (2, 3, 5, 2).
        shortcut: "convolution" (1×1 with bias, in the first block of every stage), "projection" (1×1 convolution and
            batch normalisation where the shape changes) or "pad" (zeros for new channels where the shape changes).
        width: channels of the first stage. Default: 64.
        in_channels: channels of the images. Default: 3.

    Shape: (N, 3, H, W) to (N, out_size).
    """

    _type = "PlainResNet"

    def __init__(self, out_size=10, layers=None, shortcut="convolution", width=64, in_channels=3):
        self._build(locals())
