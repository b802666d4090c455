from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, quiet, show
from keras_bnn.errors import InputError


def command(
    files: Annotated[list[Path], typer.Argument(help=".tflite files, 1-bit or not.")],
    threads: Annotated[str, typer.Option(help="Numbers of threads, such as 1,2,4.")] = "1",
    batch: Annotated[int, typer.Option(min=1, help="Samples in one prediction.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0.01, help="How long to measure for each number of threads.")
    ] = 2.0,
    pin: Annotated[
        int | None, typer.Option(min=0, help="Pin to this core while measuring.")
    ] = None,
    profile: Annotated[
        bool, typer.Option(help="Show where the time of each 1-bit file goes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Time files on every engine that runs them here, all taking turns in one run."""
    from keras_bnn import runtime

    counts = _counts(threads)
    with quiet():
        result = runtime.benchmark(files, counts, batch, seconds, pin, profile)
    show(result.to_dict(), as_json, str(result))


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise InputError(f"--threads is {text!r}, expected numbers from 1 on, such as 1,2,4.")
    return counts
