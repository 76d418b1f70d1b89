"""Transforms that move pixels, those of a mask likewise."""

import math

import numpy as np

from swiftnet.transforms._pillow import as_kind_of, to_pillow
from swiftnet.transforms._transform import (
    IGNORED,
    Transform,
    as_array,
    integer,
    is_pillow,
    pair,
    size_of,
    uniform,
)

_FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}


def _crop(image, top, left, height, width):
    if is_pillow(image):
        return image.crop((left, top, left + width, top + height))
    return image[top : top + height, left : left + width]


def _pad(image, left, top, right, bottom, fill):
    """More pixels around; `fill` is a value or one per channel."""
    if not (left or top or right or bottom):
        return image
    array = as_array(image)
    shape = (array.shape[0] + top + bottom, array.shape[1] + left + right, *array.shape[2:])
    result = np.empty(shape, array.dtype)
    result[...] = np.asarray(fill, dtype=array.dtype)
    result[top : top + array.shape[0], left : left + array.shape[1]] = array
    return as_kind_of(image, result)


def _resize(image, height, width, interpolation):
    if size_of(image) == (height, width):
        return image
    resized = to_pillow(image).resize((width, height), _FILTERS[interpolation])
    return as_kind_of(image, resized)


def _check_filter(interpolation):
    if interpolation not in _FILTERS:
        raise ValueError(f"interpolation must be one of {', '.join(_FILTERS)}, but got {interpolation!r}")


class CenterCrop(Transform):
    """The middle of an image, with `fill` around where the image is smaller."""

    def __init__(self, size, fill=0, mask_fill=IGNORED):
        self.size, self.fill, self.mask_fill = pair(size, "size"), fill, mask_fill

    def _cut(self, image, fill):
        height, width = self.size
        h, w = size_of(image)
        if h < height or w < width:
            top, left = max(height - h, 0) // 2, max(width - w, 0) // 2
            image = _pad(image, left, top, max(width - w, 0) - left, max(height - h, 0) - top, fill)
            h, w = size_of(image)
        return _crop(image, int(round((h - height) / 2.0)), int(round((w - width) / 2.0)), height, width)

    def image(self, image, drawn):
        return self._cut(image, self.fill)

    def mask(self, mask, drawn):
        return self._cut(mask, self.mask_fill)


class Pad(Transform):
    """More pixels around: a number for all sides, two (left and right, top and bottom) or four (left, top, right,
    bottom)."""

    def __init__(self, padding, fill=0, mask_fill=IGNORED):
        sides = (padding,) if isinstance(padding, int) else tuple(padding)
        if len(sides) not in (1, 2, 4):
            raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(sides)} element tuple")
        self.padding, self.fill, self.mask_fill = sides * (4 // len(sides)), fill, mask_fill

    def image(self, image, drawn):
        return _pad(image, *self.padding, self.fill)

    def mask(self, mask, drawn):
        return _pad(mask, *self.padding, self.mask_fill)


class RandomCrop(Transform):
    """A part at a random place.

    Args:
        size: (H, W), or a number for both.
        padding: first, more pixels around, as for `Pad`.
        pad_if_needed: more pixels around a smaller image.
        fill, mask_fill: the value of new pixels. Default: 0 and 255.
    """

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, mask_fill=IGNORED):
        self.size, self.padding, self.pad_if_needed = pair(size, "size"), padding, pad_if_needed
        self.fill, self.mask_fill = fill, mask_fill
        self._pad = None if padding is None else Pad(padding, fill, mask_fill)

    def _margins(self, h, w):
        """What is to be added on the left and right, at the top and bottom."""
        if not self.pad_if_needed:
            return 0, 0
        return max(self.size[1] - w, 0), max(self.size[0] - h, 0)

    def draw(self, image):
        h, w = size_of(image)
        if self._pad is not None:
            left, top, right, bottom = self._pad.padding
            h, w = h + top + bottom, w + left + right
        across, down = self._margins(h, w)
        h, w = h + 2 * down, w + 2 * across
        height, width = self.size
        if h < height or w < width:
            raise ValueError(f"Required crop size {self.size} is larger than input image size {(h, w)}")
        if (h, w) == (height, width):
            return across, down, 0, 0
        return across, down, integer(0, h - height + 1), integer(0, w - width + 1)

    def _cut(self, image, drawn, fill):
        across, down, top, left = drawn
        if self._pad is not None:
            image = _pad(image, *self._pad.padding, fill)
        return _crop(_pad(image, across, down, across, down, fill), top, left, *self.size)

    def image(self, image, drawn):
        return self._cut(image, drawn, self.fill)

    def mask(self, mask, drawn):
        return self._cut(mask, drawn, self.mask_fill)


