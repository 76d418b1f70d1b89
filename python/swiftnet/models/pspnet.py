"""Scene parsing by pyramid pooling, with deep supervision."""

from swiftnet.models import resnet  # noqa: F401 - the classes of its parts
from swiftnet.models._model import Model, load_backbone
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["PPM", "PSPNet"]


class PPM(BuiltIn):
    """The input beside means of it over regions of several sizes, joined along the channels.

    Args:
        in_dim: channels of the input.
        reduction_dim: channels for each bin.
        bins: for b, means over b × b regions.

    Shape: (N, in_dim, H, W) to (N, in_dim + len(bins) · reduction_dim, H, W).
    """

    _type = "PPM"

    def __init__(self, in_dim, reduction_dim, bins):
        self._build(locals())


class PSPNet(Model):
    """Pyramid scene parsing network (Zhao et al., 2016, https://arxiv.org/abs/1612.01105).

    In training, `model(x, y)` gives the predicted classes, the main loss and the auxiliary loss of a head on the third
    stage; in evaluation, `model(x)` gives logits, and the auxiliary head does not run.

    >>> model = PSPNet(layers=(1, 1, 1, 1), classes=4, width=8)
    >>> classes, main_loss, aux_loss = model(swiftnet.rand(2, 3, 33, 33), swiftnet.randint(0, 4, (2, 33, 33)))
    >>> loss = main_loss + 0.4 * aux_loss

    Args:
        layers: of the backbone: 50, 101 or 152, or the numbers of blocks of its four stages.
        bins: numbers of regions per side for the pyramid. Default: (1, 2, 3, 6).
        dropout: of whole channels before the last convolution. Default: 0.1.
        classes: Default: 2.
        zoom_factor: the logits' size as a multiple of the feature maps', 1, 2, 4 or 8. Default: 8, the image's.
        use_ppm: whether to pool pyramids.
        criterion: the loss. Default: CrossEntropyLoss(ignore_index=255).
        pretrained: not supported; see `load_backbone`.
        width: planes of the backbone's first stage. Default: 64.

    Shape: (N, 3, H, W), H and W multiples of 8, plus 1; labels (N, h, w), h = (H - 1) / 8 · zoom_factor + 1.
    """

    _type = "PSPNet"
    _not_settings = BuiltIn._not_settings | {"criterion", "pretrained"}

    def __init__(
        self, layers=50, bins=(1, 2, 3, 6), dropout=0.1, classes=2, zoom_factor=8, use_ppm=True, criterion=None,
        pretrained=False, width=64,
    ):  # fmt: skip
        if pretrained:
            raise ValueError("swiftnet downloads no weights: give a file with the backbone's to model.load_backbone()")
        arguments = locals()
        del arguments["criterion"], arguments["pretrained"]
        self._build(arguments)
        if criterion is not None:
            self.criterion = criterion

    def forward(self, x, y=None):
        return super().forward(*([x] if y is None else [x, y]))

    def load_backbone(self, weights):
        """Loads the weights of a residual network with a deep stem: a state_dict or the path of a file with one."""
        places = {f"layer{index}": f"layer{index}" for index in range(1, 5)}
        for index in range(3):
            places[f"conv{index + 1}"] = f"layer0.{3 * index}"
            places[f"bn{index + 1}"] = f"layer0.{3 * index + 1}"
        return load_backbone(self, weights, places)
