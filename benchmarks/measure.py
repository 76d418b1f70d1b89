"""Timing: libraries in turns, so that a slow moment of the machine meets all of them."""

import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path


def force(result):
    """Waits for a result that may be computed late, by asking for its address."""
    if result is None:
        return
    if isinstance(result, (tuple, list)):
        for part in result:
            force(part)
        return
    result.data_ptr()


def seconds(function, repeats):
    start = time.perf_counter()
    for _ in range(repeats):
        force(function())
    return (time.perf_counter() - start) / repeats


def medians(functions, rounds=7, budget=1.0, between=None):
    """Median seconds of each function, run in turns.

    Args:
        functions: by name.
        rounds: how many turns.
        budget: seconds that one function may take altogether, about.
        between: called once in each turn, to measure something of its own.
    """
    repeats = {}
    for name, function in functions.items():
        seconds(function, 1)
        once = max(seconds(function, 1), 1e-8)
        repeats[name] = max(1, min(10_000, int(budget / rounds / once)))
    times = {name: [] for name in functions}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, function in functions.items():
                # The other library's threads may still spin, and its data fill the caches: not this one's fault.
                time.sleep(0.005)
                seconds(function, 1)
                times[name].append(seconds(function, repeats[name]))
            if between is not None:
                time.sleep(0.005)
                between()
    finally:
        gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def in_child(program, *arguments):
    """What a Python program prints, as a float, from a process of its own.

    That process may keep compiled Python files, as it does by default: those of an installed library are there.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.strip().splitlines()[-1])


IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def import_seconds(module, rounds=5):
    """Median seconds of importing a module in a fresh interpreter."""
    in_child(IMPORT.format(module))
    return statistics.median(in_child(IMPORT.format(module)) for _ in range(rounds))


def peak_bytes():
    """The most memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells on Linux includes the parent's size at the time of the fork.
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
