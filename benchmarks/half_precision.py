"""Half precision beside float32: single operations on tensors of each dtype, and training steps with autocast.

    python benchmarks/half_precision.py

Forward and backward together; the ratio says how many times faster than float32. docs/half_precision.md holds the
results.
"""

import time

import swiftnet
from measure import force
from swiftnet import models, nn
from swiftnet.models.cifar_resnet import ResNet as PlainResNet

PRECISIONS = (swiftnet.float32, swiftnet.bfloat16, swiftnet.float16)


def seconds(call, budget=0.6):
    """The fastest of as many calls as the budget allows. Results that may be computed late are waited for."""
    force(call())
    best, end = float("inf"), time.perf_counter() + budget
    while time.perf_counter() < end:
        start = time.perf_counter()
        force(call())
        best = min(best, time.perf_counter() - start)
    return best


def product(m, k, n):
    def make(dtype):
        a, b = (swiftnet.randn(s, dtype=dtype, requires_grad=True) for s in ((m, k), (k, n)))
        gradient = swiftnet.randn(m, n, dtype=dtype)
        return lambda: swiftnet.autograd.grad(a @ b, [a, b], gradient)

    return f"product {m}×{k} · {k}×{n}", make


def convolution(n, c, size, out, kernel, groups=1):
    def make(dtype):
        x = swiftnet.randn(n, c, size, size, dtype=dtype, requires_grad=True)
        w = swiftnet.randn(out, c // groups, kernel, kernel, dtype=dtype, requires_grad=True)
        gradient = swiftnet.randn(n, out, size, size, dtype=dtype)

        def call():
            y = nn.functional.conv2d(x, w, padding=kernel // 2, groups=groups)
            return swiftnet.autograd.grad(y, [x, w], gradient)

        return call

    kind = "depthwise " if groups == c else ""
    return f"{kind}convolution {kernel}×{kernel}, {n}×{c}×{size}×{size} to {out}", make


def elementwise(count):
    def make(dtype):
        x, y = swiftnet.randn(count, dtype=dtype), swiftnet.randn(count, dtype=dtype)
        return lambda: (x * y + x).relu().sum()

    return f"relu(x · y + x), {count} elements", make


def perceptron():
    return nn.Sequential(nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1024))


def training(name, network, shape, outputs):
    def make(dtype):
        swiftnet.manual_seed(1)
        model = network()
        optimizer = swiftnet.optim.SGD(model.parameters(), lr=0.01)
        x, y = swiftnet.randn(shape), swiftnet.randint(0, outputs, (shape[0],))

        def call():
            with swiftnet.autocast("cpu", dtype, enabled=dtype is not swiftnet.float32):
                loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return call

    return f"training: {name}", make


ROWS = [
    product(1024, 1024, 1024),
    product(64, 4096, 4096),
    product(8, 1024, 1024),
    convolution(8, 256, 28, 256, 1),
    convolution(8, 64, 56, 64, 3),
    convolution(8, 256, 14, 256, 3),
    convolution(8, 64, 28, 64, 5),
    convolution(8, 64, 56, 64, 3, groups=64),
    elementwise(1 << 22),
    training("linear layers, 256×1024", perceptron, (256, 1024), 1024),
    training("ResNet-50, 4×3×224×224", models.resnet50, (4, 3, 224, 224), 1000),
    training("ResNet of 34 layers, 32×3×32×32", PlainResNet, (32, 3, 32, 32), 10),
]


def main():
    print(f"{'':<46}" + "".join(f"{str(d).partition('.')[2]:>18}" for d in PRECISIONS))
    for name, make in ROWS:
        times = [seconds(make(dtype)) for dtype in PRECISIONS]
        cells = [f"{t * 1e3:.1f} ms" + (f" ({times[0] / t:.2f})" if i else "") for i, t in enumerate(times)]
        print(f"{name:<46}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
