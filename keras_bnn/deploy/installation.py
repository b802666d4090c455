"""Puts keras-bnn on a board, once for each wheel and version of its Python."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import keras_bnn
from keras_bnn.deploy.board import Board, ask
from keras_bnn.deploy.connection import Connection
from keras_bnn.deploy.wheels import (
    Stored,
    check,
    download_dependencies,
    download_ours,
    stored,
)
from keras_bnn.errors import InputError

# Of an environment with NumPy, LiteRT and what they compile: about 150 MB, and some room.
_ENVIRONMENT_BYTES = 200_000_000


def install(
    connection: Connection,
    board: Board,
    wheel: Path | None,
    offline: bool,
    say: Callable[[str], None],
) -> str:
    """Makes sure that the board has an environment with this version of keras-bnn.

    Args:
        connection, board: Where.
        wheel: Ours for that board; `None` takes what is installed there if it is this version,
            and else asks the user's package index.
        offline: Whether to send the dependencies along.
        say: Takes lines of progress.

    Returns:
        The name of the environment.

    Raises:
        InputError: If the board or the wheel will not do, or it fails there.
    """
    prefix = f"{keras_bnn.__version__}-python{board.python}-"
    if wheel is None and (board.environment or "").startswith(prefix):
        say(f"keras-bnn {keras_bnn.__version__} is installed there")
        return board.environment or ""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            say(f"asking your package index for keras-bnn {keras_bnn.__version__}")
            wheel = download_ours(board, Path(folder))
        check(wheel, board)
        ours = stored(wheel)
        environment = prefix + ours.sha256[:16]
        wheels = [ours]
        if environment not in board.environments:
            _check_able(connection, board)
            if offline:
                say(f"downloading what it needs for Python {board.python_minor}")
                wheels += map(stored, download_dependencies(wheel, board, Path(folder)))
            _check_space(connection, board, wheels)
            send(connection, board, wheels, say)
            say("installing")
        if environment != board.environment:
            names = [(file.name, file.path.name) for file in wheels]
            request = {"environment": environment, "wheels": names, "offline": offline}
            ask(connection, {"do": "install", **request})
    return environment


def send(
    connection: Connection, board: Board, files: Iterable[Stored], say: Callable[[str], None]
) -> None:
    """Sends files that the board does not have."""
    missing = {file.name: file for file in files if file.name not in board.store}
    if not missing:
        return
    sizes = {name: file.path.stat().st_size for name, file in missing.items()}
    say(f"sending {len(missing)} files, {sum(sizes.values()) / 1e6:.1f} MB")
    wanted = [
        {"name": name, "sha256": file.sha256, "size": sizes[name]} for name, file in missing.items()
    ]
    paths = [file.path for file in missing.values()]
    ask(connection, {"do": "receive", "files": wanted}, paths)


def _check_able(connection: Connection, board: Board) -> None:
    if not board.has_venv:
        raise InputError(
            f"{connection.target} cannot make virtual environments: run `sudo apt install "
            "python3-venv` there."
        )


def _check_space(connection: Connection, board: Board, wheels: Iterable[Stored]) -> None:
    needed = _ENVIRONMENT_BYTES + sum(
        wheel.path.stat().st_size for wheel in wheels if wheel.name not in board.store
    )
    if board.free < needed:
        raise InputError(
            f"{connection.target} has {board.free / 1e6:.0f} MB left for {board.home}, expected "
            f"{needed / 1e6:.0f} MB: free some space there."
        )
