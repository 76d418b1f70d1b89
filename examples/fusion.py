"""Three ways to fuse the branches of a network, on handwritten digits.

Each digit comes as three inputs: the image, and its gradients from left to right and from top to bottom.

- feature fusion: one extractor for all inputs; the features are concatenated before the classifier;
- model fusion: an extractor per input; the features are concatenated before the classifier;
- decision fusion: two whole models, one for the image and one for the gradients; their outputs are weighted.

Run it with `make demo`. Ctrl-C stops it; the next run goes on after the last complete epoch. Pictures and the best
weights are in runs/demo afterwards.
"""

import argparse
import copy
import math
import sys
import time
from pathlib import Path

import numpy as np
import swiftnet
import swiftnet.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from swiftnet import nn, optim
from swiftnet.utils.data import DataLoader, Dataset
from tqdm import tqdm

BRANCHES = 3
CLASSES = 10


class Digits(Dataset):
    """Handwritten digits of 8×8 pixels, each with its gradients: ([image, gradient x, gradient y], label)."""

    def __init__(self, images, labels):
        self.images = swiftnet.tensor(images, dtype=swiftnet.float32).unsqueeze(1) / 8 - 1
        self.labels = swiftnet.tensor(labels)
        sobel = swiftnet.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
        kernels = swiftnet.stack([sobel, sobel.t()]).unsqueeze(1)
        framed = F.pad(self.images, (1, 1, 1, 1), value=-1.0)
        self.gradients = F.conv2d(framed, kernels)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        gradients = self.gradients[index]
        return [self.images[index], gradients[0:1], gradients[1:2]], self.labels[index]


