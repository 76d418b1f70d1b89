"""How the cost of a training step grows, beside PyTorch: with the batch, the image, the depth, the number of branches
and of threads. Writes a plot for each to docs/scaling/ and prints the numbers. Needs matplotlib.

python benchmarks/scaling.py [--only batch] [--folder docs/scaling]
"""

import argparse
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

import libraries
import measure


def blocks(library, depth, width=64):
    """A plain convolutional network: `depth` blocks of convolution, batch norm, ReLU."""
    nn = library.nn
    layers = [nn.Conv2d(3, width, 3, padding=1)]
    for _ in range(depth):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def branched(library, branches, width=32):
    """Model fusion: a small extractor for each branch, features concatenated."""
    nn, root = library.nn, library.root

    class Fusion(nn.Module):
        def __init__(self):
            super().__init__()
            self.extractors = nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(True), nn.MaxPool2d(2),
                    nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(True),
                    nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                )
                for _ in range(branches)
            )  # fmt: skip
            self.classifier = nn.Linear(branches * width, 10)

        def forward(self, x):
            return self.classifier(root.cat([extractor(x) for extractor in self.extractors], dim=1))

    return Fusion()


def step(library, model, batch, size):
    """A function that does one training step."""
    model = library.prepare(model.train())
    optimizer = library.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    inputs, labels = library.random(batch, 3, size, size), library.labels(batch, classes=10)

    def run():
        optimizer.zero_grad()
        loss = library.F.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss

    return run


# By name: the label of the axis, its values, and what makes a step of a library for a value.
AXES = {
    "batch": ("images in a batch of 32×32", (1, 4, 16, 64, 256), lambda m, n: step(m, blocks(m, 4), n, 32)),
    "image": ("side of the image, batch of 2", (32, 64, 128, 256, 512), lambda m, n: step(m, blocks(m, 4), 2, n)),
    "depth": ("blocks, batch of 16, 32×32", (2, 8, 32, 64), lambda m, n: step(m, blocks(m, n), 16, 32)),
    "branches": ("branches, batch of 16, 32×32", (1, 2, 4, 8, 16), lambda m, n: step(m, branched(m, n), 16, 32)),
}


def compared(make):
    return {
        "swiftnet": make(libraries.swiftnet()),
        "PyTorch": make(libraries.torch()),
        "PyTorch channels_last": make(libraries.torch(channels_last=True)),
    }


def measure_axis(name, options):
    label, values, make = AXES[name]
    rows = {}
    for value in values:
        rows[value] = measure.medians(
            compared(lambda library, value=value: make(library, value)), options.rounds, options.seconds
        )
        report(name, value, rows[value])
    return label, rows


def measure_threads(options):
    """One thread and two, in turns: the step of a batch of 64, and what the processor does without any memory."""
    import swiftnet
    import torch
    from swiftnet._core import lib

    before = swiftnet.get_num_threads()
    counts, peaks = (1, 2), {1: [], 2: []}

    def use(threads):
        swiftnet.set_num_threads(threads)
        torch.set_num_threads(threads)

    def on(threads, run):
        def timed():
            use(threads)
            return run()

        return timed

    def peak():
        for threads in counts:
            use(threads)
            peaks[threads].append(lib.sn_measure_peak())

    runs = compared(lambda library: step(library, blocks(library, 4), 64, 32))
    functions = {(n, name): on(n, run) for name, run in runs.items() for n in counts}
    times = measure.medians(functions, options.rounds, options.seconds, between=peak)
    use(before)
    rows = {n: {name: times[n, name] for name in runs} for n in counts}
    for n in counts:
        report("threads", n, rows[n])
    for name in runs:
        print(f"  two threads, {name}: {rows[1][name] / rows[2][name]:.2f} times as fast as one")
    print(f"  two threads, multiply-adds in registers: {median(peaks[2]) / median(peaks[1]):.2f}")
    return "threads, batch of 64, 32×32", rows


def report(axis, value, times):
    print(f"{axis:>9} {value:>4}  " + "  ".join(f"{name} {1e3 * t:.2f} ms" for name, t in times.items()), flush=True)


def plot(path, label, rows):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.5))
    for name in next(iter(rows.values())):
        axes.plot(list(rows), [1e3 * times[name] for times in rows.values()], "o-", label=name)
    axes.set(xlabel=label, ylabel="ms per training step", xscale="log", yscale="log")
    axes.set_xticks(list(rows), [str(value) for value in rows])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*AXES, "threads"], help="one axis")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "docs" / "scaling")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="time of one library for one value, about")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else [*AXES, "threads"]:
        label, rows = measure_threads(options) if name == "threads" else measure_axis(name, options)
        plot(options.folder / f"{name}.png", label, rows)


if __name__ == "__main__":
    main()
