"""Data sets in their official formats, in miniature: CIFAR-10, Pascal VOC, COCO; and images in folders."""

import json
import pickle
import sys
import tarfile

import numpy as np
import pytest
import swiftnet
from data_folders import COCO_GROUPS, write_coco, write_voc
from PIL import Image
from swiftnet import metrics
from swiftnet.datasets import CIFAR10, CocoClassification, ImageFolder, VOCClassification, VOCSegmentation
from swiftnet.transforms import Compose, RandomCrop, RandomHorizontalFlip, RandomScale, ToTensor
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


def test_damaged_images_are_named(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/0.png").write_bytes(b"no picture")
    with pytest.raises(RuntimeError, match=r"0\.png' is damaged"):
        ImageFolder(tmp_path)[0]
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        ImageFolder(tmp_path)[0]


def test_voc_segmentation(tmp_path):
    folder = write_voc(tmp_path)
    data = VOCSegmentation(tmp_path)
    assert len(data) == 4
    assert data.classes[0] == "background"
    assert data.classes[15] == "person"
    image, mask = data[1]
    assert image.mode == "RGB"
    assert mask.mode == "P"
    expected = np.zeros((40, 40), np.uint8)
    expected[4:30, 4:30] = 255
    expected[5:29, 5:29] = 7
    np.testing.assert_array_equal(np.asarray(mask), expected)
    x, y = VOCSegmentation(tmp_path, transform=ToTensor(), target_transform=np.asarray)[1]
    assert x.shape == (3, 40, 40)
    np.testing.assert_array_equal(y, expected)
    together = Compose([RandomScale((0.5, 2)), RandomHorizontalFlip(), RandomCrop(33, pad_if_needed=True), ToTensor()])
    x, y = next(iter(DataLoader(VOCSegmentation(tmp_path, image_set="val", transforms=together), batch_size=2)))
    assert x.shape == (2, 3, 33, 33)
    assert y.shape == (2, 33, 33)
    assert y.dtype == swiftnet.int64
    # The folder may be given at each level.
    for root in (tmp_path / "VOCdevkit", folder):
        assert VOCSegmentation(root, image_set="trainval").images[0] == str(folder / "JPEGImages/2012_000000.jpg")
    assert "Split: val" in repr(VOCSegmentation(tmp_path, image_set="val"))


@pytest.mark.parametrize("lists", [True, False])
def test_voc_classification(tmp_path, lists):
    """The lists of the classes say the same as the objects in Annotations."""
    folder = write_voc(tmp_path, "2007")
    if not lists:
        (folder / "ImageSets/Main/sofa_trainval.txt").unlink()
    data = VOCClassification(tmp_path, transform=ToTensor())
    assert data.labels.shape == (6, 20)
    # Picture i has an object of class i, a difficult one of class i + 1, and persons, one of them difficult.
    for index, labels in enumerate(data.labels):
        assert [c for c in range(20) if labels[c] == 1] == [index, 14]
        assert [c for c in range(20) if labels[c] == 0] == [index + 1]
    assert sorted(c for group in data.groups.values() for c in group) == list(range(20))
    assert [data.classes[c] for c in data.groups["animal"]] == ["bird", "cat", "cow", "dog", "horse", "sheep"]
    x, y = next(iter(DataLoader(data, batch_size=6)))
    assert x.shape == (6, 3, 40, 40)
    metric = metrics.AveragePrecision(20, difficult_examples=True)
    metric.update(y, y)
    assert metric.value() == 1
    assert VOCClassification(tmp_path, target_transform=lambda y: y[:2])[0][1].tolist() == [1, 0]


def test_voc_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="VOC 2012 is not in .*VOCdevkit/VOC2012"):
        VOCSegmentation(tmp_path)
    folder = write_voc(tmp_path)
    with pytest.raises(FileNotFoundError, match="VOC 2007 is not in"):
        VOCClassification(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nonsense\.txt' is missing; .* train, trainval, val"):
        VOCSegmentation(tmp_path, image_set="nonsense")
    with pytest.raises(ValueError, match="downloads nothing"):
        VOCSegmentation(tmp_path, download=True)
    with pytest.raises(ValueError, match="Only transforms or"):
        VOCSegmentation(tmp_path, transform=ToTensor(), transforms=ToTensor())
    mask = folder / "SegmentationClass/2012_000001.png"
    mask.write_bytes(mask.read_bytes()[:-40])
    with pytest.raises(RuntimeError, match=r"SegmentationClass/2012_000001\.png' is damaged"):
        VOCSegmentation(tmp_path)[1]
    mask.unlink()
    with pytest.raises(FileNotFoundError, match=r"SegmentationClass/2012_000001\.png' is missing; unpack"):
        VOCSegmentation(tmp_path)
    (folder / "Annotations/2012_000002.xml").unlink()
    (folder / "ImageSets/Main/cow_trainval.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"Annotations/2012_000002\.xml' is missing"):
        VOCClassification(tmp_path, "2012")
    (folder / "JPEGImages/2012_000000.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"JPEGImages/2012_000000\.jpg' is missing"):
        VOCClassification(tmp_path, "2012")


VOC_DAMAGE = {
    "ImageSets/Main/trainval.txt": ["\n", b"\xff\xfe"],
    "ImageSets/Main/cow_trainval.txt": ["2012_000000 1\n", "\n".join(f"2012_00000{i} 2" for i in range(6)), "2012_000000 x"],
    "Annotations/2012_000000.xml": [
        "<annotation><object>", "", "<a><object><name>unicorn</name></object></a>",
        "<a><object><name>cow</name><difficult>very</difficult></object></a>",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "content"), [(n, c) for n, contents in VOC_DAMAGE.items() for c in contents])
def test_voc_that_is_damaged(tmp_path, name, content):
    folder = write_voc(tmp_path)
    if "Annotations" in name:
        (folder / "ImageSets/Main/cow_trainval.txt").unlink()
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RuntimeError, match=f"{name}' is damaged"):
        VOCClassification(tmp_path, "2012")


def test_coco(tmp_path):
    write_coco(tmp_path)
    data = CocoClassification(tmp_path / "train2017", tmp_path / "annotations/instances_train2017.json", ToTensor())
    assert len(data.classes) == 80
    assert list(data.groups) == list(COCO_GROUPS)
    assert [len(group) for group in data.groups.values()] == [1, 8, 5, 10, 5, 10, 7, 10, 6, 6, 5, 7]
    assert [c for group in data.groups.values() for c in group] == list(range(80))
    assert data.classes[:3] == ["person", "vehicle 0", "vehicle 1"]
    # Picture i, in the order of numbers, has objects of classes i and i + 40, and the fifth none.
    assert [np.flatnonzero(labels).tolist() for labels in data.labels] == [[i, i + 40] for i in range(4)]
    x, y = next(iter(DataLoader(data, batch_size=4)))
    assert x.shape == (4, 3, 40, 40)
    assert y.dtype == swiftnet.float32
    everything = CocoClassification(
        tmp_path / "train2017", tmp_path / "annotations/instances_train2017.json", target_transform=np.sum,
        unlabelled=True,
    )  # fmt: skip
    assert [everything[i][1] for i in range(5)] == [2, 2, 2, 2, 0]
    assert "Number of datapoints: 4" in repr(data)


def test_coco_that_is_missing_or_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match="train2017' is missing; get .*cocodataset.org"):
        CocoClassification(tmp_path / "train2017", tmp_path / "annotations/instances_train2017.json")
    write_coco(tmp_path)
    images, path = tmp_path / "train2017", tmp_path / "annotations/instances_train2017.json"
    good = json.loads(path.read_text())
    with pytest.raises(FileNotFoundError, match=r"nothing\.json' is missing"):
        CocoClassification(images, tmp_path / "nothing.json")
    unknown = {**good, "annotations": [{"image_id": 99, "category_id": 1}]}
    for content, message in (
        (path.read_text()[:-20], "is damaged"),
        ("[]", "is damaged or no instances"),
        ("{}", "'categories' is missing"),
        (json.dumps({**good, "images": [{"id": 1}]}), "'file_name' is missing"),
        (json.dumps({**good, "images": [{"id": 1, "file_name": 7}]}), "is damaged"),
        (json.dumps(unknown), "99 is missing or wrong"),
        (json.dumps({**good, "annotations": []}), "no images with objects"),
    ):
        path.write_text(content)
        with pytest.raises(RuntimeError, match=message):
            CocoClassification(images, path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RuntimeError, match="is damaged"):
        CocoClassification(images, path)
    path.write_text(json.dumps(good))
    (images / good["images"][-1]["file_name"]).unlink()
    with pytest.raises(FileNotFoundError, match=r"000000000\d+\.jpg' is missing"):
        CocoClassification(images, path)
