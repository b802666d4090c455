from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.options import DataFolder, Flip, Shift
from keras_bnn.cli.output import Json, progress, quiet_import, show


def command(
    model: Annotated[str, typer.Argument(help="A network of the zoo: binarynet, quicknet, …")],
    data: Annotated[str, typer.Argument(help="A data set: digits, fashion_mnist, mnist.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the run.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="How: plain (the default), two_step, distillation, two_step_distillation, "
            "quicknet, reactnet, real_to_binary."
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="A trained float model, for recipes that learn from one.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Of all stages of the recipe. Default: by data set.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default: by data set.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Default: by data set; published recipes have their own.")
    ] = None,
    shift: Shift = None,
    flip: Flip = None,
    seed: Annotated[
        int | None, typer.Option(help="Of weights, order and validation split. Default: 0.")
    ] = None,
    data_folder: DataFolder = None,
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
            recipe=recipe,
            teacher=teacher,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            shift=shift,
            flip=flip,
            seed=seed,
            resume=resume,
            callbacks=callbacks,
            progress=progress,
        )
    text = f"{trained.model_path}: test accuracy {trained.test_accuracy:.2%}"
    show(trained.to_dict(), as_json, text)
