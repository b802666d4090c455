"""What is in a .tflite file: its layers, how wide each computes, and where the bytes go."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from keras_bnn.tflite import _appended_files, _table
from keras_bnn.tflite._names import printable
from keras_bnn.tflite._verify import TFLiteFileError
from keras_bnn.tflite.chains import Break, breaks
from keras_bnn.tflite.channels import packed_channels
from keras_bnn.tflite.file import load, parse
from keras_bnn.tflite.graph import Graph, type_name
from keras_bnn.tflite.interface import Interface, interfaces
from keras_bnn.tflite.layers import Layer, layers
from keras_bnn.tflite.memory import Peak, peak
from keras_bnn.tflite.metadata import Metadata, read

KINDS: tuple[str, ...] = ("1-bit", "int8", "float", "other", "metadata", "structure")

_KIND_OF_TYPE = {"int8": "int8", "uint8": "int8", "float32": "float", "float16": "float"}
# Operators whose input of that position is packed.
_PACKED_INPUTS = {"LceBconv2d": (0, 1), "LceBMaxPool2d": (0,), "LceDequantize": (0,)}


@dataclass(frozen=True)
class Description:
    """What `describe` found in a file. `str()` of it is a table for reading.

    Attributes:
        path: The file, or None if it was given as bytes.
        inputs: Inputs of the model in the order of the file.
        outputs: Outputs, likewise.
        operators: How often each operator occurs, in the order of first use.
        layers: Every operator that multiplies with weights, in the order of execution.
        bytes: Size of the file by what the bytes hold: "1-bit" (packed weights), "int8" (unsigned
            too), "float" (float32 and float16), "other" (constants of other types: thresholds,
            shapes), "metadata" (its buffers, and files behind the flatbuffer), "structure" (the
            graph, names, options, padding). A buffer that several tensors share counts once, for
            the first of these kinds. The sum is the size of the file.
        graphs: Number of graphs. Only the first is described; others belong to control flow. The
            constants of all of them are in `bytes`.
        peak: The operator where activations take most memory.
        breaks: Where numbers instead of bits go from one 1-bit layer to the next, and why.
        metadata: Labels, preprocessing, description, and versions of what wrote the file.
    """

    path: str | None
    inputs: tuple[Interface, ...]
    outputs: tuple[Interface, ...]
    operators: dict[str, int]
    layers: tuple[Layer, ...]
    bytes: dict[str, int]
    graphs: int
    peak: Peak
    breaks: tuple[Break, ...]
    metadata: Metadata

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return sum(self.bytes.values())

    @property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates of one inference by `Layer.kind`; "1-bit" and "float" always."""
        result = {"1-bit": 0, "float": 0}
        for layer in self.layers:
            result[layer.kind] = result.get(layer.kind, 0) + layer.macs
        return result

    @property
    def binary_macs(self) -> int:
        """Multiply-accumulates of all 1-bit layers."""
        return self.macs["1-bit"]

    @property
    def float_macs(self) -> int:
        """Multiply-accumulates of all layers with float inputs."""
        return self.macs["float"]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as dictionaries, lists, strings and numbers, ready for `json.dumps`.

        The keys are the attributes', and "file_bytes" and "macs".
        """
        return _plain(asdict(self) | {"file_bytes": self.file_bytes, "macs": self.macs})

    def text(self, drawing: str | None = None) -> str:
        """Returns the description for reading.

        Args:
            drawing: Of the network, as `keras_bnn.tflite.draw` makes it, to show instead of the
                table of layers.
        """
        listed = [_table.ports(self.inputs, self.outputs), _table.layer_rows(self.layers)]
        parts = [
            f"{printable(self.path or '.tflite file')}, {self.file_bytes:,} bytes",
            _table.about(self.metadata),
            *([drawing] if drawing else listed),
            _table.findings(self.peak, self.breaks, self.layers),
            _table.shares("MACs", self.macs),
            _table.sizes(self.bytes),
            "" if drawing else _table.operators(self.operators),
        ]
        if self.graphs > 1:
            parts.append(f"Only the first of {self.graphs} graphs is listed.")
        return "\n\n".join(part for part in parts if part)

    def __str__(self) -> str:
        return self.text()


def describe(path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview) -> Description:
    """Describes a .tflite file: operators, layers, work, bytes, memory, and what could be better.

    Args:
        path_or_bytes: The path of a file, or its whole content.

    Raises:
        TFLiteFileError: If it is no .tflite file, is damaged, or contradicts itself. The message
            is one line: what was found, what was expected and what to change.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> exported = keras_bnn.export.to_tflite(model, "model.tflite")
    >>> description = describe("model.tflite")
    >>> [layer.filter_shape for layer in description.layers[:2]]
    [(3, 3, 1, 32), (3, 3, 32, 64)]
    >>> description.bytes["1-bit"]
    16128
    """
    given = isinstance(path_or_bytes, (bytes, bytearray, memoryview))
    data, name = load(path_or_bytes)
    model = parse(data, name)
    try:
        graph = Graph(model)
        found = tuple(layers(graph))
        return Description(
            path=None if given else str(path_or_bytes),
            inputs=interfaces(graph, graph.inputs),
            outputs=interfaces(graph, graph.outputs),
            operators=dict(Counter(operator.name for operator in graph.operators)),
            layers=found,
            bytes=_bytes_by_kind(graph, data),
            graphs=len(model.subgraphs or []),
            peak=peak(graph, packed_channels(graph)),
            breaks=tuple(breaks(graph, found)),
            metadata=read(graph, data),
        )
    except TFLiteFileError as error:
        raise TFLiteFileError(f"{name}: {error}") from None


def _bytes_by_kind(graph: Graph, data: bytes) -> dict[str, int]:
    buffers = graph.model.buffers or []
    kinds: dict[int, str] = {}
    for number, buffer_kind in _kinds(graph):
        known = kinds.get(number, buffer_kind)
        kinds[number] = min(known, buffer_kind, key=KINDS.index)
    # Two entries of the buffer list may be the same bytes of the file.
    places: dict[tuple[int, int], str] = {}
    for number, kind in kinds.items():
        content = buffers[number].data
        if content is not None and len(content):
            place = (content.ctypes.data, len(content))
            places[place] = min(places.get(place, kind), kind, key=KINDS.index)
    result: dict[str, int] = dict.fromkeys(KINDS, 0)
    for (_, size), kind in places.items():
        result[kind] += size
    result["metadata"] += _appended_files.size(data)
    result["structure"] = len(data) - sum(result.values())
    if result["structure"] < 0:
        raise TFLiteFileError("the data of its tensors overlaps: copy or export it again")
    return result


def _kinds(graph: Graph):
    """Yields the buffer and the kind of all metadata, and of every tensor of every graph."""
    for entry in graph.model.metadata or []:
        yield entry.buffer, "metadata"
    packed = {
        operator.inputs[position]
        for operator in graph.operators
        for position in _PACKED_INPUTS.get(operator.name, ())
        if position < len(operator.inputs)
    }
    for number, subgraph in enumerate(graph.model.subgraphs or []):
        for index, tensor in enumerate(subgraph.tensors or []):
            kind = _KIND_OF_TYPE.get(type_name(tensor.type), "other")
            yield tensor.buffer, "1-bit" if number == 0 and index in packed else kind


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