def make_extractor(channels, dropout=0.2):
    """From one-channel images of 8×8 pixels to `2 * channels` feature maps of 4×4."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(),
        nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(2 * channels),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(dropout),
    )


class FeatureFusion(nn.Module):
    """One extractor for all inputs."""

    def __init__(self, channels=24):
        super().__init__()
        self.features = make_extractor(channels)
        self.classifier = nn.Linear(BRANCHES * 2 * channels * 4 * 4, CLASSES)

    def forward(self, inputs):
        features = [self.features(x) for x in inputs]
        return self.classifier(swiftnet.cat(features, dim=1).flatten(1))

    def loss(self, inputs, labels):
        outputs = self(inputs)
        return F.cross_entropy(outputs, labels, label_smoothing=0.05), outputs


class ModelFusion(nn.Module):
    """An extractor per input."""

    def __init__(self, channels=16):
        super().__init__()
        self.features = nn.ModuleList([make_extractor(channels) for _ in range(BRANCHES)])
        self.classifier = nn.Linear(BRANCHES * 2 * channels * 4 * 4, CLASSES)

    def forward(self, inputs):
        features = [extractor(x) for extractor, x in zip(self.features, inputs)]
        return self.classifier(swiftnet.cat(features, dim=1).flatten(1))

    def loss(self, inputs, labels):
        outputs = self(inputs)
        return F.cross_entropy(outputs, labels, label_smoothing=0.05), outputs


class Classifier(nn.Module):
    """A whole model for one group of inputs."""

    def __init__(self, inputs, channels):
        super().__init__()
        self.features = make_extractor(channels)
        self.classifier = nn.Linear(inputs * 2 * channels * 4 * 4, CLASSES)

    def forward(self, inputs):
        features = [self.features(x).flatten(1) for x in inputs]
        return self.classifier(swiftnet.cat(features, dim=1))


class DecisionFusion(nn.Module):
    """Two whole models; what each of them counts is learned. Each model has a loss of its own besides."""

    def __init__(self, channels=20):
        super().__init__()
        self.appearance = Classifier(1, channels)
        self.edges = Classifier(2, channels)
        self.weights = nn.Parameter(swiftnet.zeros(2))

    def decisions(self, inputs):
        first, second = self.appearance(inputs[:1]), self.edges(inputs[1:])
        weights = F.softmax(self.weights, dim=0)
        return weights[0] * first + weights[1] * second, first, second

    def forward(self, inputs):
        return self.decisions(inputs)[0]

    def loss(self, inputs, labels):
        outputs, first, second = self.decisions(inputs)
        total = sum(F.cross_entropy(y, labels, label_smoothing=0.05) for y in (outputs, first, second))
        return total / 3, outputs


NETWORKS = {"feature": FeatureFusion, "model": ModelFusion, "decision": DecisionFusion}


def split_digits():
    """Train, validation and test images: always the same ones, with all classes in the same proportion."""
    digits = load_digits()
    images, test_images, labels, test_labels = train_test_split(
        digits.images, digits.target, test_size=360, random_state=0, stratify=digits.target
    )
    images, held_images, labels, held_labels = train_test_split(
        images, labels, test_size=180, random_state=0, stratify=labels
    )
    return Digits(images, labels), Digits(held_images, held_labels), Digits(test_images, test_labels)


def train_epoch(model, optimizer, loader, bar):
    """One pass over the training images; returns the mean loss and the accuracy."""
    model.train()
    total = correct = seen = 0
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss, outputs = model.loss(inputs, labels)
        loss.backward()
        optimizer.step()
        count = len(labels)
        total += loss.item() * count
        correct += (outputs.argmax(1) == labels).sum().item()
        seen += count
        bar.set_postfix(loss=f"{total / seen:.3f}", accuracy=f"{correct / seen:.1%}", refresh=False)
        bar.update(count)
    return total / seen, correct / seen


def predict(model, data):
    """The class that the model gives each image."""
    model.eval()
    with swiftnet.no_grad():
        classes = [model(inputs).argmax(1) for inputs, _ in DataLoader(data, batch_size=180)]
    return swiftnet.cat(classes)


def accuracy(model, data):
    return (predict(model, data) == data.labels).sum().item() / len(data)


def set_learning_rate(optimizer, highest, progress):
    """Half a cosine from `highest` down to nearly nothing."""
    for group in optimizer.param_groups:
        group["lr"] = highest * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


def train(name, model, data, held, options, state, save):
    """Trains one network, from where `state` says; `save` is called after each epoch with what has been reached."""
    optimizer = optim.Adam(model.parameters(), lr=options.lr, weight_decay=1e-4)
    history = {"loss": [], "train": [], "validation": []}
    best, best_accuracy, seconds = copy.deepcopy(model.state_dict()), -1.0, 0.0
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        history, best, best_accuracy = state["history"], state["best"], state["best_accuracy"]
        seconds = state["seconds"]
    loader = DataLoader(data, batch_size=options.batch_size, shuffle=True, drop_last=True)
    for epoch in range(len(history["loss"]), options.epochs):
        # So that a run that was stopped and one that was not come to the same weights.
        swiftnet.manual_seed(options.seed + epoch)
        set_learning_rate(optimizer, options.lr, epoch / options.epochs)
        start = time.perf_counter()
        title = f"{name:>8} {epoch + 1:2}/{options.epochs}"
        with tqdm(total=len(loader) * options.batch_size, desc=title, unit=" images", leave=True) as bar:
            loss, correct = train_epoch(model, optimizer, loader, bar)
            reached = accuracy(model, held)
            bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{correct:.1%}", validation=f"{reached:.1%}")
        seconds += time.perf_counter() - start
        for key, value in zip(history, (loss, correct, reached)):
            history[key].append(value)
        if reached >= best_accuracy:
            best, best_accuracy = copy.deepcopy(model.state_dict()), reached
        save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "history": history,
                "best": best,
                "best_accuracy": best_accuracy,
                "seconds": seconds,
            }
        )
    model.load_state_dict(best)
    return history, seconds


def run(options, checkpoint):
    """Trains what the checkpoint has not, and returns the results by network."""
    data, held, test = split_digits()
    settings = {key: getattr(options, key) for key in ("epochs", "batch_size", "lr", "seed")}
    state = {"settings": settings, "results": {}, "current": "", "progress": {}}
    if checkpoint.exists():
        known = None if options.restart else swiftnet.load(checkpoint)
        if known and known["settings"] == settings:
            state = known
            done = len(known["progress"].get("history", {}).get("loss", []))
            print(f"Resuming {checkpoint}: {known['current'] or 'next'} fusion, after epoch {done}.")
            print("`make demo DEMO=--restart` starts over.")
        else:
            print(f"Starting over: {checkpoint} is not used.")
    for name, make in NETWORKS.items():
        if name in state["results"]:
            continue
        swiftnet.manual_seed(options.seed)
        model = make()
        progress = state["progress"] if state["current"] == name else {}

        def save(progress, name=name):
            state.update(current=name, progress=progress)
            swiftnet.save(state, checkpoint)

        history, seconds = train(name, model, data, held, options, progress, save)
        predicted = predict(model, test)
        state["results"][name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "accuracy": (predicted == test.labels).sum().item() / len(test),
            "seconds": seconds,
            "history": history,
            "predicted": predicted.tolist(),
        }
        state.update(current="", progress={})
        swiftnet.save(state, checkpoint)
        swiftnet.save(model.state_dict(), checkpoint.with_name(f"{name}.pt"))
    return state["results"], test


def print_table(results):
    print(f"\n{'fusion':<10}{'parameters':>12}{'test accuracy':>16}{'seconds':>10}")
    for name, result in results.items():
        print(f"{name:<10}{result['parameters']:>12,}{result['accuracy']:>15.2%} {result['seconds']:>9.1f}")


def draw(results, test, folder):
    """Saves the learning curves, and the confusion matrix and the misclassified digits of the best network."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for color, (name, result) in zip(("C0", "C1", "C2"), results.items()):
        history = result["history"]
        epochs = range(1, len(history["loss"]) + 1)
        left.plot(epochs, history["loss"], color, label=name)
        right.plot(epochs, history["train"], color, linestyle=":")
        right.plot(epochs, history["validation"], color, label=name)
    left.set(title="Training loss", xlabel="epoch", yscale="log")
    right.set(title="Accuracy: validation, and training (dotted)", xlabel="epoch", ylim=(0.9, 1.005))
    left.legend(title="fusion")
    right.legend(title="fusion", loc="lower right")
    figure.savefig(folder / "curves.png", dpi=120)

    best = max(results, key=lambda name: results[name]["accuracy"])
    labels, predicted = test.labels.numpy(), np.array(results[best]["predicted"])
    counts = np.zeros((CLASSES, CLASSES), int)
    np.add.at(counts, (labels, predicted), 1)
    figure, axes = plt.subplots(figsize=(5.5, 5), layout="constrained")
    axes.imshow(counts**0.5, cmap="Blues")
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            shade = "white" if row == column else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=shade)
    axes.set(
        title=f"{best} fusion: {results[best]['accuracy']:.2%} of {len(test)} test images",
        xlabel="predicted",
        ylabel="digit",
        xticks=range(CLASSES),
        yticks=range(CLASSES),
    )
    figure.savefig(folder / "confusion.png", dpi=120)

    wrong = np.flatnonzero(labels != predicted)
    columns = 6
    rows = max(math.ceil(len(wrong) / columns), 1)
    figure, axes = plt.subplots(rows, columns, figsize=(9, 1.7 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, wrong):
        axis.imshow(test.images[int(index), 0].numpy(), cmap="gray_r")
        axis.set_title(f"{labels[index]} taken for {predicted[index]}", fontsize=9)
    figure.suptitle(f"{best} fusion: {len(wrong)} misclassified digits")
    figure.savefig(folder / "misclassified.png", dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restart", action="store_true", help="do not go on from a checkpoint")
    parser.add_argument("--folder", type=Path, default=Path("runs/demo"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    checkpoint = options.folder / "checkpoint.pt"
    try:
        results, test = run(options, checkpoint)
    except KeyboardInterrupt:
        kept = f"The last complete epoch is in {checkpoint}" if checkpoint.exists() else "No epoch was complete"
        print(f"\nStopped. {kept}; run again to go on.")
        sys.exit(130)
    print_table(results)
    draw(results, test, options.folder)
    checkpoint.unlink()
    print(f"\nWeights and pictures are in {options.folder}/: curves.png, confusion.png, misclassified.png")


if __name__ == "__main__":
    main()
