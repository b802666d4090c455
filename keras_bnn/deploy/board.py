"""What a board is, what it has already, and whether it will do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_bnn.deploy.connection import Connection, content_of
from keras_bnn.deploy.target import Ssh
from keras_bnn.errors import InputError

_PROGRAM = Path(__file__).with_name("board_program.py")
# What LiteRT's wheels need.
OLDEST_PYTHON, OLDEST_GLIBC = (3, 10), (2, 34)
MACHINES = ("aarch64", "x86_64")
_MARK = "keras-bnn looks"
_BOOKWORM = "install the 64-bit Raspberry Pi OS of Bookworm or later, or another Linux as new."


@dataclass(frozen=True)
class Board:
    """A board that will do.

    Attributes:
        machine: Its architecture, as `uname -m` and wheels call it.
        python: Version of its Python.
        glibc: Version of its C library, as numbers.
        has_venv: Whether its Python can make virtual environments.
        home: Where everything of ours lies there.
        free: Bytes left there.
        environments: Those that are there, whole.
        environment: The one in use.
        store: Files that are there, whole.
        busy: Whether another process of ours is at work there.
    """

    machine: str
    python: str
    glibc: tuple[int, ...]
    has_venv: bool
    home: str
    free: int
    environments: tuple[str, ...]
    environment: str | None
    store: frozenset[str]
    busy: bool

    @property
    def python_minor(self) -> str:
        """Such as "3.11"."""
        return ".".join(self.python.split(".")[:2])


def ask(connection: Connection, request: dict[str, Any], files: Iterable[Path] = ()) -> Any:
    """Has `board_program.py` do something on the board.

    Args:
        connection: To the board.
        request: `do` names the function there, the rest are its arguments.
        files: What follows the request.

    Returns:
        What the function returns.

    Raises:
        InputError: If it fails there, or the connection is lost.
    """
    return _answer(connection, _run(connection, "", request, files))


def look(connection: Connection) -> Board:
    """Asks, in one round trip, all that decides whether and how to go on.

    Raises:
        InputError: If the board will not do; the message names the remedy.
    """
    ran = _run(connection, f"echo {_MARK}; uname -m; python3 -V; ", {"do": "look"})
    # Before it, a login shell may have printed something.
    lines = ran.stdout.decode(errors="replace").rpartition(_MARK)[2].split("\n")[1:]
    machine, python = [*lines, "", ""][:2]
    target = connection.target
    _check_machine(target, machine)
    version = re.fullmatch(r"Python ((\d+)\.(\d+)\S*)", python)
    if not version:
        raise InputError(
            f"{target} has no python3: run `sudo apt install python3 python3-venv` there."
        )
    if (int(version[2]), int(version[3])) < OLDEST_PYTHON:
        raise InputError(
            f"{target} has Python {version[1]}, expected {_dotted(OLDEST_PYTHON)} or later: "
            + _BOOKWORM
        )
    return _board(target, machine, version[1], _answer(connection, ran))


def _check_machine(target: Ssh, machine: str) -> None:
    if machine in MACHINES:
        return
    if re.fullmatch(r"armv[678]l|i[3-6]86", machine):
        raise InputError(
            f"{target} runs a 32-bit system ({machine}), expected 64 bits: {_BOOKWORM}"
        )
    raise InputError(
        f"{target} is of the architecture {machine!r}, expected {' or '.join(MACHINES)}: "
        "there are no wheels of LiteRT for others."
    )


def _board(target: Ssh, machine: str, python: str, found: dict) -> Board:
    if found["bits"] != 64:
        raise InputError(
            f"{target} has a 64-bit kernel, but its programs are 32-bit, expected 64 bits: "
            + _BOOKWORM
        )
    name, version = found["libc"]
    glibc = tuple(map(int, re.findall(r"\d+", version)))
    if name != "glibc" or glibc < OLDEST_GLIBC:
        got = f"{name} {version}".strip() or "another C library than glibc"
        raise InputError(
            f"{target} has {got}, expected glibc {_dotted(OLDEST_GLIBC)} or later: {_BOOKWORM}"
        )
    return Board(
        machine,
        python,
        glibc,
        found["venv"],
        found["home"],
        found["free"],
        tuple(found["environments"]),
        found["environment"],
        frozenset(found["store"]),
        found["busy"],
    )


def _run(connection: Connection, prefix: str, request: dict, files: Iterable[Path] = ()):
    program = _PROGRAM.read_bytes()
    read = f"import sys; exec(sys.stdin.buffer.read({len(program)}))"

    def stdin():
        yield program
        yield json.dumps(request).encode() + b"\n"
        for file in files:
            yield from content_of(file)

    # With `exec`, ssh would tell of a signal as of a lost connection.
    return connection.run(f"{prefix}python3 -c '{read}'; exit $?", stdin())


def _answer(connection: Connection, ran) -> Any:
    lines = ran.stdout.decode(errors="replace").splitlines()
    try:
        reply = json.loads(lines[-1])
        if "answer" in reply:
            return reply["answer"]
        error = reply["error"]
    except (IndexError, ValueError, KeyError, TypeError):
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        error = f"what runs there ended with status {ran.returncode}"
        error += f": {said[-1]}" if said else "."
    raise InputError(f"{connection.target}: {' '.join(error.split())}")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
