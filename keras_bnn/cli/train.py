from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, progress, quiet_import, show


def command(
    model: Annotated[str, typer.Argument(help="A network of the zoo: binarynet, quicknet, …")],
    data: Annotated[str, typer.Argument(help="A data set: digits, fashion_mnist, mnist.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the run.")],
    epochs: Annotated[int | None, typer.Option(help="Default: the data set's recipe.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the recipe's.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of weights, order and validation split. Default: 0.")
    ] = None,
    data_folder: Annotated[
        Path | None, typer.Option(help="Where the data set's files are.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the run in OUT, with its settings where none are given."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a network; checkpoints every epoch, resumes exactly."""
    quiet_import()
    from keras_bnn import data as datasets
    from keras_bnn import training
    from keras_bnn.cli.epoch_bar import epoch_bar

    with epoch_bar() as callbacks:
        trained = training.train(
            model,
            datasets.load(data, data_folder),
            out,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            resume=resume,
            callbacks=callbacks,
            progress=progress,
        )
    text = f"{trained.model_path}: test accuracy {trained.test_accuracy:.2%}"
    show(trained.to_dict(), as_json, text)
