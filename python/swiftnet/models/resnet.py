"""Residual networks with torchvision's names, `state_dict` keys and first values."""

from swiftnet.models._model import load_weights
from swiftnet.nn import init
from swiftnet.nn.modules.batchnorm import BatchNorm2d
from swiftnet.nn.modules.module import BuiltIn

__all__ = [
    "BasicBlock", "Bottleneck", "ChannelAttention", "PaddedShortcut", "ResNet", "SpatialAttention", "resnet18",
    "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d",
    "wide_resnet50_2", "wide_resnet101_2",
]  # fmt: skip


class _Block(BuiltIn):
    _not_settings = BuiltIn._not_settings | {"downsample", "norm_layer"}

    def __init__(
        self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1, norm_layer=None,
        cbam=False,
    ):  # fmt: skip
        arguments = locals()
        del arguments["downsample"], arguments["norm_layer"]
        self._build(arguments)
        replace_normalizations(self, norm_layer)
        if downsample is not None:
            self.downsample = downsample

    def __getattr__(self, name):
        if name == "downsample" and name not in self._modules:
            return None
        return super().__getattr__(name)


_BLOCK = """

    Args:
        inplanes: channels of the input.
        planes: channels of the 3×3 convolution, before `groups` and `base_width`.
        stride: Default: 1.
        downsample: the shortcut; None: the input itself.
        groups, base_width: the 3×3 convolution has planes · base_width / 64 · groups channels in so many groups.
        dilation: of the 3×3 convolution.
        norm_layer: makes a normalisation from the number of channels. Default: BatchNorm2d.
        cbam: channel and spatial attention (Woo et al., 2018).
    """


class BasicBlock(_Block):
    __doc__ = "relu(f(x) + shortcut(x)), f two 3×3 convolutions. He et al., 2015." + _BLOCK
    _type = "BasicBlock"
    expansion = 1


class Bottleneck(_Block):
    __doc__ = "relu(f(x) + shortcut(x)), f a 3×3 convolution between two 1×1. He et al., 2015." + _BLOCK
    _type = "Bottleneck"
    expansion = 4


class PaddedShortcut(BuiltIn):
    """Shortcut without parameters: every stride-th position, zeros for new channels (He et al., 2015, option A).

    Args:
        in_channels, out_channels, stride.
    """

    _type = "PaddedShortcut"

    def __init__(self, in_channels, out_channels, stride=1):
        self._build(locals())

    def extra_repr(self):
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"


class ChannelAttention(BuiltIn):
    """A weight in (0, 1) for each channel: (N, C, H, W) to (N, C, 1, 1). Woo et al., 2018.

    Args:
        in_planes: C.
        ratio: C / ratio channels between the two 1×1 convolutions. Default: 16.
    """

    _type = "ChannelAttention"

    def __init__(self, in_planes, ratio=16):
        self._build(locals())


class SpatialAttention(BuiltIn):
    """A weight in (0, 1) for each position: (N, C, H, W) to (N, 1, H, W). Woo et al., 2018.

    Args:
        kernel_size: 3 or 7. Default: 7.
    """

    _type = "SpatialAttention"

    def __init__(self, kernel_size=7):
        self._build(locals())


