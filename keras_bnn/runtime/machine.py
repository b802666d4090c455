"""What this machine is and what is installed on it: a timing means nothing without."""

import importlib.metadata
import platform
from pathlib import Path

PACKAGES = (
    "keras-bnn",
    "numpy",
    "ai-edge-litert",
    "tensorflow",
    "tf-keras",
    "larq",
    "larq-compute-engine",
)


# Cores that boards for 1-bit networks have, by ARM's own part numbers: Linux tells no name there.
_ARM, _ARM_PARTS = (
    "0x41",
    {
        "0xd03": "Cortex-A53",
        "0xd04": "Cortex-A35",
        "0xd05": "Cortex-A55",
        "0xd07": "Cortex-A57",
        "0xd08": "Cortex-A72",
        "0xd09": "Cortex-A73",
        "0xd0a": "Cortex-A75",
        "0xd0b": "Cortex-A76",
        "0xd0c": "Neoverse-N1",
        "0xd41": "Cortex-A78",
        "0xd44": "Cortex-X1",
    },
)


def processor() -> str:
    """Its name as Linux reports it, or what Python knows."""
    path = Path("/proc/cpuinfo")
    implementer, cores = "unknown", []
    for line in path.read_text().splitlines() if path.exists() else ():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "model name":
            return value
        if key == "CPU implementer":
            implementer = value
        elif key == "CPU part":
            named = implementer == _ARM and _ARM_PARTS.get(value)
            cores.append(named or f"ARM implementer {implementer}, part {value}")
    kinds = [f"{cores.count(name)}× {name}" for name in dict.fromkeys(cores)]
    return " and ".join(kinds) or platform.processor() or "unknown"


def board() -> str | None:
    """The name of a single-board computer, such as "Raspberry Pi 4 Model B Rev 1.4"."""
    try:
        name = Path("/sys/firmware/devicetree/base/model").read_text(errors="replace")
    except OSError:
        return None
    # C strings, and so they end in 0.
    return name.strip("\0\n ") or None


def versions() -> dict[str, str | None]:
    """The versions of the packages that matter here; `None` where one is not installed."""
    return {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
