"""Resizing, and pixels from channels."""

from swiftnet.nn.modules.module import BuiltIn

__all__ = [
    "ChannelShuffle", "PixelShuffle", "PixelUnshuffle", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d",
]  # fmt: skip


class PixelShuffle(BuiltIn):
    """(…, C · r², H, W) to (…, C, H · r, W · r) (Shi et al., 2016, https://arxiv.org/abs/1609.05158).

    Args:
        upscale_factor: r.
    """

    _type = "PixelShuffle"

    def __init__(self, upscale_factor):
        self._build(locals())

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(BuiltIn):
    """(…, C, H · r, W · r) to (…, C · r², H, W), the inverse of PixelShuffle.

    Args:
        downscale_factor: r.
    """

    _type = "PixelUnshuffle"

    def __init__(self, downscale_factor):
        self._build(locals())

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(BuiltIn):
    """Channels in the order in which groups of them are dealt out (Zhang et al., 2017,
    https://arxiv.org/abs/1707.01083).

    Args:
        groups: number of groups.
    """

    _type = "ChannelShuffle"

    def __init__(self, groups):
        self._build(locals())

    def extra_repr(self):
        return f"groups={self.groups}"


class Upsample(BuiltIn):
    """(N, C, …) resized to given sizes or by factors.

    Args:
        size: spatial sizes of the result, for all dimensions or for each.
        scale_factor: factors, instead of sizes.
        mode: "nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear" or "area". Default: "nearest".
        align_corners: first and last elements stay in place, instead of the edges of the image. Default: None, False.
        recompute_scale_factor: use the ratio of the sizes instead of the given factor. Default: None, False.
    """

    _type = "Upsample"
    name = "Upsample"

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        arguments = locals()
        if isinstance(scale_factor, (tuple, list)):
            arguments["scale_factor"] = tuple(float(factor) for factor in scale_factor)
        elif scale_factor:
            arguments["scale_factor"] = float(scale_factor)
        self._build(arguments)

    def extra_repr(self):
        what = "size" if self.scale_factor is None else "scale_factor"
        return f"{what}={getattr(self, what)!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """(N, C, H, W) resized by repeating elements.

    Args:
        size, scale_factor: as in Upsample.
    """

    _type = "UpsamplingNearest2d"

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """(N, C, H, W) resized bilinearly, the corners staying in place.

    Args:
        size, scale_factor: as in Upsample.
    """

    _type = "UpsamplingBilinear2d"

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
