"""Mixed precision: the residual network of 34 layers trained in float32, and with autocast in bfloat16 and float16.

With autocast, products and convolutions run in half precision; weights, losses and updates stay in float32. float16 has
few exponents, so its gradients are scaled (GradScaler); bfloat16 needs no scaling. What it costs and gains is measured
in docs/half_precision.md.
"""

import argparse
import time
from pathlib import Path

import swiftnet
from digits import accuracy, digit_images
from swiftnet import nn, optim
from swiftnet.amp import GradScaler, autocast
from swiftnet.models.cifar_resnet import ResNet
from swiftnet.utils.data import DataLoader


def train(dtype, seed, data, options):
    swiftnet.manual_seed(seed)
    model = ResNet(width=options.width)
    loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True)
    optimizer = optim.SGD(model.parameters(), lr=options.lr, momentum=0.9, weight_decay=1e-4)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.epochs * len(loader))
    enabled = dtype is not swiftnet.float32
    scaler = GradScaler("cpu", enabled=dtype is swiftnet.float16)
    start = time.perf_counter()
    for _ in range(options.epochs):
        for x, y in loader:
            with autocast("cpu", dtype=dtype if enabled else swiftnet.bfloat16, enabled=enabled):
                output = model(x)
                loss = nn.functional.cross_entropy(output, y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scale = scaler.get_scale()
            scaler.update()
            if scaler.get_scale() >= scale:  # else the gradients were infinite, and the step was left out
                scheduler.step()
    return model, loss.item(), time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--width", type=int, default=16, help="channels of the first stage; 64 in the original")
    parser.add_argument("--lr", type=float, default=0.05, help="the greatest learning rate")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--folder", type=Path, default=None, help="not used: nothing is written")
    options = parser.parse_args()
    train_data, test_data = digit_images(options.size)
    precisions = (swiftnet.float32, swiftnet.bfloat16, swiftnet.float16)
    found = {dtype: [] for dtype in precisions}
    print(f"{'precision':<12}{'seed':>6}{'last loss':>12}{'accuracy':>12}{'seconds':>10}")
    for seed in options.seeds:
        for dtype in precisions:
            model, loss, seconds = train(dtype, seed, train_data, options)
            found[dtype].append(accuracy(model, test_data))
            name = str(dtype).partition(".")[2]
            print(f"{name:<12}{seed:>6}{loss:>12.4f}{found[dtype][-1]:>12.2%}{seconds:>10.1f}", flush=True)
    means = {dtype: sum(values) / len(values) for dtype, values in found.items()}
    for dtype in precisions[1:]:
        change = 100 * (means[dtype] - means[swiftnet.float32])
        print(f"{str(dtype).partition('.')[2]} against float32: {change:+.2f} percentage points")


if __name__ == "__main__":
    main()
