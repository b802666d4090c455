"""Writes the table of kernels in README.md from the kernels.inc files: python kernel_table.py.

With --check it only compares, and ends with status 1 if the table is out of date.
"""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
NAMES = {
    "quantize": "LceQuantize",
    "bconv2d": "LceBconv2d",
    "bmaxpool2d": "LceBMaxPool2d",
    "dequantize": "LceDequantize",
}
_BLOCK = re.compile(r"(?<=<!-- kernels -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table() -> str:
    """One row an operator and type, with the instruction sets that have a kernel for it."""
    lines = ["| operator | type | instruction sets, best first |", "|---|---|---|"]
    for operator, name in NAMES.items():
        text = (FOLDER / "kernels" / operator / "kernels.inc").read_text()
        sets: dict[str, list[str]] = {}
        for kind, isa in re.findall(rf"BNN_KERNEL\({operator}, (\w+), (\w+)\)", text):
            sets.setdefault(kind, []).append(isa)
        lines += [f"| `{name}` | {kind} | {', '.join(isas)} |" for kind, isas in sets.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    text = README.read_text()
    updated = _BLOCK.sub(lambda _: table(), text)
    if "--check" in sys.argv[1:]:
        sys.exit(f"{README} is out of date: run python {__file__}" if updated != text else 0)
    README.write_text(updated)


if __name__ == "__main__":
    main()
