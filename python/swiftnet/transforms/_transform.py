"""What all transforms have in common, and those that work on any image."""

import numpy as np

import swiftnet
from swiftnet._tensor import Tensor

# The label of pixels that a transform has added.
IGNORED = 255


def uniform(low=0.0, high=1.0):
    """A random number in [low, high)."""
    return low + (high - low) * swiftnet.rand(1).item()


def integer(low, high):
    """A random whole number in [low, high)."""
    return int(swiftnet.randint(low, high, (1,)).item())


def is_pillow(image):
    """Whether an image is Pillow's."""
    return hasattr(image, "getbands")


def as_array(image):
    """The pixels of an image as (H, W) or (H, W, C)."""
    if isinstance(image, Tensor):
        raise TypeError("expected an image as a NumPy array or a Pillow image, but got a Tensor: ToTensor comes last")
    array = np.asarray(image)
    if array.ndim not in (2, 3):
        raise ValueError(f"an image has the shape (H, W) or (H, W, C), but this has {array.shape}")
    return array


def size_of(image):
    """(H, W)."""
    return as_array(image).shape[:2]


def pair(value, name):
    """Two numbers out of one or two."""
    if isinstance(value, (int, float)):
        return value, value
    if len(value) == 1:
        return value[0], value[0]
    if len(value) != 2:
        raise ValueError(f"{name} must be one or two numbers, but got {value}")
    return tuple(value)


class Transform:
    """Base class: a subclass defines `draw`, which picks the random numbers for an image, and `image`; one that moves
    pixels defines `mask` too."""

    def draw(self, image):
        """What `image` and `mask` get besides the pixels."""
        return

    def image(self, image, drawn):
        """The changed image."""
        raise NotImplementedError

    def mask(self, mask, drawn):
        """The changed mask."""
        return mask

    def __call__(self, image, mask=None):
        drawn = self.draw(image)
        if mask is None:
            return self.image(image, drawn)
        if not isinstance(mask, Tensor) and not isinstance(image, Tensor) and size_of(mask) != size_of(image):
            raise ValueError(f"image and mask must have the same size, but have {size_of(image)} and {size_of(mask)}")
        return self.image(image, drawn), self.mask(mask, drawn)

    def __repr__(self):
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({settings})"


class Compose:
    """Transforms one after the other."""

    def __init__(self, transforms):
        self.transforms = list(transforms)

    def __call__(self, image, mask=None):
        for transform in self.transforms:
            if mask is None:
                image = transform(image)
            else:
                image, mask = transform(image, mask)
        return image if mask is None else (image, mask)

    def __repr__(self):
        return "Compose(\n" + "".join(f"    {t!r}\n" for t in self.transforms) + ")"


class Lambda(Transform):
    """Any function of an image."""

    def __init__(self, lambd):
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__}")
        self.lambd = lambd

    def image(self, image, drawn):
        return self.lambd(image)


class RandomApply:
    """All of some transforms with probability p, otherwise none."""

    def __init__(self, transforms, p=0.5):
        self.transforms, self.p = Compose(transforms), p

    def __call__(self, image, mask=None):
        if uniform() < self.p:
            return self.transforms(image, mask)
        return image if mask is None else (image, mask)


class RandomChoice:
    """One of some transforms."""

    def __init__(self, transforms):
        self.transforms = list(transforms)

    def __call__(self, image, mask=None):
        return self.transforms[integer(0, len(self.transforms))](*([image] if mask is None else [image, mask]))


class ToTensor(Transform):
    """A tensor (C, H, W) of an image: of bytes 0 … 255 float32 numbers 0 … 1, of other numbers their values. A mask
    becomes a tensor (H, W) of int64."""

    def image(self, image, drawn):
        array = as_array(image)
        if array.ndim == 2:
            array = array[:, :, None]
        tensor = swiftnet.tensor(np.ascontiguousarray(array.transpose(2, 0, 1)))
        if array.dtype == np.uint8:
            return tensor.to(swiftnet.float32) / 255
        return tensor.to(swiftnet.float32) if array.dtype == np.bool_ else tensor

    def mask(self, mask, drawn):
        return swiftnet.tensor(np.ascontiguousarray(as_array(mask)), dtype=swiftnet.int64)


class Normalize(Transform):
    """(x - mean) / std for each channel of a tensor (…, C, H, W)."""

    def __init__(self, mean, std, inplace=False):
        if any(s == 0 for s in std):
            raise ValueError("std evaluated to zero, leading to division by zero.")
        self.mean, self.std, self.inplace = tuple(mean), tuple(std), inplace

    def image(self, image, drawn):
        if not isinstance(image, Tensor):
            raise TypeError(f"img should be Tensor image, not {type(image).__name__}: Normalize comes after ToTensor")
        if not image.is_floating_point():
            raise TypeError(f"Input tensor should be a float tensor. Got {image.dtype}.")
        if image.dim() < 3:
            raise ValueError(f"Expected tensor to be a tensor image of size (..., C, H, W). Got {image.size()}")
        mean = swiftnet.tensor(self.mean, dtype=image.dtype).view(-1, 1, 1)
        std = swiftnet.tensor(self.std, dtype=image.dtype).view(-1, 1, 1)
        if self.inplace:
            return image.sub_(mean).div_(std)
        return (image - mean) / std
