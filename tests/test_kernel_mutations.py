"""The tests of kernels and delegate can fail: what is off by one anywhere is caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from spoilt_copy import copied, replaced, run_tests

TESTS = {"kernels": "tests/test_native_kernels.py", "delegate": "tests/test_partitions.py"}
# File, what stands there, and what is off by one.
MUTATIONS = [
    (
        "kernels/bconv2d/portable.c",
        "results[c] = product + tile->offset[c];",
        "results[c] = product;",
    ),
    ("kernels/bconv2d/portable.c", "rest >= 0.5f", "rest > 0.5f"),
    ("kernels/bconv2d/portable.c", "> tile->threshold[c]", ">= tile->threshold[c]"),
    ("kernels/bconv2d/portable.c", "PER_HALF_BYTE = 3", "PER_HALF_BYTE = 5"),
    ("kernels/bconv2d/portable.c", "PER_BYTE = 30", "PER_BYTE = 33"),
    ("kernels/bconv2d/x86_avx2_count.S", "WORDS_IN_BYTES 7 /*", "WORDS_IN_BYTES 8 /*"),
    ("kernels/bconv2d/x86_avx2_count.S", "next_pixel 4, r12", "next_pixel 3, r12"),
    ("kernels/bconv2d/x86_avx2.c", "MOST_WORDS = 2047", "MOST_WORDS = 2049"),
    ("kernels/bconv2d/x86_avx2.c", "pixels[p] + j * NIBBLES", "pixels[p]"),
    ("kernels/bconv2d/x86_avx2.c", "if (count >= 8) {", "if (count >= 7) {"),
    ("kernels/bconv2d/x86_avx2.c", "0x1.fffffep-2f", "0.5f"),
    ("kernels/bconv2d/x86_avx2.c", "left >= 32", "left >= 31"),
    (
        "kernels/bconv2d/x86_avx2.c",
        "(BNN_NIBBLES_TILE - tile->channels)",
        "(BNN_NIBBLES_TILE - 1 - tile->channels % 63)",
    ),
    (
        "kernels/bconv2d/weights.c",
        "known->bytes == bytes && !memcmp",
        "known->bytes == bytes || !memcmp",
    ),
    ("kernels/bconv2d/padded.c", "(size_t)padded->rows.dilation, across", "1, across"),
    ("kernels/bconv2d/padded.c", "across == 1 && ", ""),
    ("kernels/bconv2d/padded.c", "padded->group_words == padded->channel_words", "true"),
    ("kernels/bconv2d/run.c", "shift + (left < 32 ? left : 32) > 32", "shift + left > 64"),
    ("kernels/bconv2d/output.c", "(sum_of_padding + 1) / 2", "sum_of_padding / 2"),
    ("kernels/quantize/portable.c", "float, x[i] < 0", "float, x[i] <= 0"),
    ("kernels/quantize/portable.c", "x[i] < zero_point", "x[i] <= zero_point"),
    ("kernels/quantize/x86_avx2.c", "_CMP_LT_OQ", "_CMP_LE_OQ"),
    ("kernels/quantize/x86_avx2.c", "lanes_below(left - i)", "lanes_below(left - i - 1)"),
    ("kernels/quantize/x86_avx2.c", "cmpgt_epi8(zero, bytes)", "cmpeq_epi8(zero, bytes)"),
    ("kernels/quantize/x86_avx2.c", "x[i] < zero_point", "x[i] <= zero_point"),
    ("kernels/quantize/portable.c", "x[i] == 0", "x[i] <= 1"),
    ("kernels/dequantize/portable.c", "i % 32", "i % 31"),
    ("kernels/dequantize/dequantize.c", "+ 0.5)", "+ 0.4)"),
    ("kernels/bmaxpool2d/portable.c", "output[w] &= pixel[w]", "output[w] |= pixel[w]"),
    ("kernels/threads.c", "  wake(threads, &threads->workers_asleep, &threads->start);\n", ""),
    ("kernels/threads.c", "begin, begin + share)", "begin, begin + share - share / 2)"),
    ("kernels/window.c", "missing / 2", "(missing + 1) / 2"),
    ("delegate/partition.c", "other->last_use < value", "other->last_use <= value"),
    ("delegate/partition.c", "        j = -1;", ""),
    ("delegate/partition.c", "inputs[j]].last_use = i;", "inputs[j]].last_use = i - 1;"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return copied(tmp_path_factory.mktemp("copy"))


def build(folder: Path) -> None:
    # CMake and Ninja are installed with the tests, beside Python, which need not be on the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in ("cmake -G Ninja -S export -B built", "cmake --build built"):
        environment = {**os.environ, "PATH": path}
        subprocess.run(
            command.split(), cwd=folder, check=True, capture_output=True, env=environment
        )
    shutil.copy(folder / "built/libkeras_bnn.so", folder / "keras_bnn/runtime/libkeras_bnn.so")


@pytest.mark.slow
@pytest.mark.parametrize("part", TESTS)
def test_untouched_it_passes(copy, part):
    build(copy)
    done = run_tests(copy, TESTS[part])
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("file", "right", "wrong"), MUTATIONS)
def test_what_is_off_by_one_is_caught(copy, file, right, wrong):
    with replaced(copy / "export" / file, right, wrong):
        build(copy)
        done = run_tests(copy, TESTS[file.split("/")[0]])
    # What writes past its end may be caught by the C library, which ends the process.
    assert done.returncode == 1 or done.returncode < 0, done.stdout
