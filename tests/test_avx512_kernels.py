"""The AVX-512 kernels where no processor has AVX-512: their intrinsics in plain C, sanitized.

Where one has it, `test_native_kernels` runs them as they are.
"""

import platform
import subprocess
from pathlib import Path

import pytest
from spoilt_copy import copied, replaced, run_tests

PLAIN_C = Path(__file__).parent / "avx512_in_plain_c.h"
FLAGS = ["-std=gnu11", "-O1", "-fPIC", "-ffp-contract=off", "-Wno-psabi"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
# File, what stands there, and what is off by one.
MUTATIONS = [
    ("bconv2d/x86_avx512.c", "count < 16 ?", "count < 15 ?"),
    ("bconv2d/x86_avx512.c", "channels > 16", "channels > 17"),
    ("bconv2d/x86_avx512.c", "popcnt_epi32(_mm512_xor_si512(word, second))", "setzero_si512()"),
    ("bconv2d/x86_avx512.c", "0x1.fffffep-2f", "0.5f"),
    ("bconv2d/x86_avx512.c", "_mm512_min_ps(_mm512_set1_ps(127), x)", "x"),
    ("bconv2d/x86_avx512.c", "tile->corrections && tile->late", "false"),
    ("quantize/x86_avx512.c", "_CMP_LT_OQ", "_CMP_LE_OQ"),
    ("quantize/x86_avx512.c", "exists >> 16", "exists >> 17"),
    ("quantize/x86_avx512.c", "count <= 32", "count < 32"),
    ("quantize/x86_avx512.c", "(64 - count)", "(63 - count % 64)"),
]


def compile_file(folder: Path, source: Path) -> None:
    """Compiles it so that the processor seems to have every instruction set."""
    special = []
    if "avx512" in source.name:
        special = ["-include", PLAIN_C]
    elif "avx2" in source.name:
        special = ["-mavx2"]
    name = "_".join(source.relative_to(folder).with_suffix(".o").parts)
    folders = ["-Iexport/include", "-Iexport/kernels"]
    special.append("-D__builtin_cpu_supports(name)=1")
    command = ["gcc", *FLAGS, *SANITIZE, *folders, *special, "-c", source]
    subprocess.run([*command, "-o", folder / "objects" / name], cwd=folder, check=True)


def run_kernel_tests(folder: Path) -> subprocess.CompletedProcess:
    library = folder / "keras_bnn/runtime/libkeras_bnn.so"
    objects = sorted((folder / "objects").glob("*.o"))
    command = ["gcc", "-shared", *SANITIZE, *objects, "-lm", "-pthread", "-o", library]
    subprocess.run(command, check=True)
    names = [["gcc", f"-print-file-name=lib{name}.so"] for name in ("asan", "ubsan")]
    preload = [subprocess.check_output(name, text=True).strip() for name in names]
    sanitized = {"LD_PRELOAD": ":".join(preload), "ASAN_OPTIONS": "detect_leaks=0"}
    return run_tests(folder, "-v", "tests/test_native_kernels.py", "-k", "avx512", **sanitized)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The copy with its kernels compiled."""
    assert platform.machine() == "x86_64"
    folder = copied(tmp_path_factory.mktemp("copy"))
    (folder / "objects").mkdir()
    for part in ("delegate", "kernels"):
        for source in (folder / "export" / part).rglob("*.[cS]"):
            if not source.name.startswith("arm_"):
                compile_file(folder, source)
    return folder


@pytest.mark.slow
def test_avx512_kernels_in_plain_c(copy):
    done = run_kernel_tests(copy)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("avx512] PASSED") >= 10


@pytest.mark.slow
@pytest.mark.parametrize(("file", "right", "wrong"), MUTATIONS)
def test_an_avx512_kernel_that_is_off_by_one_is_caught(copy, file, right, wrong):
    path = copy / "export/kernels" / file
    with replaced(path, right, wrong):
        compile_file(copy, path)
        done = run_kernel_tests(copy)
    compile_file(copy, path)
    # A sanitizer ends the process.
    assert done.returncode, done.stdout
