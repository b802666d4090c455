"""What a file says of itself for those who use it: labels, preprocessing, a description, versions.

    TFLITE_METADATA   the standard buffer (`ModelMetadata` of tflite-support): description,
                      normalization and descriptions of inputs, which file labels an output
    labels.txt        the standard place of labels: a zip archive behind the flatbuffer
    keras_bnn         our own buffer, since the standard has no place for it: versions of the
                      packages that wrote the file, as JSON

Viewers and Android's tools read the first two; LiteRT itself reads none and runs the file as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_bnn.errors import InputError
from keras_bnn.tflite import _appended_files, _metadata_buffer, file
from keras_bnn.tflite._metadata_buffer import TensorEntry
from keras_bnn.tflite._verify import TFLiteFileError
from keras_bnn.tflite.graph import Graph

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT

STANDARD = "TFLITE_METADATA"
OURS = "keras_bnn"
# What converters write where nothing was said.
_NO_DESCRIPTIONS = ("MLIR Converted.", "TOCO Converted.")


@dataclass(frozen=True, init=False)
class Normalization:
    """Preprocessing of an input by (x − mean) / std, in units of the values before it.

    Args:
        mean: One number, or one a channel.
        std: Likewise; none is 0.

    Attributes:
        mean, std: Tuples of the same length, 1 or the number of channels.

    Raises:
        InputError: If a number is not finite, `std` has a 0, or the lengths differ.

    >>> Normalization(127.5, [64, 65, 66])
    Normalization(mean=(127.5, 127.5, 127.5), std=(64.0, 65.0, 66.0))
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]):
        means, stds = _numbers("mean", mean), _numbers("std", std)
        count = max(len(means), len(stds))
        # Readers of the standard want as many of the one as of the other.
        means, stds = (v * count if len(v) == 1 else v for v in (means, stds))
        if len(means) != len(stds):
            raise InputError(f"Got {len(means)} means and {len(stds)} stds, expected as many.")
        if not np.asarray(stds, np.float32).all():
            raise InputError(f"std is {list(stds)}, expected no 0: values are divided by it.")
        object.__setattr__(self, "mean", means)
        object.__setattr__(self, "std", stds)

    def __str__(self) -> str:
        return f"(x − {_text(self.mean)}) / {_text(self.std)}"


@dataclass(frozen=True)
class Metadata:
    """What a file says of itself.

    Attributes:
        description: What the model does, for people.
        labels: By name of an output, a label for each index of its last axis. Empty if the file
            names a list of labels but lacks it, as after a tool that drops appended files.
        normalization: By name of an input, what to do with its values first.
        input_descriptions: By name of an input, what else there is to know of it.
        versions: By name of a package, its version when the file was written.
    """

    description: str | None = None
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    normalization: dict[str, Normalization] = field(default_factory=dict)
    input_descriptions: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def write(model: ModelT, metadata: Metadata) -> bytes:
    """Writes a model as the content of a .tflite file, with metadata; see `keras_bnn.tflite.write`.

    Args:
        model: A `ModelT`; it gets the metadata's buffers.
        metadata: Names in it are those of the model's inputs and outputs.

    The same model and metadata give the same bytes.
    """
    graph = Graph(model)
    files = _label_files(metadata)
    if metadata.description or files or metadata.normalization or metadata.input_descriptions:
        inputs = [_input_entry(port.name, metadata) for port in graph.inputs]
        outputs = [
            TensorEntry(port.name, label_file=files.get(port.name)) for port in graph.outputs
        ]
        _set(model, STANDARD, _metadata_buffer.encode(metadata.description, inputs, outputs))
    if metadata.description:
        # Viewers show this field of the model and the standard metadata one after the other.
        model.description = None
    if metadata.versions:
        _set(model, OURS, json.dumps({"versions": metadata.versions}, sort_keys=True).encode())
    contents = {
        files[name]: "".join(f"{label}\n" for label in labels).encode()
        for name, labels in metadata.labels.items()
    }
    return _appended_files.append(file.write(model), contents)


