"""What is built: a wheel with the library, tagged for its platform, or pure Python that says so."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from keras_bnn.runtime import native

ROOT = Path(__file__).parent.parent
# What LiteRT's own wheel asks for.
NEWEST_GLIBC = (2, 27)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The files of the source distribution alone."""
    folder = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.so", "*.egg-info")
    shutil.copytree(ROOT, folder, ignore=ignore, dirs_exist_ok=True)
    return folder


def build(source, out, *options, **environment):
    return subprocess.run(
        [sys.executable, "-m", "build", "--outdir", out, *options, source],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BNN_NATIVE": "", **environment},
    )


def tag_of(wheel: Path) -> str:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("/WHEEL")]
    return re.search(r"^Tag: (.*)$", archive.read(name).decode(), re.MULTILINE).group(1)


def libraries_in(wheel: Path) -> list[str]:
    return [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]


@pytest.mark.slow
def test_sdist_and_wheel(source, tmp_path):
    """The wheel is built from the source distribution, so that holds all it takes."""
    done = build(source, tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert len(list(tmp_path.glob("*.tar.gz"))) == 1
    assert libraries_in(wheel) == ["keras_bnn/runtime/libkeras_bnn.so"]
    assert re.fullmatch(r"py3-none-\w*linux\w*", tag_of(wheel))
    assert wheel.stat().st_size < 1_000_000


@pytest.mark.slow
def test_a_folder_builds_more_than_once(source, tmp_path):
    """Each time in an environment of its own, whose tools are gone the next time."""
    for _ in range(2):
        done = build(source, tmp_path, "--wheel", KERAS_BNN_NATIVE="1")
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_without_a_compiler_it_is_pure_python_and_says_so(source, tmp_path):
    done = build(source, tmp_path, "--wheel", CC="/bin/false")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert libraries_in(wheel) == []
    assert tag_of(wheel) == "py3-none-any"
    assert "WARNING: pure Python, without 1-bit kernels: " in done.stdout + done.stderr


@pytest.mark.slow
def test_who_asks_for_the_library_gets_it_or_an_error(source, tmp_path):
    done = build(source, tmp_path, "--wheel", CC="/bin/false", KERAS_BNN_NATIVE="1")
    assert done.returncode != 0
    assert "The library of 1-bit kernels was not built: " in done.stdout + done.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_the_library_needs_little():
    """Of glibc nothing newer than LiteRT needs, no C++, and no path of the machine it is from."""
    path = native.library_path()
    dynamic = subprocess.run(["readelf", "-dV", path], capture_output=True, text=True, check=True)
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic.stdout))
    assert needed <= {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2"}
    assert "RUNPATH" not in dynamic.stdout
    assert "RPATH" not in dynamic.stdout
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", dynamic.stdout)
    assert max((int(major), int(minor)) for major, minor in versions) <= NEWEST_GLIBC


def test_the_library_exports_its_own_names_alone():
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", native.library_path()],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.split()[-1] for line in symbols.stdout.splitlines()}
    assert "tflite_plugin_create_delegate" in names
    assert {name for name in names if not name.startswith(("bnn_", "tflite_plugin_"))} == set()


def test_the_example_in_c(tmp_path):
    """Sums of 3, 1 and −3, twice that, plus 0.5."""
    library = native.library_path()
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/export/include"]
    command += [ROOT / "examples/binary_convolution.c", library, f"-Wl,-rpath,{library.parent}"]
    subprocess.run([*command, "-o", tmp_path / "example"], check=True)
    done = subprocess.run([tmp_path / "example"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["6.5", "2.5", "-5.5"]
