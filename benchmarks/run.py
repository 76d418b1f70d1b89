"""swiftnet beside PyTorch: run by `make bench`.

Everything is measured in one run and in turns; the ratio says how many times faster swiftnet is than PyTorch, each in
the fastest of its settings (images row-major or channels last, compiled or not).
"""

import argparse
import json
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cases
import libraries
import measure
import networks

BUILT_IN = "swiftnet built in"


def peak_operations():
    """Floating-point operations per second at best, of all threads."""
    from swiftnet._core import lib

    return lib.sn_measure_peak()


def settings(images=False, network=False):
    """The libraries that a row compares."""
    result = [libraries.swiftnet(), libraries.torch()]
    if images:
        result.append(libraries.swiftnet(channels_last=True))
    if images or network:
        result.append(libraries.torch(channels_last=True))
    if network:
        result.append(libraries.torch(compiled=True))
    return result


class Table:
    """Rows as they come, on the screen and for the file."""

    def __init__(self):
        self.rows = []
        self._group = None

    def add(self, group, name, times, share=None, unit="s"):
        if group != self._group:
            self._group = group
            print(f"\n{group}\n{'':36}{'swiftnet':>12}{'PyTorch':>12}{'ratio':>8}{'of peak':>9}")
        ours = min((value for key, value in times.items() if key.startswith("swiftnet")), default=None)
        peers = {key: value for key, value in times.items() if not key.startswith("swiftnet")}
        best = min(peers, key=peers.get) if peers else None
        ratio = peers[best] / ours if ours and best else None
        show = show_seconds if unit == "s" else show_bytes
        print(
            f"{name:<36}{show(ours):>12}{show(peers.get(best)):>12}"
            f"{f'{ratio:.2f}' if ratio else '-':>8}{f'{share:.0%}' if share else '':>9}"
            f"  {best.removeprefix('torch ') if best else ''}",
            flush=True,
        )
        self.rows.append(
            {"group": group, "name": name, "unit": unit, "values": times, "ratio": ratio, "share_of_peak": share}
        )


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


def measure_cases(table, options, peak):
    for case in cases.all_cases():
        if not wanted(options, case.group, case.name):
            continue
        times = measure.medians(prepared(settings(images=case.images), case.make), options.rounds, options.seconds)
        ours = min((value for key, value in times.items() if key.startswith("swiftnet")), default=None)
        share = case.operations / ours / peak if case.operations and ours else None
        table.add(case.group, case.name, times, share)


def measure_networks(table, options):
    """Each network out of plain layers, and the built-in model beside the same peers."""
    for name in networks.NETWORKS:
        if wanted(options, "training step", name):
            compared = settings(network=True) if options.compile else settings(images=True)
            functions = prepared(compared, lambda library, name=name: networks.training_step(library, name))
            functions[BUILT_IN] = networks.training_step(libraries.swiftnet(), name, builtin=True)
            times = measure.medians(functions, options.rounds, 5 * options.seconds)
            add_both(table, "training step", name, times)
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import networks; "
        "print(networks.measure_memory(*sys.argv[1:]))"
    )
    for name in networks.NETWORKS:
        if wanted(options, "memory of a training step", name):
            sizes = {library: measure.in_child(program, library, name) for library in ("swiftnet", "torch")}
            sizes[BUILT_IN] = measure.in_child(program, "swiftnet", name, "builtin")
            add_both(table, "memory of a training step", name, sizes, unit="bytes")


def measure_evaluation(table, options):
    """Networks without gradients, beside PyTorch and OpenVINO."""
    for name, numbers in networks.EVALUATED.items():
        for images in numbers:
            row = f"{name.split(',')[0]}, batch of {images}"
            if not wanted(options, "evaluation", row):
                continue
            compared = settings(network=True) if options.compile else settings(images=True)
            functions = prepared(compared, lambda library, n=name, i=images: networks.evaluation(library, n, i))
            functions[BUILT_IN] = networks.evaluation(libraries.swiftnet(), name, images, builtin=True)
            threads = libraries.versions()["threads"]
            try:
                functions["openvino"] = networks.openvino_evaluation(libraries.torch(), name, images, threads)
            except ImportError:
                print("  openvino is not installed: pip install openvino", file=sys.stderr)
            add_both(table, "evaluation", row, measure.medians(functions, options.rounds, 2 * options.seconds))


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
    peak = peak_operations()
    print(f"{platform.machine()}, {swiftnet.get_num_threads()} threads, multiply-add peak {peak / 1e9:.0f} GFLOP/s")
    swiftnet.show_config()
    table = Table()
    measure_cases(table, options, peak)
    measure_custom_losses(table, options)
    measure_networks(table, options)
    measure_evaluation(table, options)
    if wanted(options, "import", "import"):
        table.add("import", "import", {name: measure.import_seconds(name) for name in ("swiftnet", "torch")})
    if options.json:
        result = {"machine": platform.platform(), "versions": libraries.versions(), "peak": peak, "rows": table.rows}
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
