"""The command line, `keras-bnn …`: one file a command.

Every command prints for people, or with `--json` one JSON object on standard output and nothing
else. Progress and warnings go to standard error. Exit status: 0 done, 1 the answer is no, 2 the
input was wrong.
"""

import os
import sys

import typer

from keras_bnn.cli import demo, export, info, inspect, predict, train, verify
from keras_bnn.errors import InputError

COMMANDS = (demo, train, export, inspect, verify, predict, info)


def main() -> None:
    """Runs the command line; every foreseeable error ends in one line."""
    # TensorFlow's and XLA's logs are for their developers; errors still raise exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        _app()()
    # Missing packages of the extra `train` raise the second.
    except (InputError, ImportError) as error:
        _fail(error)


def _app() -> typer.Typer:
    app = typer.Typer(
        help="Train binarized neural networks and run them as 1-bit TFLite files.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in COMMANDS:
        app.command(module.__name__.rpartition(".")[2])(module.command)
    return app


def _fail(error: Exception) -> None:
    print(f"keras-bnn: {error}", file=sys.stderr)
    sys.exit(2)
