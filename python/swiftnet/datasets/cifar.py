"""CIFAR-10 (Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html) from its official files."""

import functools
import hashlib
import io
import os
import pickle
import tarfile

import numpy as np

from swiftnet.utils.data import Dataset

# MD5 sums of the archives and of the files of the Python version, as published.
_ARCHIVES = {
    "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
}
_PYTHON_FILES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
_RECORD = 1 + 3 * 32 * 32
_BINARY_SIZE = 10000 * _RECORD
_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_WHERE = "get cifar-10-python.tar.gz or cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"


class _ArrayUnpickler(pickle.Unpickler):
    """Reads NumPy arrays out of a pickle, and nothing else: no other name of a file is looked up."""

    _known = frozenset(
        [
            ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
        ]
    )  # fmt: skip

    def find_class(self, module, name):
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"a data set has no use for {module}.{name}")
        if name == "_reconstruct":
            return _reconstruct
        if name == "encode":
            return lambda text, encoding: text.encode("latin1")
        return getattr(np, name)


def _reconstruct(kind, shape, code):
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("an array of a kind that a data set does not have")
    return np.ndarray((0,), "b")


def _key(entry, name):
    """A value of a dictionary that Python 2 wrote, or Python 3."""
    return entry[name] if name in entry else entry[name.encode()]


class CIFAR10(Dataset):
    """60 000 colour images of 32×32 pixels in ten classes: 50 000 for training, 10 000 for testing.

    Args:
        root: the folder with `cifar-10-batches-py`, `cifar-10-batches-bin`, or one of their archives, which is read as
            it is; or one of those folders itself.
        train: the images for training, or those for testing.
        transform: applied to each image, a NumPy array (32, 32, 3) of bytes.
        target_transform: applied to each label.
        download: not supported: nothing is downloaded.
        verify: whether checksums and sizes must be those of the official files.

    Attributes:
        data: (N, 32, 32, 3) bytes; targets: labels; classes: names of the classes.
    """

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False, *, verify=True):
        self.root, self.train = os.fspath(root), train
        self.transform, self.target_transform = transform, target_transform
        names = [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]
        kind, read = self._open(download, verify)
        images, self.targets = [], []
        for name in names:
            if kind == "python":
                pixels, labels = self._python_batch(name, read(name), verify)
            else:
                pixels, labels = self._binary_batch(name + ".bin", read(name + ".bin"), verify)
            images.append(pixels)
            self.targets += labels
        self.data = np.concatenate(images).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        self.classes = self._class_names(kind, read)
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}

    def _open(self, download, verify):
        """Which version is there, and a function from a file's name to its contents."""
        inner = [os.path.join(self.root, f"cifar-10-batches-{short}") for short in ("py", "bin")]
        for folder in (self.root, *inner):
            for kind, file in (("python", "test_batch"), ("binary", "test_batch.bin")):
                if os.path.exists(os.path.join(folder, file)):
                    return kind, lambda name, folder=folder: _read(os.path.join(folder, name))
        for name, checksum in _ARCHIVES.items():
            path = os.path.join(self.root, name)
            if os.path.exists(path):
                if verify:
                    _check(path, _read(path), checksum)
                kind, short = ("python", "py") if "python" in name else ("binary", "bin")
                return kind, functools.partial(_member, path, short)
        hint = "swiftnet downloads nothing: " if download else ""
        raise FileNotFoundError(f"CIFAR-10 is not in {self.root!r}; {hint}{_WHERE}")

    def _python_batch(self, name, content, verify):
        if verify:
            _check(name, content, _PYTHON_FILES[name])
        try:
            entry = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
            pixels, labels = _key(entry, "data"), [int(label) for label in _key(entry, "labels")]
        except Exception as error:
            raise RuntimeError(f"{name} is damaged or no batch of CIFAR-10: {error}; {_WHERE}") from None
        pixels = np.asarray(pixels)
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), _RECORD - 1):
            raise RuntimeError(f"{name} is damaged: its images have the shape {pixels.shape} and dtype {pixels.dtype}")
        return pixels, _labels(name, labels)

    def _binary_batch(self, name, content, verify):
        if len(content) % _RECORD or (verify and len(content) != _BINARY_SIZE):
            raise RuntimeError(f"{name} is damaged: it has {len(content)} bytes instead of {_BINARY_SIZE}; {_WHERE}")
        records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
        return records[:, 1:], _labels(name, records[:, 0].tolist())

    def _class_names(self, kind, read):
        try:
            if kind == "python":
                names = _key(_ArrayUnpickler(io.BytesIO(read("batches.meta")), encoding="latin1").load(), "label_names")
            else:
                names = read("batches.meta.txt").decode().split()
        except (OSError, KeyError, pickle.UnpicklingError):
            return list(_CLASSES)
        return [name.decode() if isinstance(name, bytes) else str(name) for name in names]

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image, target = self.data[index], self.targets[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __repr__(self):
        part = "Train" if self.train else "Test"
        lines = [f"Number of datapoints: {len(self)}", f"Root location: {self.root}", f"Split: {part}"]
        return "\n    ".join(["Dataset CIFAR10", *lines])


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path!r} of CIFAR-10 is missing; {_WHERE}") from None


def _member(path, inner, name):
    """A file out of an archive, without unpacking it."""
    try:
        with tarfile.open(path) as archive:
            return archive.extractfile(f"cifar-10-batches-{inner}/{name}").read()
    except (KeyError, AttributeError):
        raise FileNotFoundError(f"{name!r} is missing in {path!r}; {_WHERE}") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise RuntimeError(f"{path!r} is damaged: {error}; {_WHERE}") from None


def _check(name, content, checksum):
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != checksum:
        raise RuntimeError(
            f"{name!r} is damaged: its MD5 checksum is {found} instead of {checksum}; {_WHERE}, or say verify=False"
        )


def _labels(name, labels):
    for label in labels:
        if not 0 <= label < len(_CLASSES):
            raise RuntimeError(f"{name} is damaged: there is no class {label}")
    return labels
