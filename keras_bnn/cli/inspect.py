from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, show


def command(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")], as_json: Json = False
) -> None:
    """Show a file's operators, which layers are 1-bit, and where its bytes go."""
    from keras_bnn import tflite

    description = tflite.describe(file)
    show(description.to_dict(), as_json, str(description))
