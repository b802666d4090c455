"""The NEON kernels where no processor has NEON: cross-compiled, and under QEMU.

They are compared with the portable ones; where a processor has NEON, `test_native_kernels` compares
them with `reference`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from spoilt_copy import copied, replaced

pytestmark = pytest.mark.slow
CASES = "1500"
# Without dot products, which end in SIGILL there, in order and out of it; and with them.
PROCESSORS = ["cortex-a53", "cortex-a72", "cortex-a76"]
# File, what stands there, and what is off by one.
MUTATIONS = [
    ("bconv2d/arm_neon_count.S", "WORDS_IN_BYTES 31 /*", "WORDS_IN_BYTES 32 /*"),
    ("bconv2d/arm_neon_count.S", "add NOW, NOW, ROOM", "add NOW, NOW, #0"),
    ("bconv2d/arm_neon_count.S", "mov WIDENED, #0", "mov WIDENED, #1"),
    ("bconv2d/arm_neon_count.S", "tbz NOW, #0, 6f", "b 6f"),
    ("bconv2d/arm_neon.c", "MOST_WORDS = 2047", "MOST_WORDS = 2049"),
    ("bconv2d/arm_neon.c", "places[p] += 4 * j", "places[p] += j"),
    ("bconv2d/arm_neon.c", "places[pixels] = places[pixels - 1]", "places[pixels] = 0"),
    ("bconv2d/arm_neon.c", "return vmaxvq_f32(factor)", "return true || vmaxvq_f32(factor)"),
    ("bconv2d/arm_neon.c", "vmaxnmq_f32(low, least)", "vmaxq_f32(low, least)"),
    ("bconv2d/arm_neon.c", "vcvtaq_s32_f32(low)", "vcvtnq_s32_f32(low)"),
    ("bconv2d/arm_neon.c", "steps |= tile->late ? LATE : EARLY", "steps |= EARLY"),
    ("bconv2d/arm_neon.c", "vcgtq_s32(x.val[0]", "vcgeq_s32(x.val[0]"),
    ("bconv2d/arm_neon.c", "exist & bits_of_u8x32", "bits_of_u8x32"),
    ("quantize/arm_neon.c", "vcltzq_f32(vld1q_f32(x + i))", "vclezq_f32(vld1q_f32(x + i))"),
    ("quantize/arm_neon.c", "vcltq_s8", "vcleq_s8"),
    ("quantize/arm_neon.c", "(left + 31) / 32", "left / 32"),
    ("dequantize/arm_neon.c", "bit = vshlq_n_u32(bit, 4)", "bit = vshlq_n_u32(bit, 3)"),
    ("bmaxpool2d/arm_neon.c", "all &=", "all |="),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return copied(tmp_path_factory.mktemp("copy"))


def built(folder: Path) -> Path:
    """The program, with its library beside it, for aarch64."""
    library, program = folder / "built/libkeras_bnn.so", folder / "built/isa_against_portable"
    # CMake and Ninja are installed with the tests, beside Python, which need not be on the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={folder}/export/aarch64-linux-gnu.cmake"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{library.parent}"]
    source = "tests/isa_against_portable.c"
    for command in (
        ["cmake", "-G", "Ninja", "-S", "export", "-B", "built", toolchain],
        ["cmake", "--build", "built"],
        ["aarch64-linux-gnu-gcc", *flags, "-Iexport/include", source, library, "-o", program],
    ):
        environment = {**os.environ, "PATH": path}
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    return program


def compare(program: Path, processor: str) -> subprocess.CompletedProcess:
    qemu = ["qemu-aarch64", "-cpu", processor, "-L", "/usr/aarch64-linux-gnu"]
    return subprocess.run([*qemu, program, "neon", CASES], capture_output=True, text=True)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_neon_kernels_equal_the_portable_ones(copy, processor):
    done = compare(built(copy), processor)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "right", "wrong"), MUTATIONS)
def test_a_neon_kernel_that_is_off_by_one_is_caught(copy, file, right, wrong):
    with replaced(copy / "export/kernels" / file, right, wrong):
        done = compare(built(copy), "cortex-a72")
    # What reads or writes where nothing is ends the process.
    assert done.returncode == 1 or done.returncode < 0, done.stdout + done.stderr
