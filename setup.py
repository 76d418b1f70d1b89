"""Builds the Swift library and the Python glue around it. Needs Swift 6.3 and a C compiler."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel

ROOT = Path(__file__).resolve().parent
# The tests build the library together with XCTest, in a folder of their own: see Makefile.
SCRATCH = ROOT / os.environ.get("SWIFTNET_SCRATCH", ".build")
SWIFT_FLAGS = os.environ.get("SWIFTNET_SWIFT_FLAGS", "--product swiftnet").split()
LIBRARY = "libswiftnet.dylib" if sys.platform == "darwin" else "libswiftnet.so"


def replace(source, target):
    """Copies a library beside its place and moves it there: a process that has the old one loaded keeps it."""
    beside = target.with_suffix(".new")
    shutil.copy2(source, beside)
    os.replace(beside, target)


class BuildSwift(build_ext):
    """`swift build`, then the glue, which links against the result; both go into the package."""

    def run(self):
        if shutil.which("swift") is None:
            raise SystemExit("swiftnet is written in Swift: install Swift 6.3 and make sure that `swift` is on PATH")
        subprocess.run(
            ["swift", "build", "-c", "release", "--scratch-path", str(SCRATCH), *SWIFT_FLAGS], cwd=ROOT, check=True
        )
        built = SCRATCH / "release" / LIBRARY
        replace(built, ROOT / "python/swiftnet" / LIBRARY)
        super().run()
        if not self.inplace:
            replace(built, Path(self.build_lib) / "swiftnet" / LIBRARY)


class LimitedWheel(bdist_wheel):
    """One wheel for all versions of CPython from 3.10."""

    def finalize_options(self):
        self.py_limited_api = "cp310"
        super().finalize_options()


setup(
    cffi_modules=["python/build_binding.py:ffibuilder"],
    cmdclass={"build_ext": BuildSwift, "bdist_wheel": LimitedWheel},
)
