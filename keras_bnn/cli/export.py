from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, quiet_import, show


def command(
    model: Annotated[Path, typer.Argument(help="A .keras or .h5 file, or a SavedModel of Keras.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .tflite file to write.")],
    allow_float: Annotated[
        list[str] | None, typer.Option(help="A binary layer that may stay float; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model as a 1-bit .tflite file, or say which layer would stay float."""
    quiet_import()
    from keras_bnn import export, saving

    try:
        exported = export.to_tflite(
            saving.load_model(model, compile=False), out, allow_float=allow_float or ()
        )
    except export.ExportError as error:
        typer.echo(f"keras-bnn: {error}", err=True)
        raise typer.Exit(1) from None
    show(exported.to_dict(), as_json, str(exported))
