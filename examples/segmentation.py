"""Which digit does every pixel belong to: PSPNet, and what its auxiliary loss is worth.

The network is trained once for each weight of the auxiliary loss, from the same start on the same scenes, and for
several seeds. The table says what each weight reaches on scenes of other digits: mean intersection over union and pixel
accuracy. Pictures of predictions are saved. Three seeds at half of this length: docs/experiments.md.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import swiftnet
from scenes import CLASSES, EDGE, Scenes
from swiftnet import metrics, models, optim, transforms
from swiftnet.utils.data import DataLoader

MEAN, STD = (0.4,) * 3, (0.25,) * 3


def make_model(options):
    return models.PSPNet(
        layers=options.layers, classes=CLASSES + 1, dropout=0.1, width=options.width, bins=(1, 2, 3, 6)
    )


def make_optimizer(model, options):
    """The heads can learn faster than the backbone, as is usual when that comes with weights."""
    backbone = [model.layer0, model.layer1, model.layer2, model.layer3, model.layer4]
    heads = [model.ppm, model.cls, model.aux]
    groups = [{"params": module.parameters(), "lr": options.lr} for module in backbone]
    groups += [{"params": module.parameters(), "lr": options.lr * options.head_factor} for module in heads]
    return optim.Adam(groups, lr=options.lr, weight_decay=1e-4)


def train(options, aux_weight, seed, data):
    swiftnet.manual_seed(seed)
    model = make_model(options)
    optimizer = make_optimizer(model, options)
    loader = DataLoader(data, batch_size=options.batch_size, shuffle=True, drop_last=True)
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


def evaluate(model, data, options):
    model.eval()
    matrix = metrics.ConfusionMatrix(CLASSES + 1, ignore_index=EDGE)
    with swiftnet.no_grad():
        for input, target in DataLoader(data, batch_size=options.batch_size):
            matrix.update(model(input), target)
    result = matrix.compute()
    return {"mIoU": result["miou"], "pixel accuracy": result["accuracy"]}


def draw(model, data, path, count=4):
    """Scenes, truth and predictions side by side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(count, 3, figsize=(6, 2 * count), squeeze=False, layout="constrained")
    model.eval()
    for row, index in zip(axes, range(count)):
        image, mask = data[index]
        with swiftnet.no_grad():
            predicted = model(image.unsqueeze(0))[0].argmax(0).numpy()
        truth = np.where(mask.numpy() == EDGE, 0, mask.numpy())
        row[0].imshow(data.images[index])
        for axis, classes in zip(row[1:], (truth, predicted)):
            axis.imshow(classes, cmap="tab20", vmin=0, vmax=19, interpolation="nearest")
        for axis in row:
            axis.axis("off")
    for axis, title in zip(axes[0], ("scene", "truth", "prediction")):
        axis.set_title(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--scenes", type=int, default=400, help="for training; a quarter as many for testing")
    parser.add_argument("--size", type=int, default=65, help="pixels per side: a multiple of 8, plus 1")
    parser.add_argument("--layers", type=int, nargs=4, default=[1, 1, 2, 1], help="blocks of the backbone's stages")
    parser.add_argument("--width", type=int, default=12, help="planes of the backbone's first stage; 64 in the paper")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--head-factor", type=float, default=1.0, help="10 with a trained backbone")
    parser.add_argument("--folder", type=Path, default=Path("runs/segmentation"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    finish = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
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

    results = {}
    for weight in options.weights:
        runs = []
        for seed in options.seeds:
            print(f"auxiliary weight {weight}, seed {seed}", flush=True)
            start = time.perf_counter()
            model = train(options, weight, seed, train_data)
            runs.append(evaluate(model, test_data, options))
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
