import importlib.metadata
import platform
from pathlib import Path

from keras_bnn.cli.output import Json, show

_PACKAGES = (
    "keras-bnn",
    "numpy",
    "ai-edge-litert",
    "tensorflow",
    "tf-keras",
    "larq",
    "larq-compute-engine",
)
# What a binary convolution can use, of what Linux calls the processor's features.
_INSTRUCTION_SETS = ("avx2", "avx512_vpopcntdq", "avx512bw", "asimd", "asimddp")


def command(as_json: Json = False) -> None:
    """Show versions, the processor's instruction sets, and what runs 1-bit files here."""
    versions = {package: _version(package) for package in _PACKAGES}
    processor = _processor()
    engine = "LCE" if versions["larq-compute-engine"] else None
    info = {
        "versions": versions,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": processor["name"],
        "instruction_sets": processor["sets"],
        "runs_1bit_files": engine,
    }
    lines = [f"{package:20} {version or 'not installed'}" for package, version in versions.items()]
    lines += [
        f"{'python':20} {info['python']}",
        f"{'processor':20} {processor['name']} ({info['machine']})",
        f"{'instruction sets':20} {' '.join(processor['sets']) or 'none that matters here'}",
        f"{'1-bit files run on':20} "
        + (engine or 'nothing yet; run: pip install "keras-bnn[train]"'),
    ]
    show(info, as_json, "\n".join(lines))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> dict:
    """Name and instruction sets as Linux reports them."""
    path = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    features = (fields.get("flags") or fields.get("Features") or "").split()
    return {
        "name": fields.get("model name") or platform.processor() or "unknown",
        "sets": [name for name in _INSTRUCTION_SETS if name in features],
    }
