"""From trained networks to files, and what is measured of each but for its time."""

from collections.abc import Callable
from pathlib import Path

from keras_bnn import saving
from keras_bnn.compare.int8 import to_int8_tflite
from keras_bnn.compare.measurements import description, tested
from keras_bnn.compare.network import BINARY, FLOAT32, INT8, Network, Run
from keras_bnn.compare.runs import Family, check_binary, exported, file_name, label_of
from keras_bnn.data import Dataset
from keras_bnn.errors import InputError
from keras_bnn.export import LayerFate


def networks_of(
    family: Family, dataset: Dataset, folder: Path, progress: Callable[[str], None]
) -> list[Network]:
    """Exports all networks of a family: the binary ones, the float twin, the twin in int8.

    Args:
        family: What was trained.
        dataset: Its training examples show the ranges of the int8 twin; its test examples are for
            the accuracy of the files.
        folder: Gets the files.
        progress: Called with a line for each network.

    Raises:
        InputError: If a network cannot be exported, or is not binary, or not float, as it should.
    """

    def network(precision: str, label: str, runs: list[Run], recipe: str | None = None) -> Network:
        progress(f"exporting and testing {label}")
        files, layers = [], []
        for number, run in enumerate(runs):
            path = folder / f"{file_name(label, number if run.seed is None else run.seed)}.tflite"
            model = saving.load_model(run.model_path, compile=False)
            layers = _WRITERS[precision](model, path, dataset)
            files.append(tested(path, dataset.test, dataset.num_classes))
        found = description(files[0].path)
        return Network(label, family.model, precision, recipe, runs, files, layers, **found)

    return [
        *(
            network(BINARY, label_of(family.model, recipe), runs, recipe)
            for recipe, runs in family.binary.items()
        ),
        network(FLOAT32, f"{family.model} float32", family.twin),
        network(INT8, f"{family.model} int8", family.twin),
    ]


def _write_binary(model, path: Path, dataset: Dataset) -> list[LayerFate]:
    written = exported(model, path)
    check_binary(written, model.name)
    return written.layers


def _write_float32(model, path: Path, dataset: Dataset) -> list[LayerFate]:
    if any(fate.fate == "1-bit" for fate in exported(model, path).layers):
        raise InputError(f"{model.name} has 1-bit layers, expected the float twin.")
    return []


def _write_int8(model, path: Path, dataset: Dataset) -> list[LayerFate]:
    to_int8_tflite(model, path, dataset.train.images)
    return []


_WRITERS = {BINARY: _write_binary, FLOAT32: _write_float32, INT8: _write_int8}
