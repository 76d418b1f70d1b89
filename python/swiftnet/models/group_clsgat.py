"""Classification with many labels per image, by groups of classes and graph attention between classes.

Its parts serve alone as well.
"""

from swiftnet.models import resnet  # noqa: F401 - the classes of its parts
from swiftnet.models._model import Model, load_backbone
from swiftnet.nn.modules.module import BuiltIn

__all__ = [
    "BGATLayer", "BasicConv", "GroupClsGat", "Head", "NHeadsBGATLayer", "Parallel_Bottleneck", "Parallel_GroupLinear",
    "group_divided_linear", "nclass_BasicLinear", "parallel_final_fcs_ResidualLinearBlock", "parallel_output_linear",
]  # fmt: skip


class BGATLayer(BuiltIn):
    """Attention of each node to all nodes (Veličković et al., 2017, https://arxiv.org/abs/1710.10903).

    h = x · W; e[i, j] = leakyrelu(h[i] · a₁ + h[j] · a₂); y[i] = elu(Σⱼ softmax(e)[i, j] · h[j]), with `residual`
    elu(… + beta · h[i]). Memory grows with the square of the number of nodes, not with that times the channels.

    Args:
        in_features, out_features: channels of a node.
        dropout: of attention. Default: 0.
        alpha: slope of the leaky ReLU. Default: 0.2.
        residual: whether to add beta · h. Default: False.

    Shape: (batch, nodes, in_features) to (batch, nodes, out_features).

    Attributes:
        W: (in_features, out_features); a: (2 · out_features, 1), both by Xavier's uniform rule with gain 1.414.
        beta: (1), 1 at first.
    """

    _type = "BGATLayer"

    def __init__(self, in_features, out_features, dropout=0.0, alpha=0.2, residual=False):
        self._build(locals())


class NHeadsBGATLayer(BuiltIn):
    """Several graph attentions side by side.

    Args:
        nheads: how many.
        aggregate: "mean" of the heads, or "concat" of their features.
        in_features, out_features, dropout, alpha, residual: of each head.

    Shape: (batch, nodes, in_features) to (batch, nodes, out_features), for "concat" nheads · out_features.
    """

    _type = "NHeadsBGATLayer"

    def __init__(self, nheads, aggregate, in_features, out_features, dropout=0.0, alpha=0.2, residual=False):
        self._build(locals())


class BasicConv(BuiltIn):
    """Convolution, batch normalisation (momentum 0.01), ReLU.

    Args:
        in_planes, out_planes, kernel_size, stride, padding, dilation, groups, bias: of the convolution.
        relu, bn: whether they are there.
    """

    _type = "BasicConv"
    _not_settings = BuiltIn._not_settings | {"relu", "bn"}

    def __init__(
        self, in_planes, out_planes, kernel_size, stride=1, padding=0, dilation=1, groups=1, relu=True, bn=True,
        bias=False,
    ):  # fmt: skip
        self._build(locals())


class Parallel_Bottleneck(BuiltIn):
    """A residual bottleneck for each of several groups, computed as one.

    Args:
        groups: how many.
        group_channels: channels of the input, and of each group.
        stride: of the 3×3 convolution; other than 1 it needs `downsample`.
        downsample: the shortcut; None: the input, once for each group.
        reduction: group_channels / reduction channels inside. Default: 1.

    Shape: (N, group_channels, H, W) to (N, groups · group_channels, H, W).
    """

    _type = "Parallel_Bottleneck"
    _not_settings = BuiltIn._not_settings | {"downsample"}
    expansion = 4

    def __init__(self, groups, group_channels, stride=1, downsample=None, reduction=1):
        arguments = locals()
        del arguments["downsample"]
        self._build(arguments)
        if downsample is not None:
            self.downsample = downsample

    def __getattr__(self, name):
        if name == "downsample" and name not in self._modules:
            return None
        return super().__getattr__(name)


class Parallel_GroupLinear(BuiltIn):
    """From the features of groups to those of their classes, by an affine map per class.

    Args:
        n_groups, n_classes.
        group_channels, class_channels: features of a group and of a class.
        nclasses_per_group: how many classes each group has, in order.
        bias: Default: True.

    Shape: (batch, n_groups, group_channels) to (batch, n_classes, class_channels).

    Attributes:
        weight: (group_channels, n_classes, class_channels), bias: (n_classes, class_channels), drawn from U(-k, k) with
            k = 1 / √n_classes.
    """

    _type = "Parallel_GroupLinear"

    def __init__(self, n_groups, n_classes, group_channels, class_channels, nclasses_per_group, bias=True):
        self._build(locals())

    def extra_repr(self):
        return (
            f"ngroups={self.n_groups}, in_features={self.group_channels}, out_features={self.class_channels}, "
            f"bias={self.bias is not None}"
        )


