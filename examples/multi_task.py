"""Two tasks from one trunk: which digit an image shows, and how much ink it has; the losses are added."""

import argparse
from pathlib import Path

import swiftnet
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from swiftnet import metrics, nn, optim
from swiftnet.utils.data import DataLoader, TensorDataset


class MultiTask(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.BatchNorm2d(2 * channels), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        self.digit = nn.Linear(2 * channels * 16, 10)
        self.ink = nn.Linear(2 * channels * 16, 1)

    def forward(self, x):
        features = self.trunk(x)
        return self.digit(features), self.ink(features).squeeze(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--ink-weight", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="not used: nothing is written")
    options = parser.parse_args()

    digits = load_digits()
    split = train_test_split(digits.images, digits.target, test_size=0.25, random_state=0, stratify=digits.target)
    images = [swiftnet.tensor(part, dtype=swiftnet.float32).unsqueeze(1) / 16 for part in split[:2]]
    labels = [swiftnet.tensor(part) for part in split[2:]]
    ink = [part.mean(dim=(1, 2, 3)) * 10 for part in images]
    train, test = (TensorDataset(*parts) for parts in zip(images, labels, ink))

    swiftnet.manual_seed(options.seed)
    model = MultiTask(16)
    a, b = nn.CrossEntropyLoss(), nn.MSELoss()
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(options.epochs):
        model.train()
        sums = [0.0, 0.0]
        loader = DataLoader(train, batch_size=64, shuffle=True)
        for x, x_labels, y_labels in loader:
            output_x, output_y = model(x)
            loss_a, loss_b = a(output_x, x_labels), b(output_y, y_labels)
            loss = loss_a + options.ink_weight * loss_b
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sums = [s + part.item() / len(loader) for s, part in zip(sums, (loss_a, loss_b))]
        print(f"epoch {epoch + 1:2}  classification {sums[0]:.4f}  regression {sums[1]:.4f}")

    model.eval()
    accuracy, errors = metrics.Accuracy(), metrics.RegressionErrors()
    with swiftnet.no_grad():
        for x, x_labels, y_labels in DataLoader(test, batch_size=256):
            output_x, output_y = model(x)
            accuracy.update(output_x, x_labels)
            errors.update(output_y, y_labels)
    print(f"accuracy {accuracy.value():.2%}, error of the ink (RMSE) {errors.value():.4f}")


if __name__ == "__main__":
    main()
