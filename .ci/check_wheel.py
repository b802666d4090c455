"""Checks a manylinux wheel: keras_bnn and nothing beside it, small, and its one library stripped,
for the machine and the glibc that the tag names, and in need of nothing but the C library.

python check_wheel.py WHEEL
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LIBRARY = "keras_bnn/runtime/libkeras_bnn.so"
MOST_BYTES = 1_000_000
# All machines that LiteRT's own wheel, which asks for 2.27, installs on.
GLIBC = (2, 17)
MACHINES = {"x86_64": "Advanced Micro Devices X86-64", "aarch64": "AArch64"}
# All of them are glibc's.
C_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"}
C_LIBRARIES |= {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def check_contents(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    others = {top for top in tops if top != "keras_bnn" and not top.endswith(".dist-info")}
    if "keras_bnn" not in tops or others:
        sys.exit(f"expected keras_bnn alone at the top level, got {sorted(tops)}.")
    libraries = [name for name in names if re.search(r"\.so(\.|$)", name)]
    if libraries != [LIBRARY]:
        sys.exit(f"expected {LIBRARY} as the only library, got {libraries}.")


def readelf(option: str, library: Path) -> str:
    command = ["readelf", "--wide", option, library]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check_machine(library: Path, machine: str) -> None:
    found = re.findall(r"Machine:\s*(.+)", readelf("--file-header", library))
    if found != [MACHINES[machine]]:
        sys.exit(f"{library.name} is for {found}, expected {MACHINES[machine]}.")


def check_needed(library: Path) -> None:
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--dynamic", library)))
    if not needed <= C_LIBRARIES:
        sys.exit(f"{library.name} needs {sorted(needed)}, expected of {sorted(C_LIBRARIES)}.")
    versions = re.findall(r"Name: GLIBC_(\d+)\.(\d+)", readelf("--version-info", library))
    newest = max((int(major), int(minor)) for major, minor in versions)
    if newest > GLIBC:
        sys.exit(f"{library.name} needs glibc {newest}, expected at most {GLIBC}.")


def check_stripped(library: Path) -> None:
    left = re.findall(r"\.symtab|\.debug_\w+", readelf("--section-headers", library))
    if left:
        sys.exit(f"{library.name} is not stripped: it has {', '.join(left)}.")


def main(wheel: Path) -> None:
    size = wheel.stat().st_size
    if size >= MOST_BYTES:
        sys.exit(f"{wheel.name} has {size:,} bytes, expected less than {MOST_BYTES:,}.")
    platform = "manylinux_{}_{}".format(*GLIBC)
    tag = re.search(rf"-py3-none-(?:[\w.]+\.)?{platform}_(\w+)\.whl$", wheel.name)
    if not tag:
        sys.exit(f"{wheel.name}: expected a tag of {platform}… for any Python 3.")
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        check_contents(archive.namelist())
        library = Path(archive.extract(LIBRARY, folder))
        check_machine(library, tag.group(1))
        check_needed(library)
        check_stripped(library)
    print(f"{wheel.name}: {size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
