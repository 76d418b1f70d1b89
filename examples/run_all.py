"""Runs every example, shortened, to see that it works."""

import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
ARGUMENTS = {
    "fusion.py": ["--epochs", "1", "--restart"],
    "multi_label.py": ["--epochs", "2", "--scenes", "200"],
    "multi_task.py": ["--epochs", "3"],
    "custom_losses.py": ["--epochs", "2", "--scenes", "60"],
    "schedules.py": ["--epochs", "4"],
    "fine_tune.py": ["--epochs", "2"],
    "half_precision.py": ["--epochs", "1"],
    "segmentation.py": ["--epochs", "1", "--scenes", "32", "--weights", "0", "0.4", "--seeds", "1"],
    "cifar10.py": ["--digits", "60", "--epochs", "2", "--batch-size", "32", "--width", "16", "--augment"],
    "scenes.py": ["--count", "2"],
}


def main():
    for name, arguments in ARGUMENTS.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"== {name}", flush=True)
            subprocess.run([sys.executable, FOLDER / name, *arguments, "--folder", folder], check=True)


if __name__ == "__main__":
    main()
