"""The tests of the kernels can fail: a kernel that is off by one anywhere is caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KERNELS = "export/kernels"
# File, what stands there, what is off by one, and the tests that have to notice.
MUTATIONS = [
    ("bconv2d/portable.c", "results[c] = product + tile->offset[c];", "results[c] = product;"),
    ("bconv2d/portable.c", "rest >= 0.5f", "rest > 0.5f"),
    ("bconv2d/portable.c", "> tile->threshold[c]", ">= tile->threshold[c]"),
    ("bconv2d/portable.c", "WORDS_PER_SUM = 31", "WORDS_PER_SUM = 32"),
    ("bconv2d/x86_avx2.c", "WORDS_PER_SUM = 31", "WORDS_PER_SUM = 32"),
    ("bconv2d/x86_avx2.c", "if (count >= 8) {", "if (count >= 7) {"),
    ("bconv2d/x86_avx2.c", "_mm256_set1_ps(0.5f), _CMP_GE_OQ", "_mm256_set1_ps(0.5f), _CMP_GT_OQ"),
    ("bconv2d/x86_avx2.c", "(32 - tile->channels)", "(31 - tile->channels % 31)"),
    ("bconv2d/output.c", "(sum_of_padding + 1) / 2", "sum_of_padding / 2"),
    ("bconv2d/taps.c", "column < columns->size", "column <= columns->size"),
    ("quantize/portable.c", "float, x[i] < 0", "float, x[i] <= 0"),
    ("quantize/portable.c", "x[i] < zero_point", "x[i] <= zero_point"),
    ("quantize/x86_avx2.c", "_CMP_LT_OQ", "_CMP_LE_OQ"),
    ("quantize/x86_avx2.c", "lanes_below(left - i)", "lanes_below(left - i - 1)"),
    ("dequantize/portable.c", "i % 32", "i % 31"),
    ("dequantize/dequantize.c", "+ 0.5)", "+ 0.4)"),
    ("bmaxpool2d/portable.c", "output[w] &= pixel[w]", "output[w] |= pixel[w]"),
    ("window.c", "missing / 2", "(missing + 1) / 2"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Package, tests and kernels, where they may be spoilt."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("export", "keras_bnn", "tests"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def build(folder: Path) -> None:
    commands = [
        ["cmake", "-G", "Ninja", "-S", "export", "-B", "built"],
        ["cmake", "--build", "built"],
    ]
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    shutil.copy(folder / "built/libkeras_bnn.so", folder / "keras_bnn/runtime/libkeras_bnn.so")


def run_kernel_tests(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "tests/test_native_kernels.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_untouched_kernels_pass(copy):
    build(copy)
    assert run_kernel_tests(copy).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("file", "right", "wrong"), MUTATIONS)
def test_a_kernel_that_is_off_by_one_is_caught(copy, file, right, wrong):
    path = copy / KERNELS / file
    text = path.read_text()
    assert right in text
    try:
        path.write_text(text.replace(right, wrong, 1))
        build(copy)
        done = run_kernel_tests(copy)
    finally:
        path.write_text(text)
    # What writes past its end may be caught by the C library, which ends the process.
    assert done.returncode == 1 or done.returncode < 0, done.stdout
