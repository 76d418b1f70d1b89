"""Many operations, layers and small networks beside eager PyTorch, the slowest last: what to look at next. `run.py` has
the goals, each measured with care; here each line takes half a second.

python benchmarks/survey.py [--only text] [--seconds 0.25] [--worst 30]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import libraries
import measure

MATRIX, LARGE, IMAGE, MAPS = (1024, 1024), (2048, 2048), (16, 64, 56, 56), (16, 21, 128, 128)

# Without gradients: the library's root, and tensors of these shapes.
OPERATIONS = {
    "a[mask]": ([MATRIX], lambda m, a: a[a > 0]),
    "a @ v": ([LARGE, (2048,)], lambda m, a, v: a @ v),
    "abs log": ([LARGE], lambda m, a: a.abs().log()),
    "addcmul": ([LARGE, LARGE], lambda m, a, b: m.addcmul(a, a, b, value=0.5)),
    "all of rows": ([LARGE], lambda m, a: (a > -5).all(1)),
    "arange": ([(1,)], lambda m, a: m.arange(1_000_000)),
    "argmax of channels": ([MAPS], lambda m, a: a.argmax(1)),
    "argmax of columns": ([LARGE], lambda m, a: a.argmax(0)),
    "argsort": ([MATRIX], lambda m, a: a.argsort(1)),
    "atan2": ([MATRIX, MATRIX], lambda m, a, b: m.atan2(a, b)),
    "bernoulli": ([MATRIX], lambda m, a: m.bernoulli(a.sigmoid())),
    "bmm, 512 of 32³": ([(512, 32, 32), (512, 32, 32)], lambda m, a, b: m.bmm(a, b)),
    "bucketize": ([(100,), (100_000,)], lambda m, a, b: m.bucketize(b, a.sort().values)),
    "cat of columns": ([(4096, 100), (4096, 100)], lambda m, a, b: m.cat([a, b], -1)),
    "cdist": ([(512, 128), (512, 128)], lambda m, a, b: m.cdist(a, b)),
    "cholesky": ([(256, 256)], lambda m, a: m.linalg.cholesky(a @ a.T + m.eye(256) * 10)),
    "clamp": ([LARGE], lambda m, a: a.clamp(0, 1)),
    "cov": ([(256, 1024)], lambda m, a: m.cov(a)),
    "cross": ([(100_000, 3), (100_000, 3)], lambda m, a, b: m.cross(a, b, dim=1)),
    "cummax": ([MATRIX], lambda m, a: a.cummax(1).values),
    "cumprod": ([MATRIX], lambda m, a: a.cumprod(1)),
    "cumsum": ([MATRIX], lambda m, a: a.cumsum(1)),
    "det": ([(256, 256)], lambda m, a: m.linalg.det(a)),
    "double": ([LARGE], lambda m, a: a.double()),
    "eigh": ([(128, 128)], lambda m, a: m.linalg.eigh(a @ a.T)[0]),
    "einsum bchw,dc->bdhw": ([(16, 64, 28, 28), (128, 64)], lambda m, a, b: m.einsum("bchw,dc->bdhw", a, b)),
    "embedding_bag": ([(1000, 64)], lambda m, a: m.nn.functional.embedding_bag(m.arange(25600).view(256, -1) % 999, a)),
    "erf": ([LARGE], lambda m, a: a.erf()),
    "expand, product, sum": ([(256, 64), (256, 64)], lambda m, a, b: (a.unsqueeze(1) * b.unsqueeze(0)).sum(-1)),
    "flip": ([LARGE], lambda m, a: a.flip(1)),
    "floor_divide": ([MATRIX, MATRIX], lambda m, a, b: a // b),
    "fmod": ([MATRIX, MATRIX], lambda m, a, b: m.fmod(a, b)),
    "fold": ([(8, 144, 3136)], lambda m, a: m.nn.functional.fold(a, (56, 56), 3, padding=1)),
    "gather": ([(256, 1000)], lambda m, a: a.gather(1, m.arange(25600).view(256, 100) % 1000)),
    "histc": ([MATRIX], lambda m, a: a.histc(100)),
    "index_select of columns": ([(256, 1000)], lambda m, a: a.index_select(1, m.arange(4096) % 1000)),
    "int32 product": ([MATRIX], lambda m, a: (a * 10).int() * 3),
    "int64 sum": ([MATRIX], lambda m, a: (a * 10).long() + 3),
    "inv": ([(256, 256)], lambda m, a: m.linalg.inv(a)),
    "kron": ([(64, 64), (32, 32)], lambda m, a, b: m.kron(a, b)),
    "kthvalue": ([MATRIX], lambda m, a: a.kthvalue(10, 1).values),
    "lerp": ([LARGE, LARGE], lambda m, a, b: m.lerp(a, b, 0.3)),
    "linspace": ([(1,)], lambda m, a: m.linspace(0, 1, 1_000_000)),
    "logcumsumexp": ([MATRIX], lambda m, a: a.logcumsumexp(1)),
    "logical and": ([LARGE, LARGE], lambda m, a, b: (a > 0) & (b > 0)),
    "logsumexp": ([(4096, 256)], lambda m, a: a.logsumexp(1)),
    "masked_fill": ([LARGE], lambda m, a: a.masked_fill(a < 0, 0)),
    "matrix_exp": ([(128, 128)], lambda m, a: m.matrix_exp(a * 0.01)),
    "max of channels": ([IMAGE], lambda m, a: a.max(1).values),
    "mean of channels": ([IMAGE], lambda m, a: a.mean(1, keepdim=True)),
    "mean of images": ([IMAGE], lambda m, a: a.mean((0, 2, 3))),
    "median of rows": ([MATRIX], lambda m, a: a.median(1).values),
    "multinomial": ([(256, 1000)], lambda m, a: m.multinomial(a.abs(), 10, replacement=True)),
    "nonzero": ([MATRIX], lambda m, a: (a > 0).nonzero()),
    "norm of rows": ([(4096, 256)], lambda m, a: a.norm(dim=1)),
    "normalize": ([(4096, 256)], lambda m, a: m.nn.functional.normalize(a, dim=1)),
    "one_hot": ([(1,)], lambda m, a: m.nn.functional.one_hot(m.arange(4096) % 1000, 1000)),
    "pad with zeros": ([IMAGE], lambda m, a: m.nn.functional.pad(a, (1, 1, 1, 1))),
    "permute, contiguous": ([IMAGE], lambda m, a: a.permute(0, 2, 3, 1).contiguous()),
    "pixel_unshuffle": ([IMAGE], lambda m, a: m.nn.functional.pixel_unshuffle(a, 2)),
    "power of tensors": ([MATRIX, MATRIX], lambda m, a, b: a.abs() ** b),
    "qr": ([(256, 256)], lambda m, a: m.linalg.qr(a)[0]),
    "quantile of rows": ([MATRIX], lambda m, a: a.quantile(0.3, 1)),
    "randint": ([(1,)], lambda m, a: m.randint(0, 10, (1024, 1024))),
    "randn": ([(1,)], lambda m, a: m.randn(1024, 1024)),
    "randperm": ([(1,)], lambda m, a: m.randperm(100_000)),
    "remainder": ([MATRIX, MATRIX], lambda m, a, b: m.remainder(a, b)),
    "repeat_interleave": ([(256, 1024)], lambda m, a: a.repeat_interleave(4, 1)),
    "roll": ([LARGE], lambda m, a: a.roll(5, 0)),
    "rot90": ([MATRIX], lambda m, a: a.rot90()),
    "round": ([LARGE], lambda m, a: a.round()),
    "searchsorted": ([(10_000,), (100_000,)], lambda m, a, b: m.searchsorted(a.sort().values, b)),
    "sin": ([LARGE], lambda m, a: a.sin()),
    "softmax of channels": ([MAPS], lambda m, a: a.softmax(1)),
    "solve": ([(256, 256), (256, 16)], lambda m, a, b: m.linalg.solve(a, b)),
    "sort": ([MATRIX], lambda m, a: a.sort(1).values),
    "sort of a million": ([(1_000_000,)], lambda m, a: a.sort().values),
    "std": ([LARGE], lambda m, a: a.std()),
    "svd": ([(128, 128)], lambda m, a: m.linalg.svd(a)[1]),
    "topk, 10": ([MATRIX], lambda m, a: a.topk(10, 1).values),
    "topk, 100": ([MATRIX], lambda m, a: a.topk(100, 1).values),
    "transpose, contiguous": ([LARGE], lambda m, a: a.t().contiguous()),
    "tril": ([MATRIX], lambda m, a: a.tril()),
    "unfold, contiguous": ([(16, 16, 56, 56)], lambda m, a: a.unfold(2, 3, 1).contiguous()),
    "unique": ([(256, 1024)], lambda m, a: (a * 10).long().unique()),
    "where": ([LARGE, LARGE], lambda m, a, b: m.where(a > 0, a, b)),
}  # fmt: skip

# Forward and backward: the layers' module, the input's shape.
LAYERS = {
    "AdaptiveAvgPool2d, 7": (IMAGE, lambda nn: nn.AdaptiveAvgPool2d(7)),
    "AvgPool2d, 3, stride 2": (IMAGE, lambda nn: nn.AvgPool2d(3, 2, 1)),
    "BatchNorm1d": ((256, 1024), lambda nn: nn.BatchNorm1d(1024)),
    "Conv1d, 1 to 32 channels, 9": ((64, 1, 2048), lambda nn: nn.Conv1d(1, 32, 9)),
    "Conv1d, 64 to 128 channels, 5": ((32, 64, 512), lambda nn: nn.Conv1d(64, 128, 5, padding=2)),
    "Conv2d, 1 to 6 channels, 5×5": ((64, 1, 28, 28), lambda nn: nn.Conv2d(1, 6, 5)),
    "Conv2d, 3 to 64 channels, 3×3": ((32, 3, 64, 64), lambda nn: nn.Conv2d(3, 64, 3, padding=1)),
    "Conv2d, 32 to 64 channels, 5×5": ((32, 32, 28, 28), lambda nn: nn.Conv2d(32, 64, 5, padding=2)),
    "Conv2d, 64 channels, 1×7": ((16, 64, 35, 35), lambda nn: nn.Conv2d(64, 64, (1, 7), padding=(0, 3))),
    "Conv2d, 96 groups, 7×7": ((8, 96, 56, 56), lambda nn: nn.Conv2d(96, 96, 7, 1, 3, groups=96)),
    "Conv2d, 256 to 21 channels, 1×1": ((8, 256, 56, 56), lambda nn: nn.Conv2d(256, 21, 1)),
    "Conv3d, 3 to 8 channels, stride 2": ((2, 3, 32, 64, 64), lambda nn: nn.Conv3d(3, 8, 3, 2, 1)),
    "Conv3d, 16 to 32 channels": ((4, 16, 16, 32, 32), lambda nn: nn.Conv3d(16, 32, 3, padding=1)),
    "ConvTranspose2d, 2×2": ((16, 64, 28, 28), lambda nn: nn.ConvTranspose2d(64, 32, 2, 2)),
    "ConvTranspose2d, 4×4, to 3": ((16, 64, 32, 32), lambda nn: nn.ConvTranspose2d(64, 3, 4, 2, 1)),
    "ConvTranspose3d, 2×2×2": ((4, 16, 16, 16, 16), lambda nn: nn.ConvTranspose3d(16, 8, 2, 2)),
    "Dropout2d": (IMAGE, lambda nn: nn.Dropout2d(0.3)),
    "GELU": (IMAGE, lambda nn: nn.GELU()),
    "GLU": (IMAGE, lambda nn: nn.GLU(1)),
    "GroupNorm": (IMAGE, lambda nn: nn.GroupNorm(8, 64)),
    "Hardswish": (IMAGE, lambda nn: nn.Hardswish()),
    "InstanceNorm2d": (IMAGE, lambda nn: nn.InstanceNorm2d(64)),
    "LayerNorm": ((32, 128, 512), lambda nn: nn.LayerNorm(512)),
    "Linear": ((256, 1024), lambda nn: nn.Linear(1024, 1024)),
    "MaxPool1d": ((32, 64, 2048), lambda nn: nn.MaxPool1d(2)),
    "MaxPool2d": (IMAGE, lambda nn: nn.MaxPool2d(2)),
    "Mish": (IMAGE, lambda nn: nn.Mish()),
    "PReLU": (IMAGE, lambda nn: nn.PReLU()),
    "PixelShuffle": ((16, 64, 28, 28), lambda nn: nn.PixelShuffle(2)),
    "ReLU": (IMAGE, lambda nn: nn.ReLU()),
    "ReLU6": (IMAGE, lambda nn: nn.ReLU6()),
    "ReflectionPad2d": (IMAGE, lambda nn: nn.ReflectionPad2d(1)),
    "ReplicationPad2d": (IMAGE, lambda nn: nn.ReplicationPad2d(1)),
    "SiLU": (IMAGE, lambda nn: nn.SiLU()),
    "Sigmoid": (IMAGE, lambda nn: nn.Sigmoid()),
    "Softmax of rows": ((32, 8, 128, 128), lambda nn: nn.Softmax(-1)),
    "Tanh": (IMAGE, lambda nn: nn.Tanh()),
    "Unfold": ((8, 16, 56, 56), lambda nn: nn.Unfold(3, padding=1)),
    "Upsample, bicubic": ((4, 16, 56, 56), lambda nn: nn.Upsample(scale_factor=2, mode="bicubic")),
    "Upsample, bilinear": (IMAGE, lambda nn: nn.Upsample(scale_factor=2, mode="bilinear")),
    "Upsample, bilinear to half": (IMAGE, lambda nn: nn.Upsample(scale_factor=0.5, mode="bilinear")),
    "Upsample, nearest": (IMAGE, lambda nn: nn.Upsample(scale_factor=2)),
    "Upsample, trilinear": ((2, 8, 16, 32, 32), lambda nn: nn.Upsample(scale_factor=2, mode="trilinear")),
}


def convolutions(nn, *widths, kernel=3, pool=2):
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        yield from (nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.BatchNorm2d(outputs), nn.ReLU(True))
        yield nn.MaxPool2d(pool)


# A training step and an evaluation: the input's shape, and the network.
NETWORKS = {
    "LeNet": ((64, 1, 28, 28), lambda nn: [
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ]),
    "convolutions of digits": ((64, 1, 28, 28), lambda nn: [
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    ]),
    "three linear layers": ((64, 784), lambda nn: [
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10),
    ]),
    "VGG of small images": ((64, 3, 32, 32), lambda nn: [
        *convolutions(nn, 3, 64, 128, 256, 512, 512), nn.Flatten(), nn.Linear(512, 10),
    ]),
    "discriminator": ((64, 3, 32, 32), lambda nn: [
        nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2, True), nn.Conv2d(64, 128, 4, 2, 1), nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2, True), nn.Conv2d(128, 256, 4, 2, 1), nn.BatchNorm2d(256), nn.LeakyReLU(0.2, True),
        nn.Conv2d(256, 10, 4), nn.Flatten(),
    ]),
    "generator": ((64, 100, 1, 1), lambda nn: [
        nn.ConvTranspose2d(100, 256, 4, 1, 0, bias=False), nn.BatchNorm2d(256), nn.ReLU(True),
        nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(True),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
        nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh(), nn.Flatten(),
    ]),
    "convolutions of signals": ((32, 3, 1000), lambda nn: [
        nn.Conv1d(3, 32, 7, padding=3), nn.BatchNorm1d(32), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(32, 64, 5, padding=2),
        nn.BatchNorm1d(64), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 10),
    ]),
}  # fmt: skip


def operation(library, shapes, function):
    inputs = [library.random(*shape, seed=i) for i, shape in enumerate(shapes)]

    def run():
        with library.root.no_grad():
            return function(library.root, *inputs)

    return run


def both_ways(library, shape, build):
    layer = build(library.nn)
    x = library.random(*shape, requires_grad=True)
    y = layer(x)
    gradient = library.random(*y.shape, seed=1)

    def run():
        x.grad = None
        for parameter in layer.parameters():
            parameter.grad = None
        layer(x).backward(gradient)
        return [x.grad, *(parameter.grad for parameter in layer.parameters())]

    return run


def network(library, shape, build, training):
    model = library.nn.Sequential(*build(library.nn)).train(training)
    x = library.random(*shape)
    labels = library.labels(shape[0], classes=10)
    optimizer = library.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def step():
        optimizer.zero_grad()
        loss = library.F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    def evaluate():
        with library.root.no_grad():
            return model(x)

    return step if training else evaluate


def lines():
    """(name, function of a library that gives what is timed)"""
    for name, (shapes, function) in OPERATIONS.items():
        yield name, lambda library, a=shapes, b=function: operation(library, a, b)
    for name, (shape, build) in LAYERS.items():
        yield f"{name}, both ways", lambda library, a=shape, b=build: both_ways(library, a, b)
    for name, (shape, build) in NETWORKS.items():
        yield f"{name}, training step", lambda library, a=shape, b=build: network(library, a, b, True)
        yield f"{name}, evaluation", lambda library, a=shape, b=build: network(library, a, b, False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="lines whose name contains this text")
    parser.add_argument("--seconds", type=float, default=0.25, help="for each line and library (default 0.25)")
    parser.add_argument("--worst", type=int, default=30, help="how many of the slowest to print again (default 30)")
    options = parser.parse_args()
    peers = {"swiftnet": libraries.swiftnet(), "torch": libraries.torch()}
    peers["torch"].root.set_num_threads(peers["swiftnet"].root.get_num_threads())
    found = []
    for name, build in lines():
        if options.only not in name:
            continue
        times = measure.medians({key: build(library) for key, library in peers.items()}, 5, options.seconds)
        found.append((times["torch"] / times["swiftnet"], name, times["swiftnet"], times["torch"]))
        show(found[-1])
    print(f"\n{sum(line[0] < 1 for line in found)} of {len(found)} are slower than PyTorch's; the slowest:")
    for line in sorted(found)[: options.worst]:
        show(line)


def show(line):
    ratio, name, ours, theirs = line
    print(f"{ratio:6.2f}  {name:48}{ours * 1e3:9.3f} ms{theirs * 1e3:10.3f} ms", flush=True)


if __name__ == "__main__":
    main()
