"""Options that several commands take in the same words."""

from pathlib import Path
from typing import Annotated

import typer

DataFolder = Annotated[Path | None, typer.Option(help="Where the data set's files are.")]
Flip = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="Mirror half of them. Default: by data set."),
]
Offline = Annotated[
    bool, typer.Option(help="Send dependencies along, for a board without internet.")
]
Shift = Annotated[
    int | None,
    typer.Option(help="Move training images by up to so many pixels. Default: by data set."),
]
Wheel = Annotated[Path | None, typer.Option(help="The wheel of keras-bnn for that board.")]
