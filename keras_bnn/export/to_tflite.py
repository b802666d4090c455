import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_bnn import files
from keras_bnn.errors import InputError
from keras_bnn.export.bake import bake
from keras_bnn.export.convert import convert
from keras_bnn.export.fates import FLOAT, LayerFate, fates, name_after_layers
from keras_bnn.export.limits import check_graph, notes_on
from keras_bnn.export.metadata import metadata_for
from keras_bnn.export.reasons import WRONGLY_1BIT
from keras_bnn.export.rules import rewrite
from keras_bnn.export.stored_kernels import stored_kernels
from keras_bnn.tables import aligned
from keras_bnn.tflite import metadata
from keras_bnn.tflite.file import read
from keras_bnn.tflite.graph import Graph
from keras_bnn.tflite.metadata import Normalization
from keras_bnn.tflite.naming import name_tensors


class ExportError(ValueError):
    """A binary layer would stay float in the file; nothing was written.

    Attributes:
        layers: The `LayerFate` of each layer in question.
    """

    def __init__(self, layers: Sequence[LayerFate]):
        self.layers = list(layers)
        named = "; ".join(f"{fate.name} ({fate.kind}): {fate.reason}" for fate in layers)
        count = "1 binary layer" if len(self.layers) == 1 else f"{len(self.layers)} binary layers"
        super().__init__(f"{count} would not be 1-bit. {named}")


@dataclass(frozen=True)
class Exported:
    """A written file.

    Attributes:
        path: Where it is.
        bytes: Its size.
        layers: What became of each quantized layer, in the order of the model's calls.
        notes: Where the file computes something else than the model, by intention.
    """

    path: Path
    bytes: int
    layers: list[LayerFate]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "layers": [fate.to_dict() for fate in self.layers],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        rows = [
            (f"  {fate.name}", fate.fate, f"{fate.bytes:,} bytes", fate.reason or "")
            for fate in self.layers
        ]
        title = f"{self.path}: {self.bytes:,} bytes"
        table = [aligned(rows, right=[2])] if rows else []
        return "\n".join([title, *table, *(f"  note: {note}" for note in self.notes)])


def to_tflite(
    model,
    path: str | os.PathLike,
    *,
    allow_float: Sequence[str] = (),
    labels: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    preprocessing: Normalization | str | Mapping[str, Normalization | str] | None = None,
    description: str | None = None,
) -> Exported:
    """Writes `model` as a .tflite file whose binary layers are 1-bit, or says why it cannot.

    Binary kernels are stored as one bit a weight; a binary layer becomes one operator that
    multiplies by XNOR and popcount. Dense layers become 1×1 convolutions. The file keeps the
    names and the order of the model's inputs and outputs, and takes any batch if the model does.

    Args:
        model: A built Keras 2 model of layers of this package, of larq, and of Keras. Or the folder
            of a SavedModel, as Keras 3 writes it with `model.export(folder)`: its binary layers
            are found in its graph, and inputs and outputs ordered by name.
        path: The file to write. It is replaced as a whole, or left as it was.
        allow_float: Names of binary layers that may stay float.
        labels: What each index of the output's last axis stands for; for several outputs a dict by
            name. It goes where TFLite's standard metadata has it: a list in a zip archive behind
            the flatbuffer.
        preprocessing: What to do with an input before it is passed, which the file does not do
            itself: `keras_bnn.tflite.Normalization(mean, std)`, or text for anything else; for
            several inputs a dict by name. Standard metadata, too.
        description: What the model does, for people. Standard metadata, too.

    Versions of the packages at work are always in the file, in a buffer of our own, `keras_bnn`.
    The same model and arguments give the same bytes.

    Returns:
        The file's size and the fate of each quantized layer.

    Raises:
        InputError: If the model, the path, the labels or the preprocessing cannot be used.
        ExportError: If a layer would stay float although ±1 reaches it and its kernel has two
            values per channel, or would compute something else as 1-bit.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> exported = keras_bnn.export.to_tflite(model, "model.tflite")
    >>> {fate.fate for fate in exported.layers}
    {'1-bit'}
    """
    files.check_writable(path)
    baked = bake(model)
    _check_names(allow_float, [layer.label for layer in baked.layers])
    about = metadata_for(
        baked.graph, baked.input_names, baked.output_names, labels, preprocessing, description
    )
    rewrite(baked.graph)
    check_graph(baked.graph)
    file = Graph(read(convert(baked.graph, baked.input_names, baked.output_names)))
    stored = stored_kernels(file)
    layers = fates(file, baked, stored)
    refused = [fate for fate in layers if _is_refused(fate, allow_float)]
    if refused:
        raise ExportError(refused)
    name_after_layers(file, baked, stored)
    limits = notes_on(file)
    name_tensors(file)
    data = metadata.write(file.model, about)
    files.write_atomically(path, data)
    notes = tuple(dict.fromkeys(baked.graph.notes + limits))
    return Exported(Path(path), len(data), layers, notes)


def _check_names(allow_float: Sequence[str], names: list[str]) -> None:
    if isinstance(allow_float, str):
        raise InputError(f"allow_float is {allow_float!r}, expected a list: [{allow_float!r}].")
    unknown = sorted(set(allow_float) - set(names))
    if unknown:
        raise InputError(
            f"allow_float names {unknown}, but the model's quantized layers are {names}."
        )


def _is_refused(fate: LayerFate, allow_float: Sequence[str]) -> bool:
    if fate.reason == WRONGLY_1BIT:
        return True
    return fate.meant_binary and fate.fate == FLOAT and fate.name not in allow_float
