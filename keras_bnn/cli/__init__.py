"""The command line, `keras-bnn …`: one file a command.

Every command prints for people, or with `--json` one JSON object on standard output and nothing
else. Progress and warnings go to standard error. Exit status: 0 done, 1 the answer is no, 2 the
input was wrong, 130 interrupted.
"""

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

import keras_bnn
from keras_bnn.cli import (
    benchmark,
    compare,
    demo,
    deploy,
    export,
    info,
    inspect,
    predict,
    train,
    verify,
)
from keras_bnn.errors import InputError

COMMANDS = (demo, train, compare, export, inspect, verify, predict, benchmark, deploy, info)


def main() -> None:
    """Runs the command line; every foreseeable error ends in one line."""
    # TensorFlow's and XLA's logs are for their developers; errors still raise exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _app()()


def _app() -> typer.Typer:
    app = typer.Typer(
        help="Train binarized neural networks and run them as 1-bit TFLite files.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for module in COMMANDS:
        app.command(module.__name__.rpartition(".")[2])(_in_one_line(module.command))
    return app


def _show_version(asked: bool) -> None:
    if asked:
        print(f"keras-bnn {keras_bnn.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _in_one_line(command: Callable[..., None]) -> Callable[..., None]:
    """Makes what the user can mend one line on standard error."""

    @functools.wraps(command)
    def run(**arguments):
        try:
            command(**arguments)
        except BrokenPipeError:
            # Typer ends quietly when a reader such as `head` has seen enough.
            raise
        # Missing packages of the extra `train` raise the second; files and disks the third.
        except (InputError, ImportError, OSError) as error:
            _fail(error, 2)
        except KeyboardInterrupt:
            # What a shell reports of a program that SIGINT (2) ended.
            _fail("interrupted", 128 + 2)

    return run


def _fail(reason: Exception | str, status: int) -> NoReturn:
    print(f"keras-bnn: {reason}", file=sys.stderr)
    raise typer.Exit(status)
