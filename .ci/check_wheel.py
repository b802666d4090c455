"""Checks a manylinux wheel: keras_bnn and nothing beside it, small, its one library stripped.

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
# glibc 2.17 and later: all machines that LiteRT's own wheel, which asks for 2.27, installs on.
PLATFORM = "manylinux_2_17_"


def check_contents(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    others = {top for top in tops if top != "keras_bnn" and not top.endswith(".dist-info")}
    if "keras_bnn" not in tops or others:
        sys.exit(f"expected keras_bnn alone at the top level, got {sorted(tops)}.")
    libraries = [name for name in names if re.search(r"\.so(\.|$)", name)]
    if libraries != [LIBRARY]:
        sys.exit(f"expected {LIBRARY} as the only library, got {libraries}.")


def check_stripped(library: Path) -> None:
    command = ["readelf", "--wide", "--section-headers", library]
    sections = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    left = re.findall(r"\.symtab|\.debug_\w+", sections)
    if left:
        sys.exit(f"{library.name} is not stripped: it has {', '.join(left)}.")


def main(wheel: Path) -> None:
    size = wheel.stat().st_size
    if size >= MOST_BYTES:
        sys.exit(f"{wheel.name} has {size:,} bytes, expected less than {MOST_BYTES:,}.")
    if not re.search(rf"-py3-none-([\w.]+\.)?{PLATFORM}\w+\.whl$", wheel.name):
        sys.exit(f"{wheel.name}: expected a tag of {PLATFORM}… for any Python 3.")
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        check_contents(archive.namelist())
        check_stripped(Path(archive.extract(LIBRARY, folder)))
    print(f"{wheel.name}: {size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
