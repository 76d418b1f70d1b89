"""What the documentation shows works: examples of docstrings, the program of the README; everything public is
documented; docs/coverage.md is up to date."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import swiftnet

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    {"swiftnet"}
    | {
        info.name
        for info in pkgutil.walk_packages(swiftnet.__path__, "swiftnet.")
        if not info.name.endswith(("_binding", "libswiftnet"))
    }
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    names = {"swiftnet": swiftnet, "nn": swiftnet.nn, "F": swiftnet.nn.functional, "optim": swiftnet.optim}
    result = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_what_is_public_is_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__, name
    bare = [
        f"{name}.{key}"
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == name
        and not value.__doc__
    ]
    assert not bare


def test_program_of_the_readme():
    text = (ROOT / "README.md").read_text()
    program = re.search(r"```python\n(.*?)```", text, re.S)[1]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    loss = float(re.search(r"tensor\(([-+.\de]+)", done.stdout)[1])
    assert loss < 0.01
    assert len([line for line in program.splitlines() if line.strip()]) <= 14


def test_coverage_page_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/make_coverage.py", "--check"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
