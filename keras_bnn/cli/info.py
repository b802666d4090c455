import platform
from pathlib import Path

from keras_bnn.cli.output import Json, show


def command(as_json: Json = False) -> None:
    """Show versions, the processor's instruction sets, and what runs 1-bit files here."""
    from keras_bnn.runtime import machine, native

    versions, library = machine.versions(), native.library_path()
    processor = machine.processor()
    info = {
        "versions": versions,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": processor,
        "instruction_sets": native.instruction_sets(),
        "instruction_set": native.instruction_set(),
        "library": str(library) if library else None,
        "runs_1bit_files": _engine(versions, library),
    }
    lines = [f"{package:20} {version or 'not installed'}" for package, version in versions.items()]
    lines += [
        f"{'python':20} {info['python']}",
        f"{'processor':20} {processor} ({info['machine']})",
        f"{'own library':20} {library or 'not in use: ' + native.why_no_library()}",
        f"{'instruction sets':20} {_sets(info)}",
        f"{'1-bit files run on':20} "
        + (info["runs_1bit_files"] or 'nothing yet; run: pip install "keras-bnn[train]"'),
    ]
    show(info, as_json, "\n".join(lines))


def _engine(versions: dict[str, str | None], library: Path | None) -> str | None:
    if library:
        return "LiteRT + keras-bnn"
    return "LCE" if versions["larq-compute-engine"] else None


def _sets(info: dict) -> str:
    if not info["instruction_sets"]:
        return "unknown without the library"
    return f"{info['instruction_set']} in use, of {', '.join(info['instruction_sets'])}"