class _RandomFlip(Transform):
    _axis = 1

    def __init__(self, p=0.5):
        self.p = p

    def draw(self, image):
        return uniform() < self.p

    def image(self, image, drawn):
        return as_kind_of(image, np.flip(as_array(image), self._axis)) if drawn else image

    mask = image


class RandomHorizontalFlip(_RandomFlip):
    """Left and right exchanged, with probability p."""


class RandomVerticalFlip(_RandomFlip):
    """Top and bottom exchanged, with probability p."""

    _axis = 0


class Resize(Transform):
    """Another size: (H, W), or a number for the shorter side. Masks take the nearest label.

    Args:
        interpolation: "bilinear" (default), "nearest", "bicubic" or "lanczos".
    """

    def __init__(self, size, interpolation="bilinear"):
        _check_filter(interpolation)
        self.size = size if isinstance(size, int) else pair(size, "size")
        self.interpolation = interpolation

    def draw(self, image):
        if not isinstance(self.size, int):
            return self.size
        h, w = size_of(image)
        if h <= w:
            return self.size, int(self.size * w / h)
        return int(self.size * h / w), self.size

    def image(self, image, drawn):
        return _resize(image, *drawn, self.interpolation)

    def mask(self, mask, drawn):
        return _resize(mask, *drawn, "nearest")


class RandomScale(Transform):
    """Another size by a random factor, with another aspect ratio if wanted.

    Args:
        scale: (least, greatest) factor.
        aspect_ratio: (least, greatest) factor between width and height.
    """

    def __init__(self, scale, aspect_ratio=None, interpolation="bilinear"):
        _check_filter(interpolation)
        self.scale, self.aspect_ratio, self.interpolation = pair(scale, "scale"), aspect_ratio, interpolation
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be two positive numbers in order, but got {scale}")

    def draw(self, image):
        factor = uniform(*self.scale)
        ratio = 1.0 if self.aspect_ratio is None else math.sqrt(uniform(*self.aspect_ratio))
        h, w = size_of(image)
        return max(int(h * factor / ratio), 1), max(int(w * factor * ratio), 1)

    def image(self, image, drawn):
        return _resize(image, *drawn, self.interpolation)

    def mask(self, mask, drawn):
        return _resize(mask, *drawn, "nearest")


class RandomResizedCrop(Transform):
    """A part of random size and aspect ratio, resized.

    Args:
        size: (H, W) of the result.
        scale: share of the image's area. Default: 0.08 to 1.
        ratio: of width to height. Default: 3/4 to 4/3.
    """

    def __init__(self, size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), interpolation="bilinear"):
        _check_filter(interpolation)
        self.size, self.scale, self.ratio, self.interpolation = pair(size, "size"), scale, ratio, interpolation

    def draw(self, image):
        h, w = size_of(image)
        for _ in range(10):
            area = h * w * uniform(*self.scale)
            ratio = math.exp(uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= w and 0 < height <= h:
                return integer(0, h - height + 1), integer(0, w - width + 1), height, width
        width = min(w, round(h * self.ratio[1]))
        height = min(h, round(width / min(max(w / h, self.ratio[0]), self.ratio[1])))
        return (h - height) // 2, (w - width) // 2, height, width

    def image(self, image, drawn):
        return _resize(_crop(image, *drawn), *self.size, self.interpolation)

    def mask(self, mask, drawn):
        return _resize(_crop(mask, *drawn), *self.size, "nearest")


class RandomRotation(Transform):
    """Turned about the middle by an angle in degrees.

    Args:
        degrees: (least, greatest), or a number for (-degrees, degrees).
        p: probability. Default: 1.
        fill, mask_fill: the value of new pixels. Default: 0 and 255.
    """

    def __init__(self, degrees, interpolation="bilinear", p=1.0, fill=0, mask_fill=IGNORED):
        _check_filter(interpolation)
        if isinstance(degrees, (int, float)):
            if degrees < 0:
                raise ValueError("If degrees is a single number, it must be positive.")
            degrees = (-degrees, degrees)
        self.degrees, self.interpolation, self.p = tuple(degrees), interpolation, p
        self.fill, self.mask_fill = fill, mask_fill

    def draw(self, image):
        return uniform(*self.degrees) if self.p >= 1 or uniform() < self.p else 0.0

    def image(self, image, drawn):
        return self._turn(image, drawn, self.interpolation, self.fill)

    def mask(self, mask, drawn):
        return self._turn(mask, drawn, "nearest", self.mask_fill)

    def _turn(self, image, angle, interpolation, fill):
        if angle == 0:
            return image
        picture = to_pillow(image)
        bands = len(picture.getbands())
        fill = tuple(fill) if hasattr(fill, "__len__") else (fill,) * bands if bands > 1 else fill
        return as_kind_of(image, picture.rotate(angle, _FILTERS[interpolation], fillcolor=fill))
