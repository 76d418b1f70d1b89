"""Builds the Swift library and the Python glue around it. Needs Swift 6.3 and a C compiler."""

import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext
from wheel.bdist_wheel import bdist_wheel

ROOT = Path(__file__).resolve().parent
LIBRARY = "libswiftnet.dylib" if sys.platform == "darwin" else "libswiftnet.so"


class BuildSwift(build_ext):
    """`swift build`, then the glue, which links against the result; both go into the package."""

    def run(self):
        command = ["swift", "build", "-c", "release", "--product", "swiftnet"]
        if sys.platform != "darwin":
            command += ["-Xswiftc", "-static-stdlib", "-Xlinker", "-s"]
        scratch = ROOT / ".build"
        command += ["--scratch-path", str(scratch)]
        if shutil.which("swift") is None:
            raise SystemExit("swiftnet is written in Swift: install Swift 6.3 and make sure that `swift` is on PATH")
        subprocess.run(command, cwd=ROOT, check=True)
        built = scratch / "release" / LIBRARY
        shutil.copy2(built, ROOT / "python/swiftnet" / LIBRARY)
        super().run()
        if not self.inplace:
            shutil.copy2(built, Path(self.build_lib) / "swiftnet" / LIBRARY)


class LimitedWheel(bdist_wheel):
    """One wheel for all versions of CPython from 3.10."""

    def finalize_options(self):
        self.py_limited_api = "cp310"
        super().finalize_options()


setup(
    cffi_modules=["python/build_binding.py:ffibuilder"],
    cmdclass={"build_ext": BuildSwift, "bdist_wheel": LimitedWheel},
)
