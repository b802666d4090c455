"""Counts the instructions of one call of each kernel, and compares them with a baseline.

    python benchmarks/instructions.py [--cpu CPU] [--update]

By itself it counts with valgrind, which has no AVX-512, on this processor: instructions.json. With
`--cpu` it builds with Debian's cross compiler and counts under QEMU, as cortex-a72 say:
instructions_aarch64.json.

Counts are the same on a busy machine, so a few percent more are a change of the code and not of the
day. Less than before is an error, too: the next loss would hide in it. `--update` writes the counts
of now.

Exit status: 0 as before; 1 another count; 2 another compiler, whose counts say nothing.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import emulated

from keras_bnn.tables import aligned

HERE = Path(__file__).parent
EXPORT = HERE.parent / "export"
# Height and width, and channels in and out, of the four stages of a ResNet-18.
CONVOLUTIONS = ((56, 64), (28, 128), (14, 256), (7, 512))


def build(folder: Path, *options: str) -> Path:
    """The library, as an installation builds it."""
    emulated.run(["cmake", "-G", "Ninja", "-S", EXPORT, "-B", folder, *options])
    emulated.run(["cmake", "--build", folder])
    return folder / "libkeras_bnn.so"


def build_for_aarch64(folder: Path) -> Path:
    return build(folder, f"-DCMAKE_TOOLCHAIN_FILE={EXPORT / 'aarch64-linux-gnu.cmake'}")


def build_program(library: Path, compiler: str) -> Path:
    """The program, beside its library."""
    program = library.with_name("instructions")
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{EXPORT}/include"]
    linked = [library, f"-Wl,-rpath,{library.parent}"]
    emulated.run([compiler, *flags, HERE / "instructions.c", *linked, "-o", program])
    return program


class Here:
    """Valgrind, on this processor."""

    baseline, tolerance = HERE / "instructions.json", 0.03

    def __init__(self, folder: Path):
        self._program = build_program(build(folder), os.environ.get("CC", "cc"))

    def listed(self) -> str:
        return emulated.run([self._program])

    def counts(self, workloads: list[str]) -> dict[str, int]:
        return {workload: self._count(workload) for workload in workloads}

    def _count(self, workload: str) -> int:
        options = [
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=measured",
        ]
        done = subprocess.run(
            ["valgrind", *options, self._program, "1", *workload.split()],
            capture_output=True,
            text=True,
            # The linker would look functions up in the midst of what is counted.
            env={**os.environ, "LD_BIND_NOW": "1"},
        )
        found = re.search(r"Collected : ([1-9]\d*)", done.stderr)
        if done.returncode or not found:
            sys.exit(f"{workload} was not counted:\n{done.stderr}")
        return int(found[1])


class Aarch64:
    """QEMU, as a 64-bit ARM processor."""

    baseline, tolerance = HERE / "instructions_aarch64.json", 0.02

    def __init__(self, folder: Path, cpu: str):
        self._program = build_program(build_for_aarch64(folder), "aarch64-linux-gnu-gcc")
        self._emulator = emulated.Emulator(cpu, folder)

    def listed(self) -> str:
        return self._emulator.run(self._program)[1]

    def counts(self, workloads: list[str]) -> dict[str, int]:
        """Of `workloads`, and of convolutions in the shapes of a ResNet-18, which are printed."""
        counts = {workload: self._count(workload).all for workload in workloads}
        rows = [("per 128 products", "all", "vector", "loads and stores")]
        for dtype in ("float32", "int8", "packed"):
            for size, channels in CONVOLUTIONS:
                workload = f"bconv2d {dtype} neon {size} {channels}"
                found = self._count(workload)
                counts[workload] = found.all
                products = size**2 * channels**2 * 9 / 128
                rows.append(
                    (workload, *(f"{each / products:.2f}" for each in vars(found).values()))
                )
        print(aligned(rows, right=[1, 2, 3]) + "\n")
        return counts

    def _count(self, workload: str) -> emulated.Counts:
        """What a second call adds."""
        one, two = (
            self._emulator.run(self._program, calls, *workload.split(), LD_BIND_NOW="1")[0]
            for calls in (1, 2)
        )
        return two - one


def table(before: dict[str, int], now: dict[str, int]) -> str:
    rows = [("workload", "baseline", "now", "change")]
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        change = f"{new / old - 1:+.2%}" if old and new else ""
        rows.append((name, f"{old:,}" if old else "none", f"{new:,}" if new else "none", change))
    return aligned(rows, right=[1, 2, 3])


def changed(before: dict[str, int], now: dict[str, int], tolerance: float) -> list[str]:
    """Workloads whose count is another, and those that only one of both has."""
    both = before.keys() & now.keys()
    others = {name for name in both if abs(now[name] / before[name] - 1) > tolerance}
    return sorted((before.keys() ^ now.keys()) | others)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cpu", help="one of QEMU's processors for aarch64, such as cortex-a72")
    parser.add_argument("--update", action="store_true", help="write the counts of now")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counter = Aarch64(Path(folder), arguments.cpu) if arguments.cpu else Here(Path(folder))
        compiler, *workloads = counter.listed().splitlines()
        baseline = {} if arguments.update else json.loads(counter.baseline.read_text())
        if not arguments.update and compiler != baseline["compiler"]:
            print(
                f"{counter.baseline.name} is of {baseline['compiler']}, not {compiler}.",
                file=sys.stderr,
            )
            sys.exit(2)
        now = counter.counts(workloads)
    if arguments.update:
        baseline = {"compiler": compiler, "instructions": now}
        counter.baseline.write_text(json.dumps(baseline, indent=2) + "\n")
    before = baseline["instructions"]
    print(table(before, now))
    if names := changed(before, now, counter.tolerance):
        tolerance = f"{counter.tolerance:.0%}"
        sys.exit(f"Not within {tolerance} of {counter.baseline.name}: {', '.join(names)}.")


if __name__ == "__main__":
    main()
