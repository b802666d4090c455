from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, quiet, quiet_import, show


def command(
    model: Annotated[Path, typer.Argument(help="The model that was exported.")],
    file: Annotated[Path, typer.Argument(help="The .tflite file.")],
    inputs: Annotated[
        Path | None,
        typer.Option(help="Samples to compare on: .npy, or .npz by name. Default: random ones."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a Keras model with its exported file; exit status 1 if they differ."""
    from keras_bnn.cli.arrays import load_arrays

    samples = None if inputs is None else load_arrays(inputs)
    quiet_import()
    from keras_bnn import export
    from keras_bnn.cli import models

    loaded = models.load(model)
    with quiet():
        verification = export.verify(loaded, file, samples)
    show(verification.to_dict(), as_json, str(verification))
    if not verification.ok:
        raise typer.Exit(1)
