"""A copy of package, tests and kernels, in which a test may be shown to fail."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def copied(folder: Path) -> Path:
    """Copies what the tests of the kernels need to `folder`."""
    for name in ("export", "keras_bnn", "tests"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_tests(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs tests of the copy on the package of the copy."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
    )


@contextlib.contextmanager
def replaced(path: Path, right: str, wrong: str) -> Iterator[None]:
    """Has `wrong` in a file where `right` stands first, as long as the block lasts."""
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    try:
        yield
    finally:
        path.write_text(text)
