"""Runs every example, shortened, to see that it works."""

import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
ARGUMENTS = {"fusion.py": ["--epochs", "1", "--restart"]}

for name, arguments in ARGUMENTS.items():
    with tempfile.TemporaryDirectory() as folder:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, FOLDER / name, *arguments, "--folder", folder], check=True)
