from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.options import Offline, Wheel
from keras_bnn.cli.output import Json, progress, show
from keras_bnn.errors import InputError


def command(
    files: Annotated[list[Path], typer.Argument(help=".tflite files, 1-bit or not.")],
    on: Annotated[str, typer.Option(help="The board: ssh://[user@]host[:port].")],
    wheel: Wheel = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Set up a board over ssh, copy files there, and say how to run them."""
    from keras_bnn.deploy import ssh
    from keras_bnn.deploy.target import Adb, parse

    target = parse(on)
    if isinstance(target, Adb):
        raise InputError(f"--on is {on!r}, expected ssh://[user@]host[:port]: see export/android.")
    deployed = ssh.deploy(target, files, wheel=wheel, offline=offline, say=progress)
    show(deployed.to_dict(), as_json, str(deployed))
