"""Transforms that change colours; masks stay as they are."""

from swiftnet.transforms._pillow import as_kind_of, pillow, to_pillow
from swiftnet.transforms._transform import Transform, integer, uniform


def _range(value, name, center=1.0):
    """The interval of factors that a setting stands for; None for none."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be non negative.")
        low, high = center - value, center + value
        if center == 1.0:
            low = max(low, 0.0)
    else:
        low, high = value
    if center == 0.0 and not -0.5 <= low <= high <= 0.5:
        raise ValueError(f"{name} values should be between -0.5 and 0.5, but got {value}.")
    return None if low == high == center else (low, high)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue by random amounts, in random order.

    Args:
        brightness, contrast, saturation: x for a factor in [max(0, 1 - x), 1 + x], or (least, greatest).
        hue: x for a turn in [-x, x], at most half a circle (0.5), or (least, greatest).
    """

    def __init__(self, brightness=0, contrast=0, saturation=0, hue=0):
        self.brightness = _range(brightness, "brightness")
        self.contrast = _range(contrast, "contrast")
        self.saturation = _range(saturation, "saturation")
        self.hue = _range(hue, "hue", center=0.0)

    def draw(self, image):
        steps = []
        for name in ("brightness", "contrast", "saturation", "hue"):
            limits = getattr(self, name)
            if limits is not None:
                steps.insert(integer(0, len(steps) + 1), (name, uniform(*limits)))
        return steps

    def image(self, image, drawn):
        picture = to_pillow(image)
        enhance = pillow("ImageEnhance")
        for name, amount in drawn:
            if name == "brightness":
                picture = enhance.Brightness(picture).enhance(amount)
            elif name == "contrast":
                picture = enhance.Contrast(picture).enhance(amount)
            elif picture.mode == "RGB" and name == "saturation":
                picture = enhance.Color(picture).enhance(amount)
            elif picture.mode == "RGB":
                hue, saturation, value = picture.convert("HSV").split()
                turn = int(amount * 255)
                hue = hue.point(lambda h, turn=turn: (h + turn) % 256)
                picture = pillow().merge("HSV", (hue, saturation, value)).convert("RGB")
        return as_kind_of(image, picture)


class RandomGrayscale(Transform):
    """Colours taken away with probability p; as many channels as before."""

    def __init__(self, p=0.1):
        self.p = p

    def draw(self, image):
        return uniform() < self.p

    def image(self, image, drawn):
        picture = to_pillow(image)
        if not drawn or picture.mode != "RGB":
            return image
        return as_kind_of(image, picture.convert("L").convert("RGB"))


class RandomGaussianBlur(Transform):
    """Blurred with probability p, by a normal kernel of the given radius in pixels."""

    def __init__(self, radius=2.0, p=0.5):
        self.radius, self.p = radius, p

    def draw(self, image):
        return uniform() < self.p

    def image(self, image, drawn):
        if not drawn:
            return image
        return as_kind_of(image, to_pillow(image).filter(pillow("ImageFilter").GaussianBlur(self.radius)))
