"""Pascal VOC (Everingham et al., 2010, http://host.robots.ox.ac.uk/pascal/VOC/) from its official folders."""

import os
from xml.etree import ElementTree

import numpy as np

from swiftnet.datasets._images import LabelledImages, no_download, read_image, require
from swiftnet.utils.data import Dataset

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
# The taxonomy of VOC's authors.
GROUPS = {
    "person": ("person",),
    "animal": ("bird", "cat", "cow", "dog", "horse", "sheep"),
    "vehicle": ("aeroplane", "bicycle", "boat", "bus", "car", "motorbike", "train"),
    "indoor": ("bottle", "chair", "diningtable", "pottedplant", "sofa", "tvmonitor"),
}


class _VOC(Dataset):
    """Where the files lie, and the names of the images of a set."""

    # The folder in ImageSets.
    _kind = None

    def __init__(self, root, year, image_set):
        self.root, self.year, self.image_set = os.fspath(root), str(year), image_set
        self._where = (
            f"unpack the archives of VOC {self.year} from http://host.robots.ox.ac.uk/pascal/VOC/voc{self.year}/ so "
            f"that there is a folder VOCdevkit/VOC{self.year} in the one given as root"
        )
        self._base = self._find()
        self._names = self._read_names()
        self.images = [require(self._path("JPEGImages", f"{name}.jpg"), self._where) for name in self._names]

    def _find(self):
        """The folder of the year: below the given one, or that one itself."""
        name = f"VOC{self.year}"
        places = [os.path.join(self.root, "VOCdevkit", name), os.path.join(self.root, name)]
        if os.path.basename(os.path.abspath(self.root)) == name:
            places.append(self.root)
        for place in places:
            if os.path.isdir(os.path.join(place, "JPEGImages")):
                return place
        raise FileNotFoundError(f"VOC {self.year} is not in {self.root!r}: {self._where}")

    def _path(self, *parts):
        return os.path.join(self._base, *parts)

    def _read_names(self):
        folder = require(self._path("ImageSets", self._kind), self._where)
        path = os.path.join(folder, f"{self.image_set}.txt")
        if not os.path.exists(path):
            # Files with "_" list a class.
            sets = sorted(file[:-4] for file in os.listdir(folder) if file.endswith(".txt") and "_" not in file)
            raise FileNotFoundError(f"{path!r} is missing; the sets that are there: {', '.join(sets) or 'none'}")
        names = [line[0] for line in _lines(path)]
        if not names:
            raise RuntimeError(f"{path!r} is damaged: it names no images")
        return names

    def __len__(self):
        return len(self.images)

    def __repr__(self):
        lines = [f"Number of datapoints: {len(self)}", f"Root location: {self.root}", f"Split: {self.image_set}"]
        return "\n    ".join([f"Dataset {type(self).__name__} {self.year}", *lines])


class VOCSegmentation(_VOC):
    """Pictures and masks with the class of every pixel: 0 is the ground, 255 belongs to nobody. Needs Pillow.

    Args:
        root: the folder with VOCdevkit.
        year: Default: "2012".
        image_set: "train" (default), "trainval" or "val": a file in ImageSets/Segmentation.
        download: not supported: nothing is downloaded.
        transform: applied to each picture, a Pillow image in RGB.
        target_transform: applied to each mask, a Pillow image in mode P.
        transforms: applied to both, in place of the other two: `image, mask = transforms(image, mask)`.

    Attributes:
        classes: names of the 21 classes; images, masks: paths.
    """

    _kind = "Segmentation"

    def __init__(
        self, root, year="2012", image_set="train", download=False, transform=None, target_transform=None,
        transforms=None,
    ):  # fmt: skip
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        super().__init__(root, year, image_set)
        no_download(download, self._where)
        self.transform, self.target_transform, self.transforms = transform, target_transform, transforms
        self.masks = [require(self._path("SegmentationClass", f"{name}.png"), self._where) for name in self._names]
        self.classes = ["background", *CLASSES]

    def __getitem__(self, index):
        image, mask = read_image(self.images[index], "RGB"), read_image(self.masks[index])
        if self.transforms is not None:
            return self.transforms(image, mask)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            mask = self.target_transform(mask)
        return image, mask


class VOCClassification(LabelledImages, _VOC):
    """Pictures, and for each of 20 classes 1: it is there; -1: it is not; 0: only objects marked as difficult are.

    That is what `swiftnet.metrics.AveragePrecision(20, difficult_examples=True)` expects. Labels come from the lists of
    each class in ImageSets/Main; where these are not complete, from the objects in Annotations. Needs Pillow.

    Args:
        root: the folder with VOCdevkit.
        year: Default: "2007".
        image_set: "train", "trainval" (default), "val" or "test": a file in ImageSets/Main.
        transform: applied to each picture, a Pillow image in RGB.
        target_transform: applied to the labels of each picture, an array (20) of float32.

    Attributes:
        classes: names; groups: for the name of each group of classes their indices.
        images: paths; labels: an array (N, 20).
    """

    _kind = "Main"

    def __init__(self, root, year="2007", image_set="trainval", transform=None, target_transform=None):
        super().__init__(root, year, image_set)
        self.transform, self.target_transform = transform, target_transform
        self.classes = list(CLASSES)
        self.groups = {group: [CLASSES.index(name) for name in names] for group, names in GROUPS.items()}
        lists = [self._path("ImageSets", "Main", f"{name}_{image_set}.txt") for name in CLASSES]
        if all(os.path.exists(path) for path in lists):
            self.labels = np.stack([self._listed(path) for path in lists], axis=1)
        else:
            self.labels = np.stack([self._annotated(name) for name in self._names])

    def _listed(self, path):
        """The labels of a class: each line has an image's name and 1, 0 or -1."""
        values = {line[0]: line[-1] for line in _lines(path)}
        try:
            labels = [int(values[name]) for name in self._names]
        except (KeyError, ValueError) as error:
            raise RuntimeError(f"{path!r} is damaged: {error} is no image with a label") from None
        if not set(labels) <= {-1, 0, 1}:
            raise RuntimeError(f"{path!r} is damaged: labels are 1, 0 and -1, but there are {sorted(set(labels))}")
        return np.array(labels, np.float32)

    def _annotated(self, name):
        """The labels of an image: an object that is not difficult makes its class count as there."""
        path = require(self._path("Annotations", f"{name}.xml"), self._where)
        labels = np.full(len(CLASSES), -1, np.float32)
        try:
            for found in ElementTree.parse(path).getroot().iterfind("object"):
                index = CLASSES.index(found.findtext("name", "").strip())
                difficult = int(found.findtext("difficult", "0")) != 0
                labels[index] = max(labels[index], 0 if difficult else 1)
        except (ElementTree.ParseError, ValueError) as error:
            raise RuntimeError(f"{path!r} is damaged: {error}") from None
        return labels


def _lines(path):
    """The words of each line that has some."""
    try:
        with open(path, encoding="utf8") as file:
            return [line.split() for line in file if line.strip()]
    except UnicodeDecodeError:
        raise RuntimeError(f"{path!r} is damaged: it is not text") from None
