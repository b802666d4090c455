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


def processor() -> str:
    """Its name as Linux reports it, or what Python knows."""
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def versions() -> dict[str, str | None]:
    """The versions of the packages that matter here; `None` where one is not installed."""
    return {package: _version(package) for package in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
