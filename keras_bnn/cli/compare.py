from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.options import DataFolder, Flip, Offline, Shift, Wheel
from keras_bnn.cli.output import Json, progress, quiet, show
from keras_bnn.errors import InputError


def command(
    data: Annotated[str, typer.Option(help="A data set: digits, fashion_mnist, mnist.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the report.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="A binary network of the zoo; repeatable. Default: binarynet."),
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            help="A way to train each of them, as --recipe of keras-bnn train; repeatable. "
            "Default: the usual one."
        ),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Default: 0,1,2.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the data set's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: the data set's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the data set's.")] = None,
    shift: Shift = None,
    flip: Flip = None,
    trained: Annotated[
        list[Path] | None,
        typer.Option(help="A trained binary model instead; repeatable, one a seed."),
    ] = None,
    trained_twin: Annotated[
        list[Path] | None, typer.Option(help="Its trained float twin, in the same order.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Points of accuracy that a binary network may lose.")
    ] = 1.0,
    on: Annotated[
        str | None, typer.Option(help="A board to time on, too: ssh://[user@]host[:port].")
    ] = None,
    wheel: Wheel = None,
    offline: Offline = False,
    data_folder: DataFolder = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the comparison in OUT, as it was where nothing is given."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train binary networks, their float twins and those in int8, and say which to take."""
    with quiet():
        from keras_bnn import compare
    from keras_bnn import data as datasets
    from keras_bnn.cli.epoch_bar import epoch_bar

    with epoch_bar() as callbacks:
        comparison = compare.compare(
            datasets.load(data, data_folder),
            out,
            models=model or None,
            recipes=recipe or None,
            seeds=None if seeds is None else _numbers(seeds),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            shift=shift,
            flip=flip,
            trained=_pairs(trained or [], trained_twin or []),
            tolerance=tolerance,
            on=on,
            wheel=wheel,
            offline=offline,
            resume=resume,
            callbacks=callbacks,
            progress=progress,
        )
    show(comparison.to_dict(), as_json, str(comparison))
    if not comparison.yes:
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--seeds is {text!r}, expected numbers, such as 0,1,2.") from None


def _pairs(binary: list[Path], twins: list[Path]) -> list[tuple[Path, Path]]:
    if len(binary) != len(twins):
        raise InputError(
            f"Got {len(binary)} --trained and {len(twins)} --trained-twin, expected as many: each "
            "binary model is compared with its own twin."
        )
    return list(zip(binary, twins, strict=True))
