"""swiftnet beside PyTorch: run by `make bench`.

Everything is measured in one run and in turns; the ratio says how many times faster swiftnet is than PyTorch, each in
the fastest of its settings (images row-major or channels last, compiled or not).
"""

import argparse
import functools
import json
import platform
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cases
import libraries
import measure
import networks

BUILT_IN = "swiftnet built in"


class Peak:
    """Floating-point operations per second at best, of all threads: measured in turns with a row, since a machine that
    others use too, or that grows hot, changes within minutes."""

    def __init__(self):
        self.rates = []

    def __call__(self):
        from swiftnet._core import lib

        self.rates.append(lib.sn_measure_peak())

    @property
    def median(self):
        return statistics.median(self.rates)


def settings(images=False, compiled=False):
    """The libraries that a row compares."""
    result = [libraries.swiftnet(), libraries.torch()]
    if images:
        result += [libraries.swiftnet(channels_last=True), libraries.torch(channels_last=True)]
    if compiled:
        result.append(libraries.torch(compiled=True))
    return result


class Table:
    """Rows as they come, on the screen and for the file."""

    def __init__(self):
        self.rows = []
        self._group = None

    def add(self, group, name, times, operations=None, peak=None, unit="s"):
        if group != self._group:
            self._group = group
            print(f"\n{group}\n{'':36}{'swiftnet':>12}{'PyTorch':>12}{'ratio':>8}{'of peak':>9}")
        ours = min((value for key, value in times.items() if key.startswith("swiftnet")), default=None)
        peers = {key: value for key, value in times.items() if not key.startswith("swiftnet")}
        best = min(peers, key=peers.get) if peers else None
        ratio = peers[best] / ours if ours and best else None
        share = operations / ours / peak if operations and ours else None
        show = show_seconds if unit == "s" else show_bytes
        print(
            f"{name:<36}{show(ours):>12}{show(peers.get(best)):>12}"
            f"{f'{ratio:.2f}' if ratio else '-':>8}{f'{share:.0%}' if share else '':>9}"
            f"  {best.removeprefix('torch ') if best else ''}",
            flush=True,
        )
        row = {"group": group, "name": name, "unit": unit, "values": times, "ratio": ratio}
        self.rows.append({**row, "peak": peak, "share_of_peak": share})


def show_seconds(value):
    if value is None:
        return "-"
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e9:.0f} ns"


def show_bytes(value):
    return "-" if value is None else f"{value / 2**20:.0f} MB"


def prepared(compared, make):
    """The function to time for each library. One that a library cannot do is left out, and the reason shown."""
    functions = {}
    for library in compared:
        try:
            function = make(library)
            function()
        except Exception as error:
            print(f"  {library.name}: {type(error).__name__}: {str(error).splitlines()[0][:100]}", file=sys.stderr)
        else:
            functions[library.name] = function
    return functions


def wanted(options, group, name):
    return not options.only or any(part in f"{group}: {name}" for part in options.only)


def measure_cases(table, options):
    for case in cases.all_cases():
        if not wanted(options, case.group, case.name):
            continue
        compared = settings(images=case.images, compiled=case.compiled and options.compile)
        peak = Peak() if case.operations else None
        times = measure.medians(prepared(compared, case.make), options.rounds, options.seconds, between=peak)
        table.add(case.group, case.name, times, case.operations, peak.median if peak else None)


def measure_training(table, options, group, names, half=False):
    """Each network out of plain layers, and the built-in model beside the same peers."""
    for name in names:
        if wanted(options, group, name):
            make = functools.partial(networks.training_step, name=name, half=half)
            functions = prepared(settings(images=True, compiled=options.compile), make)
            functions[BUILT_IN] = make(libraries.swiftnet(), builtin=True)
            add_both(table, group, name, measure.medians(functions, options.rounds, 5 * options.seconds))


