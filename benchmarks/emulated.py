"""Instructions that programs for aarch64 execute, counted by `qemu_instructions.c` under QEMU.

It takes Debian's `qemu-user`, which is linked dynamically: the static one has no plugins.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PLUGIN = Path(__file__).with_name("qemu_instructions.c")
# Where Debian's cross compiler keeps its C library.
CROSS_ROOT = Path("/usr/aarch64-linux-gnu")


@dataclass(frozen=True)
class Counts:
    """Executed instructions by class: LD1R and its like are vector ones and loads."""

    all: int
    vector: int
    loads_and_stores: int

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(
            self.all - other.all,
            self.vector - other.vector,
            self.loads_and_stores - other.loads_and_stores,
        )


class Emulator:
    """QEMU as one processor, with the libraries under `root`; it keeps its files in `folder`."""

    def __init__(self, cpu: str, folder: Path, root: Path = CROSS_ROOT):
        self._cpu, self._root = cpu, root
        self._plugin, self._log = folder / "qemu_instructions.so", folder / "qemu_instructions.log"
        flags = ["-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
        run([os.environ.get("CC", "cc"), *flags, PLUGIN, "-o", self._plugin])

    def run(self, *command: object, **variables: str) -> tuple[Counts, str]:
        """Runs a program of one thread; returns its counts and what it printed."""
        qemu = ["qemu-aarch64", "-cpu", self._cpu, "-L", self._root, "-plugin", self._plugin]
        output = run([*qemu, "-d", "plugin", "-D", self._log, *command], **variables)
        *_, last = self._log.read_text().splitlines()
        name, *counts = last.split()
        assert name == "instructions"
        return Counts(*map(int, counts)), output


def run(command: list, **variables: str) -> str:
    """What a command prints; a failure ends the program with what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout
