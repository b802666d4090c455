"""What all commands print, and how."""

import json
import os
import sys
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def show(value: Any, as_json: bool, text: str) -> None:
    """Prints `value` as JSON, or `text` for people, on standard output."""
    print(json.dumps(value, indent=2) if as_json else text)


def progress(line: str) -> None:
    """Prints one line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def quiet_import() -> None:
    """Imports TensorFlow without what its C++ side prints about drivers it does not find.

    It prints that before any setting of its own takes effect. Python's errors still show.
    """
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras_bnn._keras  # noqa: F401
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
