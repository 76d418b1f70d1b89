"""Changes to images before they go into a network: NumPy arrays (H, W) or (H, W, C), and Pillow images.

>>> augment = Compose([
...     RandomCrop(32, padding=4),
...     RandomHorizontalFlip(),
...     ToTensor(),
...     Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
... ])
>>> image = swiftnet.randint(0, 256, (32, 32, 3), dtype=swiftnet.uint8).numpy()
>>> augment(image).shape
swiftnet.Size([3, 32, 32])

Each one takes a mask besides, (H, W) with a class per pixel: `image, mask = augment(image, mask)`. What moves pixels
moves those of the mask likewise, by the same random numbers, and gives new pixels the label 255; what changes colours
leaves the mask alone. Random numbers are swiftnet's: `swiftnet.manual_seed` and a `DataLoader`'s workers seed them.

Resizing, rotation, blur and colours need Pillow.
"""

from swiftnet.transforms._color import ColorJitter, RandomGaussianBlur, RandomGrayscale
from swiftnet.transforms._geometry import (
    CenterCrop,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomScale,
    RandomVerticalFlip,
    Resize,
)
from swiftnet.transforms._transform import (
    Compose,
    Lambda,
    Normalize,
    RandomApply,
    RandomChoice,
    ToTensor,
    Transform,
)

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "Lambda", "Normalize", "Pad", "RandomApply", "RandomChoice", "RandomCrop",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHorizontalFlip", "RandomResizedCrop", "RandomRotation",
    "RandomScale", "RandomVerticalFlip", "Resize", "ToTensor", "Transform",
]  # fmt: skip