def read(graph: Graph, data: bytes) -> Metadata:
    """Reads the metadata of a file.

    Args:
        graph: The file's graph.
        data: The file.

    Raises:
        TFLiteFileError: If the metadata is damaged or does not fit the graph.
    """
    buffers = _buffers(graph.model)
    description, inputs, outputs = None, [], []
    if STANDARD in buffers:
        description, inputs, outputs = _metadata_buffer.decode(buffers[STANDARD])
        _check_count("inputs", len(inputs), len(graph.inputs))
        _check_count("outputs", len(outputs), len(graph.outputs))
    named_inputs = [(port.name, entry) for port, entry in zip(graph.inputs, inputs, strict=False)]
    named_outputs = zip(graph.outputs, outputs, strict=False)
    return Metadata(
        description=description or _own_description(graph.model),
        labels={
            port.name: _labels(data, entry.label_file)
            for port, entry in named_outputs
            if entry.label_file
        },
        normalization={
            name: _normalization(*entry.normalization)
            for name, entry in named_inputs
            if entry.normalization
        },
        input_descriptions={
            name: entry.description for name, entry in named_inputs if entry.description
        },
        versions=_versions(buffers.get(OURS)),
    )


def _label_files(metadata: Metadata) -> dict[str, str]:
    """Names of the files that hold the labels, by name of the output."""
    if len(metadata.labels) == 1:
        return dict.fromkeys(metadata.labels, "labels.txt")
    return {name: f"labels_{i}.txt" for i, name in enumerate(metadata.labels)}


def _input_entry(name: str, metadata: Metadata) -> TensorEntry:
    normalization = metadata.normalization.get(name)
    return TensorEntry(
        name,
        metadata.input_descriptions.get(name),
        (normalization.mean, normalization.std) if normalization else None,
    )


def _set(model: ModelT, name: str, content: bytes) -> None:
    """Adds a metadata buffer to a model, or replaces the one of that name."""
    from ai_edge_litert.schema_py_generated import BufferT, MetadataT

    model.metadata = [
        entry for entry in model.metadata or [] if entry.name not in (name, name.encode())
    ]
    model.buffers = model.buffers or [BufferT()]
    model.buffers.append(BufferT(data=np.frombuffer(content, np.uint8)))
    model.metadata.append(MetadataT(name, len(model.buffers) - 1))


def _buffers(model: ModelT) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in model.metadata or []:
        name: Any = entry.name or b""
        data = (model.buffers or [])[entry.buffer].data
        name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        found.setdefault(name, b"" if data is None else bytes(data))
    return found


def _own_description(model: ModelT) -> str | None:
    text: Any = model.description or b""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return None if text in _NO_DESCRIPTIONS else text or None


def _labels(data: bytes, name: str) -> tuple[str, ...]:
    content = _appended_files.read(data, name)
    if content is None:
        return ()
    lines = content.decode("utf-8", "replace").split("\n")
    # The last line may end or may not.
    return tuple(line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1]))


def _normalization(mean: tuple[float, ...], std: tuple[float, ...]) -> Normalization:
    try:
        return Normalization(mean, std)
    except InputError as error:
        raise TFLiteFileError(f"in its TFLITE_METADATA, {error} Export it again.") from None


def _versions(content: bytes | None) -> dict[str, str]:
    if content is None:
        return {}
    try:
        versions = json.loads(content)["versions"]
        return {str(package): str(version) for package, version in versions.items()}
    except Exception as error:
        raise TFLiteFileError(
            f"its metadata {OURS!r} is damaged ({type(error).__name__}): export the file again"
        ) from None


def _check_count(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise TFLiteFileError(
            f"its TFLITE_METADATA describes {found} {what}, the graph has {expected}: export the "
            "file again"
        )


def _numbers(name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(number) for number in np.atleast_1d(np.asarray(value, np.float64)))
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{name} is {value!r}, expected a finite number, or one a channel.")
    return numbers


def _text(values: tuple[float, ...]) -> str:
    if len(set(values)) == 1:
        return f"{values[0]:g}"
    return f"[{', '.join(f'{value:g}' for value in values)}]"
