"""Wheels for a board: ours, and those of what it depends on."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras_bnn
from keras_bnn.deploy.board import Board
from keras_bnn.errors import InputError

_NAME = re.compile(r"keras_bnn-(?P<version>[^-]+)(-\d[^-]*)?-py3-none-(?P<platform>[\w.]+)\.whl")
# The glibc that manylinux counts from; older ones have names without a number.
_OLDEST_GLIBC, _OLD_PLATFORMS = 17, ("manylinux2014", "manylinux2010", "manylinux1", "linux")


@dataclass(frozen=True)
class Stored:
    """A file as a board stores it.

    Attributes:
        path: Where it is here.
        sha256: Of its content.
    """

    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """There: the same content has the same name."""
        return self.sha256 + self.path.suffix


def stored(path: Path) -> Stored:
    """Reads a file and says how a board stores it."""
    return Stored(path, hashlib.sha256(path.read_bytes()).hexdigest())


def platforms_of(path: Path) -> list[str]:
    """The platforms that a wheel of ours names, as far as it can be judged without the board.

    Raises:
        InputError: If it is not ours, or of another version.
    """
    if not path.is_file():
        raise InputError(f"--wheel is {path}, which is no file. {_expected()}")
    name = _NAME.fullmatch(path.name)
    if not name or not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no wheel of keras-bnn. {_expected()}")
    if name["version"] != keras_bnn.__version__:
        raise InputError(
            f"{path} is keras-bnn {name['version']}, and here is {keras_bnn.__version__}: take the "
            "same version."
        )
    return name["platform"].split(".")


def check(path: Path, board: Board) -> None:
    """Refuses a wheel that is not ours, of another version, or for another machine.

    Raises:
        InputError: With what was got and what was expected.
    """
    platforms = platforms_of(path)
    if not {"any", *_platforms(board)} & set(platforms):
        raise InputError(
            f"{path} is for {' and '.join(platforms)}, and the board is {board.machine} with glibc "
            f"{'.'.join(map(str, board.glibc))}. {_expected(board.machine)}"
        )


def _expected(machine: str = "aarch64") -> str:
    return f"Expected keras_bnn-{keras_bnn.__version__}-py3-none-…_{machine}.whl."


def download_ours(board: Board, folder: Path) -> Path:
    """Asks the user's package index for the wheel of this version for a board.

    Raises:
        InputError: If it has none.
    """
    wanted = f"keras-bnn=={keras_bnn.__version__}"
    ran = _download(board, folder, ["--no-deps", wanted])
    if ran.returncode:
        raise InputError(
            f"Your package index has no wheel of {wanted} for {board.machine} "
            f"({_last_line(ran)}). Build it in a clone of keras-bnn, as its README says, and name "
            "it with --wheel."
        )
    return next(folder.glob("keras_bnn-*.whl"))


def download_dependencies(wheel: Path, board: Board, folder: Path) -> list[Path]:
    """Asks the user's package index for the wheels that ours needs on a board.

    Raises:
        InputError: If one is missing.
    """
    ran = _download(board, folder, [str(wheel.absolute())])
    if ran.returncode:
        raise InputError(
            f"The dependencies for Python {board.python_minor} on {board.machine} could not be "
            f"downloaded here: {_last_line(ran)}."
        )
    return sorted(path for path in folder.glob("*.whl") if path.name != wheel.name)


def _download(board: Board, folder: Path, wanted: list[str]) -> subprocess.CompletedProcess[str]:
    abi = "cp" + board.python_minor.replace(".", "")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    command += ["--disable-pip-version-check", "--no-input", "--only-binary", ":all:"]
    command += ["--implementation", "cp", "--python-version", board.python_minor]
    for tag in (abi, "abi3", "none"):
        command += ["--abi", tag]
    for platform in _platforms(board):
        command += ["--platform", platform]
    ran = subprocess.run([*command, *wanted], capture_output=True, text=True, errors="replace")
    if ran.returncode and "No module named pip" in ran.stderr:
        raise InputError(f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`.")
    return ran


def _platforms(board: Board) -> list[str]:
    """Names of the platforms whose wheels the board runs, best first."""
    numbered = [f"manylinux_2_{minor}" for minor in range(board.glibc[1], _OLDEST_GLIBC - 1, -1)]
    return [f"{name}_{board.machine}" for name in (*numbered, *_OLD_PLATFORMS)]


def _last_line(ran: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in ran.stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ").rstrip(".") if lines else f"status {ran.returncode}"
