"""Learning rate schedules, and one adjusted by hand: their curves, and what each reaches on the digits."""

import argparse
from pathlib import Path

import swiftnet
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from swiftnet import metrics, nn, optim
from swiftnet.optim import lr_scheduler
from swiftnet.utils.data import DataLoader, TensorDataset

# Schedules, made from an optimizer, the number of epochs and of steps in each; whether they go on after every step.
SCHEDULES = {
    "constant": (lambda o, n, k: None, False),
    "LambdaLR": (lambda o, n, k: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch), False),
    "MultiplicativeLR": (lambda o, n, k: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9), False),
    "StepLR": (lambda o, n, k: lr_scheduler.StepLR(o, max(n // 3, 1), gamma=0.3), False),
    "MultiStepLR": (lambda o, n, k: lr_scheduler.MultiStepLR(o, [n // 2, 3 * n // 4], gamma=0.2), False),
    "ExponentialLR": (lambda o, n, k: lr_scheduler.ExponentialLR(o, 0.85), False),
    "CosineAnnealingLR": (lambda o, n, k: lr_scheduler.CosineAnnealingLR(o, n), False),
    "ReduceLROnPlateau": (lambda o, n, k: lr_scheduler.ReduceLROnPlateau(o, factor=0.3, patience=1), False),
    "CyclicLR": (lambda o, n, k: lr_scheduler.CyclicLR(o, 0.005, 0.1, step_size_up=2 * k), True),
    "OneCycleLR": (lambda o, n, k: lr_scheduler.OneCycleLR(o, 0.2, total_steps=n * k), True),
    "CosineAnnealingWarmRestarts": (
        lambda o, n, k: lr_scheduler.CosineAnnealingWarmRestarts(o, max(n // 3, 1)),
        False,
    ),
    "by hand": (None, False),
}


def adjust_learning_rate(optimizer, epoch, lr):
    """A tenth after every ten epochs."""
    for param_group in optimizer.param_groups:
        param_group["lr"] = lr * 0.1 ** (epoch // 10)


def train(name, train_data, test_data, options):
    swiftnet.manual_seed(options.seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = optim.SGD(model.parameters(), lr=options.lr, momentum=0.9)
    loader = DataLoader(train_data, batch_size=64, shuffle=True)
    make, each_step = SCHEDULES[name]
    scheduler = make(optimizer, options.epochs, len(loader)) if make else None
    criterion = nn.CrossEntropyLoss()
    rates = []
    for epoch in range(options.epochs):
        total = 0.0
        for images, labels in loader:
            rates.append(optimizer.param_groups[0]["lr"])
            loss = criterion(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            if each_step:
                scheduler.step()
        if make is None:
            adjust_learning_rate(optimizer, epoch + 1, options.lr)
        elif isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(total)
        elif scheduler is not None and not each_step:
            scheduler.step()
    metric = metrics.Accuracy()
    with swiftnet.no_grad():
        metric.update(model(test_data.tensors[0]), test_data.tensors[1])
    return rates, total / len(loader), metric.value()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs/schedules"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    split = train_test_split(digits.images, digits.target, test_size=0.25, random_state=0, stratify=digits.target)
    images = [swiftnet.tensor(part, dtype=swiftnet.float32) / 8 - 1 for part in split[:2]]
    train_data, test_data = (TensorDataset(x, swiftnet.tensor(y)) for x, y in zip(images, split[2:]))

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 4, figsize=(13, 7), layout="constrained")
    print(f"{'schedule':<30}{'last rate':>12}{'loss':>10}{'accuracy':>10}")
    for axis, name in zip(axes.flat, SCHEDULES):
        rates, loss, accuracy = train(name, train_data, test_data, options)
        print(f"{name:<30}{rates[-1]:>12.2e}{loss:>10.4f}{accuracy:>10.2%}")
        axis.plot(rates)
        axis.set(title=f"{name}: {accuracy:.1%}", xlabel="step")
    figure.savefig(options.folder / "schedules.png", dpi=110)
    print(f"\nThe curves are in {options.folder / 'schedules.png'}")


if __name__ == "__main__":
    main()
