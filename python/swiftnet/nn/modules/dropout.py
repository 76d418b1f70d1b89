"""Dropout."""

from swiftnet.nn.modules.module import BuiltIn

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(BuiltIn):
    """Something that only acts in training, with a probability."""

    def __init__(self, p=0.5, inplace=False):
        self._build(locals())

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


_ARGUMENTS = """

    Args:
        p: probability. Default: 0.5.
        inplace: write the result into the input. Default: False.
    """


class Dropout(_DropoutNd):
    __doc__ = (
        "In training, zeroes each element with probability p and scales the others by 1 / (1 - p) (Hinton et al., "
        "2012, https://arxiv.org/abs/1207.0580)." + _ARGUMENTS
    )
    _type = "Dropout"


class Dropout1d(_DropoutNd):
    __doc__ = "In training, zeroes whole channels of (N, C, L) or (C, L) with probability p." + _ARGUMENTS
    _type = "Dropout1d"


class Dropout2d(_DropoutNd):
    __doc__ = "In training, zeroes whole channels of (N, C, H, W) with probability p." + _ARGUMENTS
    _type = "Dropout2d"


class Dropout3d(_DropoutNd):
    __doc__ = "In training, zeroes whole channels of (N, C, D, H, W) with probability p." + _ARGUMENTS
    _type = "Dropout3d"


class AlphaDropout(_DropoutNd):
    __doc__ = (
        "Dropout that keeps mean and variance of SELU's outputs (Klambauer et al., 2017, "
        "https://arxiv.org/abs/1706.02515)." + _ARGUMENTS
    )
    _type = "AlphaDropout"


class FeatureAlphaDropout(_DropoutNd):
    __doc__ = "AlphaDropout of whole channels." + _ARGUMENTS
    _type = "FeatureAlphaDropout"
