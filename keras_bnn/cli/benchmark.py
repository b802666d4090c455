from pathlib import Path
from typing import Annotated, Any

import typer

from keras_bnn.cli.output import Json, progress, quiet, show
from keras_bnn.errors import InputError


def command(
    files: Annotated[list[Path], typer.Argument(help=".tflite files, 1-bit or not.")],
    threads: Annotated[
        str | None, typer.Option(help="Numbers of threads; 1, or elsewhere (--on) 1,4.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples in one prediction.")] = 1,
    seconds: Annotated[
        float,
        typer.Option(min=0.01, max=86400, help="How long to measure for each number of threads."),
    ] = 2.0,
    pin: Annotated[
        int | None, typer.Option(min=0, help="Pin to this core while measuring.")
    ] = None,
    profile: Annotated[
        bool, typer.Option(help="Show where the time of each 1-bit file goes.")
    ] = False,
    on: Annotated[
        str | None,
        typer.Option(help="Where: ssh://[user@]host[:port], adb or adb:SERIAL; else here."),
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="ssh: the wheel of keras-bnn for that board.")
    ] = None,
    offline: Annotated[
        bool, typer.Option(help="ssh: send dependencies along, for a board without internet.")
    ] = False,
    library: Annotated[
        Path | None, typer.Option(help="adb: libkeras_bnn.so for the phone.")
    ] = None,
    benchmark_model: Annotated[
        Path | None, typer.Option(help="adb: LiteRT's benchmark_model for the phone.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Time files on every engine that runs them, here or on a board, taking turns in one run."""
    counts = _counts(("1,4" if on else "1") if threads is None else threads)
    measuring = {"batch": batch, "seconds": seconds, "core": pin, "profiled": profile}
    over_ssh = {"wheel": wheel, "offline": offline}
    over_adb: dict[str, Any] = {"library": library, "benchmark_model": benchmark_model}
    if on is None:
        from keras_bnn import runtime

        _refuse({**over_ssh, **over_adb}, "without --on")
        with quiet():
            result = runtime.benchmark(files, counts, **measuring)
    else:
        from keras_bnn.deploy.target import Adb, parse

        target = parse(on)
        if isinstance(target, Adb):
            _refuse(over_ssh, f"with --on {on}")
            from keras_bnn.deploy import adb

            result = adb.benchmark(target.serial, files, threads=counts, **measuring, **over_adb)
        else:
            _refuse(over_adb, f"with --on {on}")
            from keras_bnn.deploy import ssh

            result = ssh.benchmark(
                target, files, threads=counts, **measuring, **over_ssh, say=progress
            )
    show(result.to_dict(), as_json, str(result))


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise InputError(f"--threads is {text!r}, expected numbers from 1 on, such as 1,2,4.")
    return counts


def _refuse(options: dict, where: str) -> None:
    for name, value in options.items():
        if value:
            raise InputError(f"--{name.replace('_', '-')} means nothing {where}: leave it out.")
