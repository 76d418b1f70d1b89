"""Images in folders."""

import os

from swiftnet.datasets._images import read_image
from swiftnet.utils.data import Dataset

_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


class ImageFolder(Dataset):
    """Images in a folder for each class: root/<class>/<image>. Needs Pillow.

    Args:
        root: the folder.
        transform: applied to each image, a Pillow image in RGB.
        target_transform: applied to each label.

    Attributes:
        classes: names of the folders, in order; samples: (path, label); targets: labels.
    """

    def __init__(self, root, transform=None, target_transform=None):
        self.root, self.transform, self.target_transform = os.fspath(root), transform, target_transform
        if not os.path.isdir(self.root):
            raise FileNotFoundError(f"there is no folder {self.root!r}")
        self.classes = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())
        if not self.classes:
            raise FileNotFoundError(f"Couldn't find any class folder in {self.root}.")
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self.samples = []
        for name, label in self.class_to_idx.items():
            for folder, _, files in sorted(os.walk(os.path.join(self.root, name))):
                self.samples += [
                    (os.path.join(folder, file), label) for file in sorted(files) if file.lower().endswith(_EXTENSIONS)
                ]
        if not self.samples:
            raise FileNotFoundError(f"there are no images in {self.root!r}: {', '.join(_EXTENSIONS)}")
        self.targets = [label for _, label in self.samples]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, target = self.samples[index]
        image = read_image(path, "RGB")
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target