class group_divided_linear(BuiltIn):
    """An affine map per class: y[b, g] = x[b, g] · weight[g] + bias[g].

    Args:
        ngroups, in_features, out_features.
        bias: Default: True.

    Shape: (batch, ngroups, in_features) to (batch, ngroups, out_features).

    Attributes:
        weight: (ngroups, in_features, out_features), bias: (ngroups, out_features), drawn from U(-k, k) with
            k = 1 / √in_features.
    """

    _type = "group_divided_linear"

    def __init__(self, ngroups, in_features, out_features, bias=True):
        self._build(locals())

    def extra_repr(self):
        return (
            f"ngroups={self.ngroups}, in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class nclass_BasicLinear(BuiltIn):
    """An affine map per class, batch normalisation of each class, ReLU.

    Args:
        in_features, out_features: of a class.
        fc_groups: classes.
    """

    _type = "nclass_BasicLinear"

    def __init__(self, in_features, out_features, fc_groups):
        self._build(locals())


class parallel_final_fcs_ResidualLinearBlock(BuiltIn):
    """x + f₂(f₁(x)), f₁ and f₂ `nclass_BasicLinear`.

    Args:
        n_classes.
        reduction: class_channels / reduction features between f₁ and f₂.
        class_channels: features of a class.
    """

    _type = "parallel_final_fcs_ResidualLinearBlock"

    def __init__(self, n_classes, reduction, class_channels):
        self._build(locals())


class parallel_output_linear(BuiltIn):
    """From the features of each class to one number: (batch, n_classes, class_channels) to (batch, n_classes, 1)."""

    _type = "parallel_output_linear"

    def __init__(self, n_classes, class_channels):
        self._build(locals())


class Head(Model):
    """From feature maps to two logits per class: after graph attention between the classes, and before it.

    Args:
        groups: of classes.
        nclasses, nclasses_per_group: classes in all, and of each group.
        group_channels, class_channels: features of a group and of a class.
        in_planes: channels of the feature maps. Default: 2048.
        residual: of the graph attention.

    Shape: (N, in_planes, H, W) to twice (N, nclasses).
    """

    _type = "GroupClsGatHead"

    def __init__(
        self, groups, nclasses, nclasses_per_group, group_channels, class_channels, in_planes=2048, residual=False
    ):
        self._build(locals())


class GroupClsGat(Model):
    """Residual backbone and `Head`. `model(images)` gives (output, supplement output), both (N, nclasses).

    >>> model = GroupClsGat("resnet18", 2, 5, [2, 3], group_channels=16, class_channels=8)
    >>> output, supplement = model(swiftnet.rand(2, 3, 64, 64))
    >>> target = swiftnet.zeros(2, 5)
    >>> loss = sum(
    ...     weight * F.binary_cross_entropy_with_logits(x, target) for x, weight in ((output, 1), (supplement, 0.1))
    ... )

    Args:
        backbone: "resnet101", "resnet50", "resnet101_cbam", or any other residual network's name.
        groups, nclasses, nclasses_per_group, group_channels, class_channels, residual: of the head.
        width: planes of the backbone's first stage. Default: 64.
        layers: numbers of blocks of the backbone's stages. Default: those of its name.
    """

    _type = "GroupClsGat"

    def __init__(
        self, backbone, groups, nclasses, nclasses_per_group, group_channels, class_channels, residual=False, width=64,
        layers=None,
    ):  # fmt: skip
        self._build(locals())

    def load_backbone(self, weights):
        """Loads torchvision's weights of the backbone: a state_dict or the path of a file that holds one."""
        places = {"conv1": "features.0", "bn1": "features.1"}
        places.update({f"layer{index}": f"features.{index + 3}" for index in range(1, 5)})
        return load_backbone(self, weights, places)

    def get_config_optim(self, lr, lrp):
        """Groups of parameters for an optimizer: the backbone with learning rate `lrp`, the head with `lr`."""
        return [
            {"params": self.features.parameters(), "lr": lrp},
            {"params": self.heads.parameters(), "lr": lr},
        ]
