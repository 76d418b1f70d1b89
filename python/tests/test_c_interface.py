"""A C program that uses swiftnet.h alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import swiftnet

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CC") or shutil.which("cc") or shutil.which("clang")


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512", "avx512_bf16"])
def test_a_c_program(tmp_path, isa):
    library = Path(swiftnet.__file__).parent
    program = tmp_path / "interface"
    subprocess.run(
        [
            COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", "-g", f"-I{ROOT}/Sources/CSwiftNet/include",
            str(ROOT / "Tests/CInterface/interface.c"), "-o", str(program), f"-L{library}", "-lswiftnet",
            f"-Wl,-rpath,{library}", "-lm",
        ],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [program], capture_output=True, text=True, env={**os.environ, "SWIFTNET_ISA": isa}, timeout=120
    )
    assert done.stdout == "ok\n", done.stderr
    assert done.returncode == 0
