"""Counts the instructions of one call of each kernel, and compares them with instructions.json.

    python benchmarks/instructions.py [--update]

Counts are the same on a busy machine, so 3 % more is a change of the code and not of the day. Less
than before is an error, too: the next loss would hide in it. `--update` writes the counts of now.

Exit status: 0 as before; 1 another count; 2 another compiler, whose counts say nothing. It needs
valgrind, which has no AVX-512.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from keras_bnn.tables import aligned

HERE = Path(__file__).parent
EXPORT = HERE.parent / "export"
BASELINE = HERE / "instructions.json"
TOLERANCE = 0.03


def build(folder: Path) -> Path:
    """The program, beside a library that is built as an installation builds it."""
    program, library = folder / "instructions", folder / "libkeras_bnn.so"
    compile_program = [os.environ.get("CC", "cc"), "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
    compile_program += [f"-I{EXPORT}/include", HERE / "instructions.c", library]
    compile_program += [f"-Wl,-rpath,{folder}", "-o", program]
    for command in (
        ["cmake", "-G", "Ninja", "-S", EXPORT, "-B", folder],
        ["cmake", "--build", folder],
        compile_program,
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"{command[0]} failed:\n{done.stdout}")
    return program


def instructions(program: Path, workload: str) -> int:
    options = ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=measured"]
    done = subprocess.run(
        ["valgrind", *options, program, *workload.split()],
        capture_output=True,
        text=True,
        # The linker would look functions up in the midst of what is counted.
        env={**os.environ, "LD_BIND_NOW": "1"},
    )
    found = re.search(r"Collected : ([1-9]\d*)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{workload} was not counted:\n{done.stderr}")
    return int(found[1])


def table(before: dict[str, int], now: dict[str, int]) -> str:
    rows = [("workload", "baseline", "now", "change")]
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        change = f"{new / old - 1:+.2%}" if old and new else ""
        rows.append((name, f"{old:,}" if old else "none", f"{new:,}" if new else "none", change))
    return aligned(rows, right=[1, 2, 3])


def changed(before: dict[str, int], now: dict[str, int]) -> list[str]:
    """Workloads whose count is another, and those that only one of both has."""
    both = before.keys() & now.keys()
    others = {name for name in both if abs(now[name] / before[name] - 1) > TOLERANCE}
    return sorted((before.keys() ^ now.keys()) | others)


def compare(now: dict[str, int], before: dict[str, int]) -> None:
    print(table(before, now))
    if names := changed(before, now):
        sys.exit(f"Not within {TOLERANCE:.0%} of {BASELINE.name}: {', '.join(names)}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the counts of now")
    update = parser.parse_args().update
    baseline = {} if update else json.loads(BASELINE.read_text())
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        listed = subprocess.run([program], capture_output=True, text=True, check=True)
        compiler, *workloads = listed.stdout.splitlines()
        if not update and compiler != baseline["compiler"]:
            print(f"{BASELINE.name} is of {baseline['compiler']}, not {compiler}.", file=sys.stderr)
            sys.exit(2)
        now = {workload: instructions(program, workload) for workload in workloads}
    if update:
        baseline = {"compiler": compiler, "instructions": now}
        BASELINE.write_text(json.dumps(baseline, indent=2) + "\n")
    compare(now, baseline["instructions"])


if __name__ == "__main__":
    main()
