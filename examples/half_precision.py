"""Mixed precision: the same network trained in float32, and with autocast in bfloat16 and in float16.

With autocast, products and convolutions run in half precision; weights, losses and updates stay in float32. float16 has
few exponents, so its gradients are scaled (GradScaler); bfloat16 needs no scaling.
"""

import argparse
import time
from pathlib import Path

import swiftnet
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from swiftnet import metrics, models, nn, optim
from swiftnet.amp import GradScaler, autocast
from swiftnet.utils.data import DataLoader, TensorDataset


def digits(size):
    """Images (N, 3, size, size) and labels, for training and for testing."""
    data = load_digits()
    images = swiftnet.tensor(data.images, dtype=swiftnet.float32).unsqueeze(1) / 8 - 1
    images = nn.functional.interpolate(images, size=(size, size), mode="bilinear").repeat(1, 3, 1, 1)
    order = train_test_split(range(len(images)), test_size=0.25, random_state=0, stratify=data.target)
    labels = swiftnet.tensor(data.target)
    return [TensorDataset(images[part], labels[part]) for part in order]


def train(dtype, data, options):
    swiftnet.manual_seed(options.seed)
    model = models.resnet18(num_classes=10, width=options.width)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    enabled = dtype is not swiftnet.float32
    scaler = GradScaler("cpu", enabled=dtype is swiftnet.float16)
    start = time.perf_counter()
    for _ in range(options.epochs):
        for x, y in DataLoader(data, batch_size=64, shuffle=True, drop_last=True):
            with autocast("cpu", dtype=dtype if enabled else swiftnet.bfloat16, enabled=enabled):
                output = model(x)
                loss = nn.functional.cross_entropy(output, y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    return model, output.dtype, loss.item(), time.perf_counter() - start


def accuracy(model, data):
    model.eval()
    metric = metrics.Accuracy()
    with swiftnet.no_grad():
        for x, y in DataLoader(data, batch_size=256):
            metric.update(model(x), y)
    return metric.value()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--width", type=int, default=16, help="planes of the first stage; 64 is ResNet-18 proper")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="not used: nothing is written")
    options = parser.parse_args()
    train_data, test_data = digits(options.size)
    print(f"{'precision':<12}{'output':>18}{'last loss':>12}{'accuracy':>12}{'seconds':>10}")
    for dtype in (swiftnet.float32, swiftnet.bfloat16, swiftnet.float16):
        model, output, loss, seconds = train(dtype, train_data, options)
        name = str(dtype).partition(".")[2]
        print(f"{name:<12}{output!s:>18}{loss:>12.4f}{accuracy(model, test_data):>12.2%}{seconds:>10.1f}")


if __name__ == "__main__":
    main()
