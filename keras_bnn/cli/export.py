from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, quiet_import, show
from keras_bnn.errors import InputError


def command(
    model: Annotated[
        Path, typer.Argument(help="A .keras or .h5 file, or the folder of a SavedModel.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The .tflite file to write.")],
    allow_float: Annotated[
        list[str] | None, typer.Option(help="A binary layer that may stay float; repeatable.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="A text file with a line for each index of the output's last axis."),
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            help='What to do with the input first: "mean=127.5 std=127.5" for (x − mean) / std, '
            "with commas between channels, or any other text."
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What the model does.")] = None,
    as_json: Json = False,
) -> None:
    """Write a model as a 1-bit .tflite file, or say which layer would stay float."""
    _check_suffix(out)
    label_list = None if labels is None else _lines(labels)
    before = None if preprocessing is None else _preprocessing(preprocessing)
    quiet_import()
    from keras_bnn import export
    from keras_bnn.cli import models
    from keras_bnn.export.bake import bake

    baked = bake(models.load(model))
    if not baked.layers:
        raise InputError(
            f"{model} has no binary layer, so nothing of it would be 1-bit: build it with "
            "keras_bnn.layers, or call keras_bnn.export.to_tflite in Python to write it as it is."
        )
    try:
        exported = export.to_tflite(
            baked,
            out,
            allow_float=allow_float or (),
            labels=label_list,
            preprocessing=before,
            description=description,
        )
    except export.ExportError as error:
        typer.echo(f"keras-bnn: {error}", err=True)
        raise typer.Exit(1) from None
    show(exported.to_dict(), as_json, str(exported))


def _check_suffix(out: Path) -> None:
    # The model itself, most likely; it would be lost.
    if out.suffix.lower() in (".keras", ".h5", ".hdf5"):
        raise InputError(
            f"The output {out} has the name of a Keras model, expected one that ends in .tflite."
        )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {path}, expected a text file of labels: {error}") from None


def _preprocessing(text: str):
    """Reads "mean=… std=…"; other text stays what it is."""
    from keras_bnn.tflite import Normalization

    if "mean=" not in text and "std=" not in text:
        return text
    try:
        words = dict(word.split("=") for word in text.split())
        values = {name: [float(v) for v in numbers.split(",")] for name, numbers in words.items()}
        return Normalization(**values)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f'The preprocessing is {text!r}, expected "mean=127.5 std=127.5", with commas and no '
            "blanks between channels."
        ) from None
