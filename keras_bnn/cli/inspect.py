import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, show

_BOLD_CYAN = "\033[1;36m{}\033[0m"


def command(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")], as_json: Json = False
) -> None:
    """Draw a file's network, its 1-bit part as a solid bar, and show where its bytes go."""
    from keras_bnn import tflite
    from keras_bnn.tflite.drawing import in_ascii

    description = tflite.describe(file)
    text = description.text(tflite.draw(file, _BOLD_CYAN.format if _in_colour() else None))
    show(description.to_dict(), as_json, text if _can_print(text) else in_ascii(text))


def _in_colour() -> bool:
    # https://no-color.org
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
