"""Boards behind ssh: measuring there, and setting them up."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_bnn.deploy.board import Board, ask, look
from keras_bnn.deploy.connection import Connection, connected
from keras_bnn.deploy.installation import install, send
from keras_bnn.deploy.target import Ssh
from keras_bnn.deploy.wheels import Stored, platforms_of, stored
from keras_bnn.errors import InputError
from keras_bnn.runtime import Benchmark
from keras_bnn.tflite.file import read


@dataclass(frozen=True)
class Deployed:
    """What a board has now; `str()` says how to use it.

    Attributes:
        target: The board, as ssh knows it.
        models: Paths of the files there.
        command: Path of `keras-bnn` there.
        python: Path of the Python there that has it.
        home: The folder there that holds all of it.
    """

    target: str
    models: list[str]
    command: str
    python: str
    home: str

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.target} has what it takes to run:"]
        for model in self.models:
            lines.append(f"  {shlex.join([self.command, 'predict', model])} in.npy -o out.npy")
        lines += [
            f"In Python there, {self.python}:",
            f"  keras_bnn.runtime.Interpreter({self.models[0]!r}).predict(inputs)",
            f"To remove all of it there: rm -r {shlex.quote(self.home)}",
        ]
        return "\n".join(lines)


def benchmark(
    target: Ssh,
    files: Sequence[Path],
    *,
    threads: Sequence[int] = (1, 4),
    batch: int = 1,
    seconds: float = 2.0,
    core: int | None = None,
    profiled: bool = False,
    wheel: Path | None = None,
    offline: bool = False,
    say: Callable[[str], None] = print,
) -> Benchmark:
    """Times files on a board, as `keras_bnn.runtime.benchmark` does there.

    Args:
        target: The board.
        files: .tflite files of this machine.
        threads, batch, seconds, core, profiled: As of `keras_bnn.runtime.benchmark`.
        wheel, offline, say: As of `keras_bnn.deploy.installation.install`.

    Raises:
        TFLiteFileError: If a file is none.
        InputError: If the board cannot be reached or will not do, or it fails there; the message
            names the remedy.
    """
    options = ["--threads", ",".join(map(str, threads)), "--batch", str(batch)]
    options += ["--seconds", str(seconds)]
    options += ["--pin", str(core)] if core is not None else []
    options += ["--profile"] if profiled else []
    models = _models(files)
    with _ready(target, models, wheel, offline, say) as (connection, _, environment):
        say("measuring")
        # Names of this machine may be anything, and need not differ.
        names = [(model.name, f"model-{i}.tflite") for i, model in enumerate(models)]
        request = {"environment": environment, "files": names, "options": options}
        try:
            answer = ask(connection, {"do": "measure", **request})
        except InputError as error:
            raise InputError(_named(str(error), files)) from error
    return Benchmark.from_dict(_named(answer, files))


def deploy(
    target: Ssh,
    files: Sequence[Path],
    *,
    wheel: Path | None = None,
    offline: bool = False,
    say: Callable[[str], None] = print,
) -> Deployed:
    """Sets a board up and copies files there, which keep their names.

    Args:
        target: The board.
        files: .tflite files of this machine, with different names.
        wheel, offline, say: As of `keras_bnn.deploy.installation.install`.

    Raises:
        TFLiteFileError: If a file is none.
        InputError: As of `benchmark`, or if two files have the same name.
    """
    own = [path.name for path in files]
    if len(set(own)) < len(own):
        raise InputError(f"Got files of the names {own}, expected different ones: rename one.")
    models = _models(files)
    with _ready(target, models, wheel, offline, say) as (connection, board, _):
        names = [(model.name, name) for model, name in zip(models, own, strict=True)]
        paths = ask(connection, {"do": "place", "files": names})
    command, python = f"{board.home}/keras-bnn", f"{board.home}/environment/bin/python"
    return Deployed(str(target), paths, command, python, board.home)


@contextlib.contextmanager
def _ready(
    target: Ssh,
    models: Sequence[Stored],
    wheel: Path | None,
    offline: bool,
    say: Callable[[str], None],
) -> Iterator[tuple[Connection, Board, str]]:
    """Yields a board that has an environment and the files, and the environment's name."""
    if wheel is not None:
        platforms_of(wheel)  # before anybody is asked for a password
    with connected(target) as connection:
        board = look(connection)
        glibc = ".".join(map(str, board.glibc))
        say(f"{target}: {board.machine}, Python {board.python}, glibc {glibc}")
        if board.busy:
            say("another keras-bnn is at work there, or one that lost its connection: waiting")
        environment = install(connection, board, wheel, offline, say)
        send(connection, board, models, say)
        yield connection, board, environment


def _models(files: Sequence[Path]) -> list[Stored]:
    for path in files:
        read(path)
    return [stored(path) for path in files]


def _named(value: Any, files: Sequence[Path]) -> Any:
    """Puts the files' own names where the board's benchmark says what they are called there."""
    if isinstance(value, dict):
        return {key: _named(inner, files) for key, inner in value.items()}
    if isinstance(value, list):
        return [_named(inner, files) for inner in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"model-(\d+)\.tflite", lambda found: str(files[int(found[1])]), value)
