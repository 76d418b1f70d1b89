"""Training with Winograd's algorithm and without: the loss and the accuracy of seed 004's ResNet on handwritten
digits, several seeds each. Writes a plot and prints the numbers. Needs scikit-learn and matplotlib.

python benchmarks/winograd_training.py [--steps 200] [--seeds 5] [--file docs/winograd_training.png]
"""

import argparse
from pathlib import Path

import libraries
import networks
import numpy as np
import swiftnet
import swiftnet.nn.functional as F

TRAINED = 1500
BATCH = 64


def digits():
    """scikit-learn's 1,797 digits as images of 3×32×32, and their classes."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = swiftnet.tensor((loaded.images / 8 - 1).astype(np.float32)).unsqueeze(1)
    images = F.interpolate(images, size=(32, 32), mode="bilinear").expand(-1, 3, -1, -1).contiguous()
    return images, swiftnet.tensor(loaded.target.astype(np.int64))


def train(images, labels, seed, steps):
    """The losses of the steps, and the accuracy on the images that were held out."""
    model = networks.make(libraries.swiftnet(), "ResNet of small images, 128×3×32×32", seed=seed).train()
    optimizer = swiftnet.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    schedule = swiftnet.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in range(steps):
        batch = swiftnet.randperm(TRAINED)[:BATCH]
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    model.eval()
    with swiftnet.no_grad():
        right = model(images[TRAINED:]).argmax(1) == labels[TRAINED:]
    return losses, right.float().mean().item()


def plot(path, curves):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for name, losses in curves.items():
        # Over ten steps each, so that single batches do not hide the course.
        smooth = np.mean(np.reshape(losses, (len(losses), -1, 10)), axis=2)
        steps = 10 * np.arange(1, smooth.shape[1] + 1)
        (line,) = axes.plot(steps, smooth.mean(0), label=f"{name}, mean of {len(losses)} seeds")
        axes.fill_between(steps, smooth.min(0), smooth.max(0), color=line.get_color(), alpha=0.2)
    axes.set(xlabel="step", ylabel="cross entropy", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="a multiple of 10")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--file", type=Path, default=Path(__file__).parent.parent / "docs" / "winograd_training.png")
    options = parser.parse_args()
    images, labels = digits()
    curves = {"Winograd": [], "direct": []}
    for seed in range(options.seeds):
        for name, losses in curves.items():
            with swiftnet.backends.winograd.flags(enabled=name == "Winograd"):
                curve, accuracy = train(images, labels, seed, options.steps)
            losses.append(curve)
            means = [float(f"{part.mean():.3g}") for part in np.array_split(np.array(curve), 4)]
            print(f"seed {seed}, {name:>8}: accuracy {accuracy:.4f}, mean loss of the quarters {means}", flush=True)
    plot(options.file, curves)


if __name__ == "__main__":
    main()
