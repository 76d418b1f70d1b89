"""Residual networks with torchvision's names, `state_dict` keys and first values."""

from swiftnet._device import check_device
from swiftnet.models._model import load_weights
from swiftnet.nn import init
from swiftnet.nn.modules import _binding
from swiftnet.nn.modules.activation import ReLU
from swiftnet.nn.modules.batchnorm import BatchNorm2d
from swiftnet.nn.modules.container import Sequential
from swiftnet.nn.modules.conv import Conv2d
from swiftnet.nn.modules.linear import Linear
from swiftnet.nn.modules.module import BuiltIn, Module
from swiftnet.nn.modules.normalization import GroupNorm
from swiftnet.nn.modules.pooling import AdaptiveAvgPool2d, MaxPool2d

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
        self._build({**arguments, "expansion": self.expansion})
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
        block: BasicBlock, Bottleneck, or a class of modules of your own, derived from these or not, which has an
            attribute `expansion` (output channels for each plane) and is constructed as these are: (inplanes, planes,
            stride, downsample, groups, base_width, dilation, norm_layer).
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

    # How far stages have been dilated, and what makes normalisations: `_make_layer` goes on from there.
    dilation = 1
    _norm_layer = BatchNorm2d

    def __init_subclass__(cls, **kwargs):
        # torchvision's networks compute in `_forward_impl`, which programs override.
        if "_forward_impl" in cls.__dict__ and "forward" not in cls.__dict__:
            cls.forward = _forward_by_impl
        super().__init_subclass__(**kwargs)

    def __init__(
        self, block, layers, num_classes=1000, zero_init_residual=False, groups=1, width_per_group=64,
        replace_stride_with_dilation=None, norm_layer=None, *, deep_base=False, shortcut="projection", cbam=False,
        width=64, in_channels=3, device=None, dtype=None,
    ):  # fmt: skip
        arguments = locals()
        is_own = isinstance(block, type) and block not in (BasicBlock, Bottleneck)
        if is_own or type(self)._make_layer is not ResNet._make_layer:
            if not (isinstance(block, type) and issubclass(block, Module) and hasattr(block, "expansion")):
                name = getattr(block, "__name__", repr(block))
                raise TypeError(f"block must be a class of modules with an attribute 'expansion', not {name}")
            self._assemble(arguments)
            return
        if isinstance(block, type):
            arguments["block"] = block._type
        self._make(arguments)

    def _make(self, arguments):
        arguments = dict(arguments)
        norm_layer = arguments.pop("norm_layer", None)
        self._build(arguments)
        self._norm_layer = norm_layer or BatchNorm2d
        self.dilation = 2 ** sum(map(bool, self.replace_stride_with_dilation or ()))
        if replace_normalizations(self, norm_layer) and arguments.get("zero_init_residual"):
            self._zero_init_residual()

    def _assemble(self, arguments):
        """Makes the children one by one, in the order in which the Swift library makes them, for blocks that it does
        not know; its forward calls them."""
        settings = {k: v for k, v in arguments.items() if k not in ("self", "__class__", "device", "dtype")}
        block, layers, norm = settings["block"], settings["layers"], settings.pop("norm_layer") or BatchNorm2d
        dilated = settings["replace_stride_with_dilation"] or (False,) * 3
        if len(layers) != 4:
            raise ValueError(f"layers must be the numbers of blocks of four stages, but got {layers}")
        if len(dilated) != 3:
            raise ValueError(f"replace_stride_with_dilation should be None or a 3-element tuple, got {dilated}")
        check_device(arguments["device"])
        self._attach(_binding.create(self._type, {**settings, "block": block.__name__}, build=False))
        self._norm_layer, width = norm, self.width
        if self.deep_base:
            planes = (width, width, 2 * width)
            for index, (inputs, outputs) in enumerate(zip((self.in_channels, *planes), planes, strict=False), 1):
                conv = Conv2d(inputs, outputs, 3, stride=2 if index == 1 else 1, padding=1, bias=False)
                setattr(self, f"conv{index}", conv)
                setattr(self, f"bn{index}", norm(outputs))
        else:
            planes = (width,)
            self.conv1 = Conv2d(self.in_channels, width, kernel_size=7, stride=2, padding=3, bias=False)
            self.bn1 = norm(width)
        self.inplanes = planes[-1]
        self.relu = ReLU(inplace=True)
        self.maxpool = MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, width, layers[0])
        self.layer2 = self._make_layer(block, 2 * width, layers[1], stride=2, dilate=dilated[0])
        self.layer3 = self._make_layer(block, 4 * width, layers[2], stride=2, dilate=dilated[1])
        self.layer4 = self._make_layer(block, 8 * width, layers[3], stride=2, dilate=dilated[2])
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(8 * width * block.expansion, self.num_classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, (BatchNorm2d, GroupNorm)) and module.weight is not None:
                init.ones_(module.weight)
                init.zeros_(module.bias)
        if self.zero_init_residual:
            self._zero_init_residual()
        if arguments["dtype"] is not None:
            self.to(arguments["dtype"])

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        """A stage: so many blocks, the first of which changes the shape. Programs with other stages override it."""
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        outputs = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != outputs:
            downsample = self._make_shortcut(self.inplanes, outputs, stride)
        settings = {"cbam": True} if self.cbam else {}
        widths = (self.groups, self.base_width)
        made = [block(self.inplanes, planes, stride, downsample, *widths, before, self._norm_layer, **settings)]
        self.inplanes = outputs
        for _ in range(1, blocks):
            made.append(
                block(
                    self.inplanes, planes, groups=self.groups, base_width=self.base_width, dilation=self.dilation,
                    norm_layer=self._norm_layer, **settings,
                )
            )  # fmt: skip
        return Sequential(*made)

    def _make_shortcut(self, inputs, outputs, stride):
        if self.shortcut == "pad":
            return PaddedShortcut(inputs, outputs, stride)
        if self.shortcut != "projection":
            raise ValueError(f"shortcut must be 'projection' or 'pad', but got '{self.shortcut}'")
        return Sequential(Conv2d(inputs, outputs, 1, stride=stride, bias=False), self._norm_layer(outputs))

    def _zero_init_residual(self):
        for block in self.modules():
            last = "bn3" if isinstance(block, Bottleneck) else "bn2" if isinstance(block, BasicBlock) else None
            norm = getattr(block, last, None) if last else None
            if norm is not None and norm.weight is not None:
                init.zeros_(norm.weight)

    def _forward_impl(self, x):
        return BuiltIn.forward(self, x)

    @property
    def base_width(self):
        return self.width_per_group

    @property
    def inplanes(self):
        """Channels that the next stage would get."""
        return self.__dict__.get("_inplanes", self.width * 8 * (4 if self.block == "Bottleneck" else 1))

    @inplanes.setter
    def inplanes(self, channels):
        self.__dict__["_inplanes"] = channels


def _forward_by_impl(self, x):
    return self._forward_impl(x)


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
