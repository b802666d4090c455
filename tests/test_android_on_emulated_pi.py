"""The kernels and the delegate of Android's library, with glibc in the place of Android's libc.

Needs what `test_on_emulated_pi.py` needs, and Debian's clang, lld and cross compiler. A mutex has
40 bytes in Android and 48 in glibc, which touches the last 8 only where it sets one up.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from emulated_board import PYTHON, EmulatedBoard

pytestmark = [pytest.mark.emulated_pi, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent
PACKAGE = "import keras_bnn, pathlib; print(pathlib.Path(keras_bnn.__file__).parent)"
MAPS = """
from keras_bnn.runtime import native
native.instruction_set()
print(open("/proc/self/maps").read())
"""


def stand_in(name, folder):
    """A library of that name that is empty, and brings glibc along."""
    command = ["aarch64-linux-gnu-gcc", "-shared", "-nostartfiles", "-x", "c", "/dev/null"]
    flags = ["-Wl,--no-as-needed", f"-Wl,-soname,{name}", "-o", folder / name]
    subprocess.run([*command, *flags], check=True)


def test_the_kernels_and_the_delegate():
    board = EmulatedBoard.named("pi5")
    suite = board.home / "android"
    shutil.rmtree(suite, ignore_errors=True)
    package = board.output(PYTHON, "-c", PACKAGE).strip()
    shutil.copytree(board.root / package.lstrip("/"), suite / "keras_bnn")
    shutil.copytree(ROOT / "tests", suite / "tests")
    shutil.copy(ROOT / "pyproject.toml", suite)
    build = ROOT / "export" / "android" / "build.sh"
    subprocess.run([build, suite / "keras_bnn" / "runtime"], check=True)
    for name in ("libc.so", "libm.so"):
        stand_in(name, suite)

    variables = ["PYTHONPATH=/home/pi/android", "LD_LIBRARY_PATH=/home/pi/android"]
    pytest_there = ["env", *variables, PYTHON, "-m", "pytest", "-c", "android/pyproject.toml"]
    files = [f"android/tests/test_{name}.py" for name in ("native_kernels", "delegate")]
    options = ["-m", "not slow and not lce", "-o", "timeout=900"]
    board.output(*pytest_there, *options, *files)
    # That it was this library that ran: nothing else needs these names.
    maps = board.output("env", *variables, PYTHON, "-c", MAPS)
    assert "/android/libc.so" in maps
    assert "/android/keras_bnn/runtime/libkeras_bnn.so" in maps
