"""The AVX-512 kernels where no processor has AVX-512: their intrinsics in plain C.

Where one has it, `test_native_kernels` runs them as they are.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLAIN_C = Path(__file__).parent / "avx512_in_plain_c.h"
FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-ffp-contract=off", "-I{0}/include", "-I{0}/kernels")


def compile_library(export: Path, objects: Path, library: Path) -> None:
    """Compiles all there is, and makes the processor say that it has every instruction set."""
    for source in [*export.rglob("kernels/**/*.c"), *export.rglob("delegate/*.c")]:
        special = []
        if "avx512" in source.name:
            special = ["-include", PLAIN_C]
        elif "avx2" in source.name:
            special = ["-mavx2"]
        name = "_".join(source.relative_to(export).with_suffix(".o").parts)
        command = ["cc", *(flag.format(export) for flag in FLAGS), *special]
        command += ["-D__builtin_cpu_supports(name)=1", "-c", source, "-o", objects / name]
        subprocess.run(command, check=True)
    subprocess.run(
        ["cc", "-shared", *objects.glob("*.o"), "-lm", "-pthread", "-o", library], check=True
    )


@pytest.mark.slow
def test_avx512_kernels_in_plain_c(tmp_path):
    assert platform.machine() == "x86_64"
    for name in ("keras_bnn", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "objects").mkdir()
    compile_library(
        ROOT / "export", tmp_path / "objects", tmp_path / "keras_bnn/runtime/libkeras_bnn.so"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "tests/test_native_kernels.py", "-k", "avx512"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("avx512] PASSED") >= 10
