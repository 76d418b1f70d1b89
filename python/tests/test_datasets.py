"""CIFAR-10's two file formats, in miniature, and images in folders."""

import pickle
import tarfile

import numpy as np
import pytest
import swiftnet
from PIL import Image
from swiftnet.datasets import CIFAR10, ImageFolder
from swiftnet.transforms import ToTensor
from swiftnet.utils.data import DataLoader


def write_cifar(folder, kind, count=8):
    """A small data set in the official format; returns the images (N, 32, 32, 3) and labels of the training part."""
    rng = np.random.default_rng(0)
    inner = folder / f"cifar-10-batches-{'py' if kind == 'python' else 'bin'}"
    inner.mkdir(parents=True)
    images, targets = [], []
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        pixels = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = rng.integers(0, 10, count)
        if kind == "python":
            entry = {b"batch_label": name.encode(), b"labels": labels.tolist(), b"data": pixels, b"filenames": []}
            (inner / name).write_bytes(pickle.dumps(entry, protocol=2))
        else:
            records = np.concatenate([labels[:, None].astype(np.uint8), pixels], axis=1)
            (inner / f"{name}.bin").write_bytes(records.tobytes())
        if name != "test_batch":
            images.append(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            targets += labels.tolist()
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()  # noqa: SIM905
    if kind == "python":
        (inner / "batches.meta").write_bytes(pickle.dumps({b"label_names": [n.encode() for n in names]}, protocol=2))
    else:
        (inner / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    return np.concatenate(images), targets


@pytest.mark.parametrize("kind", ["python", "binary"])
def test_cifar(tmp_path, kind):
    images, targets = write_cifar(tmp_path, kind)
    data = CIFAR10(tmp_path, transform=ToTensor(), target_transform=lambda t: t + 1, verify=False)
    assert len(data) == 40
    np.testing.assert_array_equal(data.data, images)
    assert data.targets == targets
    assert data.classes[3] == "cat"
    assert data.class_to_idx["truck"] == 9
    x, y = next(iter(DataLoader(data, batch_size=4)))
    assert x.shape == (4, 3, 32, 32)
    assert y.tolist() == [t + 1 for t in targets[:4]]
    assert len(CIFAR10(tmp_path, train=False, verify=False)) == 8
    assert "Split: Test" in repr(CIFAR10(tmp_path, train=False, verify=False))


@pytest.mark.parametrize("kind", ["python", "binary"])
def test_cifar_in_an_archive(tmp_path, kind):
    images, _ = write_cifar(tmp_path / "made", kind)
    name = f"cifar-10-{kind}.tar.gz"
    with tarfile.open(tmp_path / name, "w:gz") as archive:
        for path in (tmp_path / "made").rglob("*"):
            archive.add(path, path.relative_to(tmp_path / "made"))
    np.testing.assert_array_equal(CIFAR10(tmp_path, verify=False).data, images)
    with pytest.raises(RuntimeError, match="MD5 checksum"):
        CIFAR10(tmp_path)


def test_cifar_that_is_missing_or_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match="www.cs.toronto.edu"):
        CIFAR10(tmp_path)
    with pytest.raises(FileNotFoundError, match="downloads nothing"):
        CIFAR10(tmp_path, download=True)
    write_cifar(tmp_path / "a", "python")
    with pytest.raises(RuntimeError, match="'data_batch_1' is damaged.*checksum"):
        CIFAR10(tmp_path / "a")
    (tmp_path / "a/cifar-10-batches-py/data_batch_2").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_2"):
        CIFAR10(tmp_path / "a", verify=False)
    write_cifar(tmp_path / "b", "binary")
    with pytest.raises(RuntimeError, match="bytes instead of 30730000"):
        CIFAR10(tmp_path / "b")
    path = tmp_path / "b/cifar-10-batches-bin/data_batch_1.bin"
    path.write_bytes(bytes([77]) + path.read_bytes()[1:])
    with pytest.raises(RuntimeError, match="there is no class 77"):
        CIFAR10(tmp_path / "b", verify=False)


class Harmful:
    def __reduce__(self):
        import os

        return (os.mkdir, ("harmed",))


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_cifar(tmp_path, "python")
    (tmp_path / "cifar-10-batches-py/data_batch_1").write_bytes(pickle.dumps({"data": Harmful(), "labels": []}))
    with pytest.raises(RuntimeError, match="no use for"):
        CIFAR10(tmp_path, verify=False)
    assert not (tmp_path / "harmed").exists()


def test_image_folder(tmp_path):
    for name, value in (("dog", 10), ("cat", 200)):
        (tmp_path / name).mkdir()
        for index in range(2):
            Image.fromarray(np.full((4, 5), value, np.uint8)).save(tmp_path / name / f"{index}.png")
        (tmp_path / name / "notes.txt").write_text("no image")
    data = ImageFolder(tmp_path, transform=ToTensor())
    assert data.classes == ["cat", "dog"]
    assert data.targets == [0, 0, 1, 1]
    x, y = data[3]
    assert x.shape == (3, 4, 5)
    assert y == 1
    assert swiftnet.allclose(x, swiftnet.full((3, 4, 5), 10 / 255))
    with pytest.raises(FileNotFoundError, match="no folder"):
        ImageFolder(tmp_path / "nowhere")
    (tmp_path / "empty/a").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no images"):
        ImageFolder(tmp_path / "empty")
