from pathlib import Path
from typing import Annotated

import typer

from keras_bnn.cli.output import Json, quiet, show


def command(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")],
    inputs: Annotated[
        Path,
        typer.Argument(
            help="Samples: .npy, or .npz by name. The batch is the first axis, values as the model "
            "was trained on: images of the data sets here are from -1 to 1."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Outputs: .npy, or .npz by name.")],
    threads: Annotated[int, typer.Option(min=1, help="Threads for one prediction.")] = 1,
    as_json: Json = False,
) -> None:
    """Run a file on samples and write its outputs."""
    from keras_bnn import runtime
    from keras_bnn.cli.arrays import check_output_path, load_arrays, save_arrays

    check_output_path(out)
    samples = load_arrays(inputs)
    with quiet():
        interpreter = runtime.Interpreter(file, num_threads=threads)
        outputs = interpreter.predict(samples)
    if not isinstance(outputs, dict):
        outputs = {interpreter.output_names[0]: outputs}
    save_arrays(out, outputs)
    shapes = {name: list(array.shape) for name, array in outputs.items()}
    text = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
    show(
        {"path": str(out), "outputs": shapes, "engine": interpreter.engine},
        as_json,
        f"{out}: {text}, by {interpreter.engine}",
    )
