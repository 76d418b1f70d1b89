"""COCO (Lin et al., 2014, https://cocodataset.org) from its official files."""

import json
import os

import numpy as np

from swiftnet.datasets._images import LabelledImages, require

_WHERE = "get the images and annotations (instances_*.json) from https://cocodataset.org/#download and unpack them"


class CocoClassification(LabelledImages):
    """Pictures, and for each class 1 if an object of it is there, otherwise 0. Needs Pillow.

    Classes are in the file's order of their groups (supercategories), one group after the other. COCO has 80 classes in
    12 groups of 1, 8, 5, 10, 5, 10, 7, 10, 6, 6, 5 and 7.

    Args:
        root: the folder with the pictures: train2017, for example.
        annotation_file: that set's instances_*.json.
        transform: applied to each picture, a Pillow image in RGB.
        target_transform: applied to the labels of each picture, an array of float32.
        unlabelled: whether pictures without any object are there too; classification usually leaves them out. Default:
            False.

    Attributes:
        classes: names; groups: for the name of each group of classes their indices.
        images: paths; labels: an array (N, classes).
    """

    def __init__(self, root, annotation_file, transform=None, target_transform=None, *, unlabelled=False):
        self.root, self.annotation_file = os.fspath(root), os.fspath(annotation_file)
        self.transform, self.target_transform = transform, target_transform
        require(self.root, _WHERE)
        content = _read(self.annotation_file)
        try:
            columns = self._take_categories(content["categories"])
            files = {image["id"]: image["file_name"] for image in content["images"]}
            rows = {number: row for row, number in enumerate(sorted(files))}
            labels = np.zeros((len(rows), len(columns)), np.float32)
            for found in content["annotations"]:
                labels[rows[found["image_id"]], columns[found["category_id"]]] = 1
            paths = [os.path.join(self.root, files[number]) for number in rows]
        except (KeyError, TypeError) as error:
            raise RuntimeError(
                f"{self.annotation_file!r} is damaged or no instances_*.json of COCO: {error} is missing or wrong"
            ) from None
        keep = np.ones(len(rows), bool) if unlabelled else labels.any(axis=1)
        self.labels = labels[keep]
        self.images = [path for path, kept in zip(paths, keep, strict=True) if kept]
        if not self.images:
            raise RuntimeError(f"{self.annotation_file!r} names no images with objects")
        self._check_images()

    def _take_categories(self, categories):
        """Puts the classes in order; returns the column of each category's number."""
        groups = {}
        for category in categories:
            groups.setdefault(category["supercategory"], []).append(category)
        ordered = [category for members in groups.values() for category in members]
        columns = {category["id"]: column for column, category in enumerate(ordered)}
        self.classes = [category["name"] for category in ordered]
        self.groups = {name: [columns[member["id"]] for member in members] for name, members in groups.items()}
        return columns

    def _check_images(self):
        # One look into the folder instead of a hundred thousand.
        there = {os.path.join(self.root, name) for name in os.listdir(self.root)}
        for path in self.images:
            if path not in there:
                require(path, _WHERE)

    def __repr__(self):
        lines = [f"Number of datapoints: {len(self)}", f"Root location: {self.root}"]
        return "\n    ".join(["Dataset CocoClassification", *lines])


def _read(path):
    require(path, _WHERE)
    try:
        with open(path, encoding="utf8") as file:
            return json.load(file)
    except ValueError as error:
        raise RuntimeError(f"{path!r} is damaged: {error}; {_WHERE}") from None