class ResNet(BuiltIn):
    """Residual network (He et al., 2015, https://arxiv.org/abs/1512.03385), as `torchvision.models.ResNet`.

    Args:
        block: BasicBlock or Bottleneck.
        layers: numbers of blocks of the four stages.
        num_classes: outputs of the classifier `fc`.
        zero_init_residual: begin with blocks that are the identity.
        groups, width_per_group: of the 3×3 convolutions of bottlenecks.
        replace_stride_with_dilation: for stages 2 to 4, whether dilation takes the place of the stride.
        norm_layer: makes a normalisation from the number of channels. Default: BatchNorm2d.
        deep_base: a stem of three 3×3 convolutions instead of one of 7×7.
        shortcut: where the shape changes, "projection" (1×1 convolution) or "pad" (zeros for new channels).
        cbam: channel and spatial attention in each block.
        width: planes of the first stage. Default: 64.
        in_channels: channels of the images. Default: 3.

    Shape: (N, 3, H, W) to (N, num_classes).
    """

    _type = "ResNet"
    _not_settings = BuiltIn._not_settings | {"norm_layer"}

    def __init__(
        self, block, layers, num_classes=1000, zero_init_residual=False, groups=1, width_per_group=64,
        replace_stride_with_dilation=None, norm_layer=None, *, deep_base=False, shortcut="projection", cbam=False,
        width=64, in_channels=3, device=None, dtype=None,
    ):  # fmt: skip
        arguments = locals()
        if isinstance(block, type):
            if block not in (BasicBlock, Bottleneck):
                raise TypeError(f"block must be BasicBlock or Bottleneck, not {block.__name__}")
            arguments["block"] = block._type
        self._make(arguments)

    def _make(self, arguments):
        arguments = dict(arguments)
        norm_layer = arguments.pop("norm_layer", None)
        self._build(arguments)
        if replace_normalizations(self, norm_layer) and arguments.get("zero_init_residual"):
            for block in self.modules():
                if isinstance(block, _Block):
                    init.zeros_((block.bn3 if isinstance(block, Bottleneck) else block.bn2).weight)

    @property
    def base_width(self):
        return self.width_per_group

    @property
    def inplanes(self):
        return self.width * 8 * (4 if self.block == "Bottleneck" else 1)


def replace_normalizations(model, norm_layer):
    """Replaces every batch normalisation by `norm_layer(channels)`; returns whether that was asked for."""
    if norm_layer is None or norm_layer is BatchNorm2d:
        return False
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if type(child) is BatchNorm2d:
                parent._modules[name] = norm_layer(child.num_features)
    return True


def _variant(name, what):
    def make(*, weights=None, progress=True, pretrained=False, **kwargs):
        model = ResNet.__new__(ResNet)
        model._make({"variant": name, **kwargs})
        return load_weights(model, weights if weights is not None else pretrained)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""{what}

    Args:
        weights: a state_dict or the path of a file that holds one, as torchvision offers them; nothing is downloaded.
        progress: has no effect.
        **kwargs: arguments of `ResNet` after `layers`: num_classes, norm_layer, …
    """
    return make


resnet18 = _variant("resnet18", "ResNet-18 (He et al., 2015, https://arxiv.org/abs/1512.03385).")
resnet34 = _variant("resnet34", "ResNet-34 (He et al., 2015, https://arxiv.org/abs/1512.03385).")
resnet50 = _variant("resnet50", "ResNet-50 (He et al., 2015, https://arxiv.org/abs/1512.03385).")
resnet101 = _variant("resnet101", "ResNet-101 (He et al., 2015, https://arxiv.org/abs/1512.03385).")
resnet152 = _variant("resnet152", "ResNet-152 (He et al., 2015, https://arxiv.org/abs/1512.03385).")
resnext50_32x4d = _variant(
    "resnext50_32x4d", "ResNeXt-50, 32 groups of 4 channels (Xie et al., 2016, https://arxiv.org/abs/1611.05431)."
)
resnext101_32x8d = _variant(
    "resnext101_32x8d", "ResNeXt-101, 32 groups of 8 channels (Xie et al., 2016, https://arxiv.org/abs/1611.05431)."
)
resnext101_64x4d = _variant(
    "resnext101_64x4d", "ResNeXt-101, 64 groups of 4 channels (Xie et al., 2016, https://arxiv.org/abs/1611.05431)."
)
wide_resnet50_2 = _variant(
    "wide_resnet50_2", "ResNet-50, twice as wide (Zagoruyko and Komodakis, 2016, https://arxiv.org/abs/1605.07146)."
)
wide_resnet101_2 = _variant(
    "wide_resnet101_2", "ResNet-101, twice as wide (Zagoruyko and Komodakis, 2016, https://arxiv.org/abs/1605.07146)."
)
