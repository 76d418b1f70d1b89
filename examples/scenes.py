"""Scenes of handwritten digits with exact truth: which digits there are, and the digit of every pixel.

The digits of scikit-learn, 8×8 pixels, are enlarged and put where there is room, on a ground with light and noise.
`python examples/scenes.py --folder runs/scenes` writes some with their masks.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from swiftnet.utils.data import Dataset

CLASSES = 10
# Labels of pixels: the ground, then the digits 0 … 9; pixels at the edge of a stroke belong to nobody.
GROUND, EDGE = 0, 255


def split_digits():
    """Images (N, 8, 8) with values 0 … 16 and labels, for training and for testing: never the same ones in both."""
    digits = load_digits()
    return train_test_split(digits.images, digits.target, test_size=0.25, random_state=0, stratify=digits.target)


def enlarged(digit, factor):
    """A digit with `factor` times as many pixels per side, linearly interpolated."""
    size = digit.shape[0] * factor
    at = np.clip((np.arange(size) + 0.5) / factor - 0.5, 0, digit.shape[0] - 1)
    low = np.minimum(at.astype(int), digit.shape[0] - 2)
    share = at - low
    rows = digit[low] * (1 - share)[:, None] + digit[low + 1] * share[:, None]
    return rows[:, low] * (1 - share) + rows[:, low + 1] * share


def make_scene(rng, images, labels, size, digits, scale):
    """An image (size, size, 3) of bytes, a mask (size, size) and labels (10) of zeros and ones."""
    light = rng.uniform(0.1, 0.5)
    slope = rng.uniform(-0.2, 0.2, 2)
    y, x = np.mgrid[0:size, 0:size] / size
    ground = light + slope[0] * x + slope[1] * y
    scene = np.repeat(ground[:, :, None], 3, axis=2) * rng.uniform(0.7, 1.0, 3)
    mask = np.full((size, size), GROUND, np.uint8)
    taken = np.zeros((size, size), bool)
    present = np.zeros(CLASSES, np.float32)
    for _ in range(digits):
        index = rng.integers(len(images))
        digit = enlarged(images[index] / 16, int(rng.integers(*scale)))
        n = digit.shape[0]
        if n > size:
            continue
        for _ in range(20):
            top, left = rng.integers(0, size - n + 1, 2)
            place = (slice(top, top + n), slice(left, left + n))
            if not taken[place].any():
                break
        else:
            continue
        taken[place] = True
        ink = rng.uniform(0.6, 1.0, 3)
        scene[place] = scene[place] * (1 - digit[:, :, None]) + ink * digit[:, :, None]
        part = mask[place]
        part[digit > 0.25] = EDGE
        part[digit > 0.5] = labels[index] + 1
        present[labels[index]] = 1
    scene += rng.normal(0, 0.04, scene.shape)
    return (np.clip(scene, 0, 1) * 255).astype(np.uint8), mask, present


class Scenes(Dataset):
    """Scenes of digits for training or testing; `target` says what comes with an image.

    Args:
        count: how many.
        size: pixels per side.
        train: out of the digits for training, or those for testing.
        target: "labels", "mask" or "count" (how many different digits).
        transform: applied to the image, for masks to both.
        digits, scale: how many digits a scene has, and how many times larger they are; the end does not count.
    """

    def __init__(
        self, count, size=64, train=True, target="labels", transform=None, digits=(1, 5), scale=(2, 4), seed=0
    ):
        train_images, test_images, train_labels, test_labels = split_digits()
        images, labels = (train_images, train_labels) if train else (test_images, test_labels)
        rng = np.random.default_rng([seed, int(train)])
        made = [make_scene(rng, images, labels, size, int(rng.integers(*digits)), scale) for _ in range(count)]
        self.images, self.masks, self.labels = (np.stack(part) for part in zip(*made))
        self.target, self.transform = target, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if self.target == "mask":
            mask = self.masks[index]
            return (image, mask) if self.transform is None else self.transform(image, mask)
        if self.transform is not None:
            image = self.transform(image)
        labels = self.labels[index]
        return image, labels if self.target == "labels" else np.float32(labels.sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/scenes"))
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    from PIL import Image

    options.folder.mkdir(parents=True, exist_ok=True)
    scenes = Scenes(options.count, size=97)
    for index in range(len(scenes)):
        Image.fromarray(scenes.images[index]).save(options.folder / f"{index}.png")
        Image.fromarray((scenes.masks[index].astype(int) * 23).clip(0, 255).astype(np.uint8)).save(
            options.folder / f"{index}_mask.png"
        )
    print(f"{len(scenes)} scenes are in {options.folder}/")


if __name__ == "__main__":
    main()
