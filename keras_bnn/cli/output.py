"""What all commands print, and how."""

import contextlib
import json
import math
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from keras_bnn.errors import MissingLibraryWarning

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def show(value: Any, as_json: bool, text: str) -> None:
    """Prints `value` as JSON, or `text` for people, on standard output."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False) if as_json else text)


def _finite(value: Any) -> Any:
    """Puts null where a number is none, for JSON has neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def progress(line: str) -> None:
    """Prints one line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what libraries log from standard error; exceptions and our own warnings still show.

    TensorFlow and LiteRT log drivers that they do not find and delegates that they make, before
    any setting of theirs takes effect or regardless of it.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MissingLibraryWarning)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(nowhere)
            for warning in caught:
                if issubclass(warning.category, MissingLibraryWarning):
                    progress(f"keras-bnn: {warning.message}")


def quiet_import() -> None:
    """Imports TensorFlow without its log."""
    with quiet():
        import keras_bnn._keras  # noqa: F401
