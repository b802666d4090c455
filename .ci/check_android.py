"""Checks libkeras_bnn.so for arm64-v8a: what Android's linker and the Play Store ask of it.

python check_android.py LIBRARY

Android's linker refuses libraries without a name of their own, with text relocations, or with code
that can be written to; below API 29 it has no thread-local storage; devices may have pages of
16 KiB.
"""

import re
import sys
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

ANDROID = Path(__file__).parent.parent / "export" / "android"
API = 26
PAGE = 1 << 14
LIBRARIES = {"libc.so", "libm.so", "libdl.so"}
ENTRIES = {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"}


def known_symbols() -> dict[str, int]:
    """What the library may ask for, and since which API level that is there."""
    lines = (ANDROID / "bionic" / "symbols.txt").read_text().splitlines()
    entries = [line.split() for line in lines if not line.startswith("#")]
    return {name: int(level) for _, name, level in entries}


def native_methods() -> set[str]:
    """What the virtual machine looks for: one function for each native method."""
    path = next((ANDROID / "src").rglob("BnnDelegate.java"))
    source = path.read_text()
    package = re.findall(r"^package ([\w.]+);", source, re.MULTILINE)[0].replace(".", "_")
    names = re.findall(r"native \w+ (\w+)\(", source)
    return {f"Java_{package}_{path.stem}_{name}" for name in names}


def faults_of_loading(elf: ELFFile, dynamic: DynamicSection) -> list[str]:
    tags = {tag.entry.d_tag: tag for tag in dynamic.iter_tags()}
    needed = {tag.needed for tag in dynamic.iter_tags("DT_NEEDED")}
    faults = [] if needed <= LIBRARIES else [f"needs {sorted(needed - LIBRARIES)}"]
    if elf.header.e_machine != "EM_AARCH64":
        faults.append(f"is for {elf.header.e_machine}")
    if "DT_SONAME" not in tags or tags["DT_SONAME"].soname != "libkeras_bnn.so":
        faults.append("does not call itself libkeras_bnn.so")
    if "DT_TEXTREL" in tags or ("DT_FLAGS" in tags and tags["DT_FLAGS"].entry.d_val & 4):
        faults.append("has text relocations")
    return faults


def faults_of_segments(elf: ELFFile) -> list[str]:
    faults, writable, executable = [], 2, 1
    for segment in elf.iter_segments():
        kind, flags = segment.header.p_type, segment.header.p_flags
        if kind == "PT_LOAD" and segment.header.p_align % PAGE:
            faults.append(f"has a segment aligned to {segment.header.p_align} bytes, not {PAGE}")
        if kind == "PT_LOAD" and flags & writable and flags & executable:
            faults.append("has code that can be written to")
        if kind == "PT_GNU_STACK" and flags & executable:
            faults.append("wants an executable stack")
        if kind == "PT_TLS":
            faults.append("has thread-local storage")
    return faults


def faults_of_symbols(symbols: SymbolTableSection) -> list[str]:
    known, wanted = known_symbols(), ENTRIES | native_methods()
    faults = []
    for symbol in symbols.iter_symbols():
        if symbol.entry.st_shndx != "SHN_UNDEF":
            wanted.discard(symbol.name)
        elif symbol.name and known.get(symbol.name, API + 1) > API:
            faults.append(f"asks for {symbol.name}, which is not known to be there in API {API}")
    return faults + [f"does not offer {name}" for name in sorted(wanted)]


def faults_of(library: Path) -> list[str]:
    with library.open("rb") as file:
        elf = ELFFile(file)
        dynamic = elf.get_section_by_name(".dynamic")
        symbols = elf.get_section_by_name(".dynsym")
        if not isinstance(dynamic, DynamicSection) or not isinstance(symbols, SymbolTableSection):
            return ["has no section headers"]
        return [
            *faults_of_loading(elf, dynamic),
            *faults_of_segments(elf),
            *faults_of_symbols(symbols),
        ]


def main(library: Path) -> None:
    for fault in (faults := faults_of(library)):
        print(f"{library} {fault}.", file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"{library.name} for arm64-v8a, API {API}: {library.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
