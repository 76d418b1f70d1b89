"""Random calls must never end the process: see fuzz.py."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("seed", range(6))
def test_no_call_ends_the_process(seed, tmp_path):
    log = tmp_path / "call.txt"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", Path(__file__).with_name("fuzz.py"), str(seed), "3000", log],
        capture_output=True,
        text=True,
        timeout=900,
    )
    last = log.read_text() if log.exists() else "none"
    assert done.returncode == 0, f"seed {seed}, exit code {done.returncode}, last call: {last}\n{done.stderr[-3000:]}"
    outcomes = done.stdout
    assert "'fine'" in outcomes, outcomes
