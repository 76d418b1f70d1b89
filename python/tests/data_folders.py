"""Writes Pascal VOC and COCO in miniature, in their official formats."""

import json

import numpy as np
from PIL import Image
from swiftnet.datasets import voc

COCO_GROUPS = {
    "person": 1, "vehicle": 8, "outdoor": 5, "animal": 10, "accessory": 5, "sports": 10, "kitchen": 7, "food": 10,
    "furniture": 6, "electronic": 6, "appliance": 5, "indoor": 7,
}  # fmt: skip


def write_picture(path, rng):
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)


def write_voc(root, year="2012"):
    """Six pictures, four for training: picture i has an object of class i, a difficult one of class i + 1, and persons;
    its mask a square of class i + 6 with a border. Returns the folder of the year."""
    rng = np.random.default_rng(0)
    folder = root / f"VOCdevkit/VOC{year}"
    for name in ("JPEGImages", "SegmentationClass", "Annotations", "ImageSets/Segmentation", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    names = [f"{year}_{index:06}" for index in range(6)]
    objects = [[(voc.CLASSES[i], 0), (voc.CLASSES[i + 1], 1), ("person", 1), ("person", 0)] for i in range(6)]
    for index, name in enumerate(names):
        write_picture(folder / f"JPEGImages/{name}.jpg", rng)
        mask = np.zeros((40, 40), np.uint8)
        mask[4:30, 4:30] = 255
        mask[5:29, 5:29] = index + 6
        picture = Image.fromarray(mask)
        picture.putpalette(rng.integers(0, 256, 768, dtype=np.uint8).tobytes())
        picture.save(folder / f"SegmentationClass/{name}.png")
        inner = "".join(
            f"<object><name>{kind}</name><difficult>{difficult}</difficult><bndbox><xmin>1</xmin></bndbox></object>"
            for kind, difficult in objects[index]
        )
        (folder / f"Annotations/{name}.xml").write_text(f"<annotation><folder>VOC{year}</folder>{inner}</annotation>")
    for image_set, part in (
        ("train", range(4)), ("val", range(4, 6)), ("trainval", range(6)), ("test", range(4, 6)),
    ):  # fmt: skip
        listed = "".join(f"{names[index]}\n" for index in part)
        (folder / f"ImageSets/Main/{image_set}.txt").write_text(listed)
        if image_set != "test":
            (folder / f"ImageSets/Segmentation/{image_set}.txt").write_text(listed)
        for kind in voc.CLASSES:
            lines = [(index, [1 - d for name, d in objects[index] if name == kind]) for index in part]
            text = "".join(f"{names[index]} {max(found, default=-1):2}\n" for index, found in lines)
            (folder / f"ImageSets/Main/{kind}_{image_set}.txt").write_text(text)
    return folder


def write_coco(root, year="2017"):
    """Five pictures for training and five for validation, listed backwards: picture i has objects of the classes i and
    i + 40, the last one none. The numbers of categories have gaps, as in the original."""
    rng = np.random.default_rng(0)
    (root / "annotations").mkdir()
    categories = []
    for group, count in COCO_GROUPS.items():
        for index in range(count):
            name = group if count == 1 else f"{group} {index}"
            categories.append({"supercategory": group, "id": len(categories) * 9 // 8 + 1, "name": name})
    for part in (f"train{year}", f"val{year}"):
        (root / part).mkdir()
        images, annotations = [], []
        for index in reversed(range(5)):
            image = {"id": 100 + 7 * index, "file_name": f"{100 + 7 * index:012}.jpg", "width": 40, "height": 40}
            write_picture(root / part / image["file_name"], rng)
            images.append(image)
            for found in (index, index, index + 40) if index < 4 else ():
                annotation = {"id": len(annotations), "image_id": image["id"], "bbox": [1, 2, 3, 4], "iscrowd": 0}
                annotations.append({**annotation, "category_id": categories[found]["id"]})
        content = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
        (root / f"annotations/instances_{part}.json").write_text(json.dumps(content))
