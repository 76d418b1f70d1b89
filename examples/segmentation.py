"""Which digit does every pixel belong to: PSPNet, and what its auxiliary loss is worth.

The network is trained once for each weight of the auxiliary loss, from the same start on the same scenes, and for
several seeds. The table says what each weight reaches on scenes of other digits: mean intersection over union and pixel
accuracy. Pictures of predictions are saved. Three seeds at half of this length: docs/experiments.md.

    python examples/segmentation.py --data ~/data --weights-file resnet50_v1c.pth

reads Pascal VOC 2012 from ~/data/VOCdevkit/VOC2012 instead and trains the network of 50 layers, whole: 21 classes,
crops of 233 × 233 pixels, the auxiliary weight of the paper. Options given besides still count.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import swiftnet
from photos import GREY, TO_INPUT, parse_with_data
from scenes import CLASSES, EDGE, Scenes
from swiftnet import metrics, models, optim, transforms
from swiftnet.datasets import VOCSegmentation
from swiftnet.utils.data import DataLoader

# Other defaults with --data.
FULL = {
    "weights": [0.4], "seeds": [1], "epochs": 50, "size": 233, "layers": [3, 4, 6, 3], "width": 64, "lr": 1e-4,
    "head_factor": 10.0,
}  # fmt: skip


def digit_data(options):
    """Scenes of digits for training, for testing, and the number of classes."""
    finish = [transforms.ToTensor(), transforms.Normalize((0.4,) * 3, (0.25,) * 3)]
    # Digits are not turned over, but scenes may be scaled and cut: image and mask together.
    augment = transforms.Compose(
        [
            transforms.RandomScale((0.8, 1.3)),
            transforms.RandomCrop(options.size, pad_if_needed=True, fill=100, mask_fill=EDGE),
            *finish,
        ]
    )
    settings = {"size": options.size, "target": "mask", "digits": (2, 5), "scale": (3, 5)}
    train_data = Scenes(options.scenes, transform=augment, **settings)
    test_data = Scenes(max(options.scenes // 4, 4), train=False, transform=transforms.Compose(finish), **settings)
    return train_data, test_data, CLASSES + 1


def voc_data(options):
    """Pascal VOC for training, for testing, and the number of classes. Borders of objects have the label 255 = EDGE."""
    augment = transforms.Compose(
        [
            transforms.RandomScale((0.5, 2.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomCrop(options.size, pad_if_needed=True, fill=GREY, mask_fill=EDGE),
            *TO_INPUT,
        ]
    )
    train_data = VOCSegmentation(options.data, image_set="train", transforms=augment)
    test_data = VOCSegmentation(options.data, image_set="val", transforms=whole_photo)
    return train_data, test_data, len(train_data.classes)


def whole_photo(image, mask):
    """A photo that is not cut: on the right and at the bottom pixels are added that do not count, until the sides are
    multiples of 8, plus 1."""
    right, bottom = ((1 - side) % 8 for side in image.size)
    pad = transforms.Pad((0, 0, right, bottom), fill=GREY, mask_fill=EDGE)
    return transforms.Compose([pad, *TO_INPUT])(image, mask)


def make_model(options, classes):
    model = models.PSPNet(layers=options.layers, classes=classes, dropout=0.1, width=options.width, bins=(1, 2, 3, 6))
    return model.load_backbone(options.weights_file) if options.weights_file else model


def make_optimizer(model, options):
    """The heads can learn faster than the backbone, as is usual when that comes with weights."""
    backbone = [model.layer0, model.layer1, model.layer2, model.layer3, model.layer4]
    heads = [model.ppm, model.cls, model.aux]
    groups = [{"params": module.parameters(), "lr": options.lr} for module in backbone]
    groups += [{"params": module.parameters(), "lr": options.lr * options.head_factor} for module in heads]
    return optim.Adam(groups, lr=options.lr, weight_decay=1e-4)


def train(options, aux_weight, seed, data, classes):
    swiftnet.manual_seed(seed)
    model = make_model(options, classes)
    optimizer = make_optimizer(model, options)
    loader = DataLoader(data, batch_size=options.batch_size, shuffle=True, drop_last=True, num_workers=options.workers)
    steps = options.epochs * len(loader)
    scheduler = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=0.9)
    model.train()
    for epoch in range(options.epochs):
        sums = np.zeros(2)
        for input, target in loader:
            output, main_loss, aux_loss = model(input, target)
            loss = main_loss + aux_weight * aux_loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            sums += main_loss.item(), aux_loss.item()
        if (epoch + 1) % max(options.epochs // 3, 1) == 0:
            main, auxiliary = sums / len(loader)
            print(f"  epoch {epoch + 1:3}  main loss {main:.4f}  auxiliary loss {auxiliary:.4f}", flush=True)
    return model


def evaluate(model, data, options, classes):
    model.eval()
    matrix = metrics.ConfusionMatrix(classes, ignore_index=EDGE)
    # Photos differ in size.
    batch_size = 1 if options.data else options.batch_size
    with swiftnet.no_grad():
        for input, target in DataLoader(data, batch_size=batch_size, num_workers=options.workers):
            matrix.update(model(input), target)
    result = matrix.compute()
    return {"mIoU": result["miou"], "pixel accuracy": result["accuracy"]}


def draw(model, data, path, count=4):
    """Images, truth and predictions side by side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    count = min(count, len(data))
    figure, axes = plt.subplots(count, 3, figsize=(6, 2 * count), squeeze=False, layout="constrained")
    model.eval()
    for row, index in zip(axes, range(count)):
        image, mask = data[index]
        with swiftnet.no_grad():
            predicted = model(image.unsqueeze(0))[0].argmax(0).numpy()
        truth = np.where(mask.numpy() == EDGE, 0, mask.numpy())
        shown = image.permute(1, 2, 0).numpy()
        row[0].imshow((shown - shown.min()) / (shown.max() - shown.min()))
        for axis, classes in zip(row[1:], (truth, predicted)):
            axis.imshow(classes, cmap="tab20", vmin=0, vmax=20, interpolation="nearest")
        for axis in row:
            axis.axis("off")
    for axis, title in zip(axes[0], ("image", "truth", "prediction")):
        axis.set_title(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with VOCdevkit/VOC2012; default: scenes of digits")
    parser.add_argument(
        "--weights-file", type=Path, help="weights of a residual network with a deep stem, to start with"
    )
    parser.add_argument(
        "--weights", type=float, nargs="+", default=[0.0, 0.2, 0.4, 0.6, 0.8, 1.0], help="of the auxiliary loss"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--scenes", type=int, default=400, help="for training; a quarter as many for testing")
    parser.add_argument("--size", type=int, default=65, help="pixels per side: a multiple of 8, plus 1")
    parser.add_argument("--layers", type=int, nargs=4, default=[1, 1, 2, 1], help="blocks of the backbone's stages")
    parser.add_argument("--width", type=int, default=12, help="planes of the backbone's first stage; 64 in the paper")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--head-factor", type=float, default=1.0, help="10 with a trained backbone")
    parser.add_argument("--workers", type=int, default=0, help="processes that read images")
    parser.add_argument("--folder", type=Path, default=Path("runs/segmentation"))
    options = parse_with_data(parser, FULL)
    options.folder.mkdir(parents=True, exist_ok=True)

    train_data, test_data, classes = voc_data(options) if options.data else digit_data(options)
    results = {}
    for weight in options.weights:
        runs = []
        for seed in options.seeds:
            print(f"auxiliary weight {weight}, seed {seed}", flush=True)
            start = time.perf_counter()
            model = train(options, weight, seed, train_data, classes)
            runs.append(evaluate(model, test_data, options, classes))
            print(f"  mIoU {runs[-1]['mIoU']:.4f}, {time.perf_counter() - start:.1f} s", flush=True)
        results[weight] = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
        results[weight]["runs"] = runs
        draw(model, test_data, options.folder / f"predictions_{weight}.png")
    print(f"\n{'auxiliary weight':>16}{'mIoU':>10}{'pixel accuracy':>18}")
    for weight, result in results.items():
        print(f"{weight:>16}{result['mIoU']:>10.2%}{result['pixel accuracy']:>18.2%}")
    best = max(results, key=lambda weight: results[weight]["mIoU"])
    print(f"\nBest here: {best} (0.4 in the paper, on ADE20K). Pictures are in {options.folder}/")
    (options.folder / "results.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
