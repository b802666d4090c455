from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, progress, quiet_import, show


def command(
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """Train a binary network and its float twin on digits, export, verify and compare both."""
    quiet_import()
    from keras_bnn.demo import demo

    report = demo(out, progress)
    show(report.to_dict(), as_json, str(report))
    if not report.verification.ok:
        raise typer.Exit(1)