def measure_memory(table, options):
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import networks; "
        "print(networks.measure_memory(*sys.argv[1:]))"
    )
    for name in networks.NETWORKS:
        if wanted(options, "memory of a training step", name):
            sizes = {library: measure.in_child(program, library, name) for library in ("swiftnet", "torch")}
            sizes[BUILT_IN] = measure.in_child(program, "swiftnet", name, "builtin")
            add_both(table, "memory of a training step", name, sizes, unit="bytes")


def measure_evaluation(table, options, group, names, half=False):
    """Networks without gradients, beside PyTorch and OpenVINO."""
    threads = libraries.versions()["threads"]
    for name in names:
        for images in networks.EVALUATED[name]:
            row = f"{name.split(',')[0]}, batch of {images}"
            if not wanted(options, group, row):
                continue
            make = functools.partial(networks.evaluation, name=name, images=images, half=half)
            functions = prepared(settings(images=True, compiled=options.compile), make)
            functions[BUILT_IN] = make(libraries.swiftnet(), builtin=True)
            try:
                functions["openvino"] = networks.openvino_evaluation(libraries.torch(), name, images, threads, half)
            except ImportError:
                print("  openvino is not installed: pip install openvino", file=sys.stderr)
            add_both(table, group, row, measure.medians(functions, options.rounds, 2 * options.seconds))


def add_both(table, group, name, values, unit="s"):
    """A row for the network out of plain layers, and one for the built-in model."""
    builtin = values.pop(BUILT_IN)
    table.add(group, name, values, unit=unit)
    peers = {key: value for key, value in values.items() if not key.startswith("swiftnet")}
    table.add(group, f"{name}, built in", {"swiftnet": builtin, **peers}, unit=unit)


def measure_custom_losses(table, options):
    """Losses that a user writes beside the built-in ones: the seven-figure map of a segmentation, both ways."""
    group = "loss written in Python beside the built-in one, 16×21×128²"
    if not wanted(options, group, "custom"):
        return
    import swiftnet
    from swiftnet import losses

    sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
    import custom_losses

    library = libraries.swiftnet()
    x = library.random(16, 21, 128, 128, requires_grad=True)
    target = (library.random(16, 21, 128, 128, seed=1) > 0.5).to(swiftnet.float32)

    def step(loss):
        def run():
            x.grad = None
            loss(x, target).backward()
            return x.grad

        return run

    for name in ("DiceLoss", "DiceBCELoss", "IoULoss", "FocalLoss"):
        functions = {"swiftnet": step(getattr(custom_losses, name)()), "built in": step(getattr(losses, name)())}
        table.add(group, name, measure.medians(functions, options.rounds, options.seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    parser.add_argument("--only", action="append", help="only rows with this in their group or name; may be repeated")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each library")
    parser.add_argument("--seconds", type=float, default=0.7, help="time of one library in one row, about")
    parser.add_argument("--threads", type=int, help="threads of both libraries")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="leave torch.compile out")
    options = parser.parse_args()
    import swiftnet
    import torch

    if options.threads:
        swiftnet.set_num_threads(options.threads)
    torch.set_num_threads(swiftnet.get_num_threads())
    print(f"{platform.machine()}, {swiftnet.get_num_threads()} threads")
    swiftnet.show_config()
    table = Table()
    measure_cases(table, options)
    measure_custom_losses(table, options)
    measure_training(table, options, "training step", networks.NETWORKS)
    measure_training(table, options, "training step, bfloat16", networks.HALF, half=True)
    measure_memory(table, options)
    measure_evaluation(table, options, "evaluation", networks.EVALUATED)
    measure_evaluation(table, options, "evaluation, bfloat16", networks.EVALUATED_HALF, half=True)
    if wanted(options, "import", "import"):
        table.add("import", "import", {name: measure.import_seconds(name) for name in ("swiftnet", "torch")})
    if options.json:
        result = {"machine": platform.platform(), "versions": libraries.versions(), "rows": table.rows}
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
