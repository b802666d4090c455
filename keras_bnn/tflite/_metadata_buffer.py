"""The flatbuffer `ModelMetadata` of tflite-support's metadata_schema.fbs, as far as it is used.

LiteRT brings no code for this schema, so its tables are written and read by the positions of their
fields. The parts that are used have not changed since version 1.0.0 of the schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_bnn.tflite._verify import StrictBytes, TFLiteFileError, check_header

if TYPE_CHECKING:
    from flatbuffers import Builder

IDENTIFIER = b"M001"
_SCHEMA_VERSION = "1.0.0"

_MODEL = {"description": 1, "subgraphs": 3, "min_parser_version": 7}
_SUBGRAPH = {"inputs": 2, "outputs": 3}
_TENSOR = {"name": 0, "description": 1, "process_units": 4, "associated_files": 6}
_PROCESS_UNIT = {"type": 0, "options": 1}
_NORMALIZATION = {"mean": 0, "std": 1}
_FILE = {"name": 0, "type": 2}

_IS_NORMALIZATION = 1
_TENSOR_AXIS_LABELS = 2


@dataclass(frozen=True)
class TensorEntry:
    """What the standard says of one input or output.

    Attributes:
        name: Its name.
        description: For people.
        normalization: (means, standard deviations) of (x − mean) / std, one or one a channel.
        label_file: The attached file with a label for each index of the last axis.
    """

    name: str
    description: str | None = None
    normalization: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    label_file: str | None = None


def encode(description: str | None, inputs: list[TensorEntry], outputs: list[TensorEntry]) -> bytes:
    """Returns the content of the buffer for a model with these inputs and outputs, in order."""
    from flatbuffers import Builder

    builder = Builder(1024)
    tensors = {
        "inputs": _vector(builder, [_write_tensor(builder, entry) for entry in inputs]),
        "outputs": _vector(builder, [_write_tensor(builder, entry) for entry in outputs]),
    }
    subgraphs = _vector(builder, [_write(builder, _SUBGRAPH, tensors)])
    fields = {
        "description": builder.CreateString(description) if description else None,
        "subgraphs": subgraphs,
        "min_parser_version": builder.CreateString(_SCHEMA_VERSION),
    }
    builder.Finish(_write(builder, _MODEL, fields), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def decode(data: bytes) -> tuple[str | None, list[TensorEntry], list[TensorEntry]]:
    """Returns description, inputs and outputs; the opposite of `encode`.

    Raises:
        TFLiteFileError: If `data` is no such flatbuffer, or is damaged.
    """
    if data[4:8] != IDENTIFIER:
        raise TFLiteFileError(
            f"its TFLITE_METADATA has the identifier {data[4:8]!r}, expected {IDENTIFIER!r}: "
            "export the file again"
        )
    try:
        model = _Table.root(StrictBytes(data))
        subgraphs = model.tables(_MODEL["subgraphs"])
        inputs, outputs = (
            [_read_tensor(table) for graph in subgraphs[:1] for table in graph.tables(position)]
            for position in (_SUBGRAPH["inputs"], _SUBGRAPH["outputs"])
        )
        return model.text(_MODEL["description"]), inputs, outputs
    # `flatbuffers` checks nothing itself, so any exception may come out of damaged data.
    except Exception as error:
        raise TFLiteFileError(
            f"its TFLITE_METADATA is damaged ({type(error).__name__}): export the file again"
        ) from None


def _write_tensor(builder: Builder, entry: TensorEntry) -> int:
    fields = {"name": builder.CreateString(entry.name)}
    if entry.description:
        fields["description"] = builder.CreateString(entry.description)
    if entry.normalization:
        mean, std = (_floats(builder, values) for values in entry.normalization)
        options = _write(builder, _NORMALIZATION, {"mean": mean, "std": std})
        unit = {"type": (_IS_NORMALIZATION,), "options": options}
        fields["process_units"] = _vector(builder, [_write(builder, _PROCESS_UNIT, unit)])
    if entry.label_file:
        file = {"name": builder.CreateString(entry.label_file), "type": (_TENSOR_AXIS_LABELS,)}
        fields["associated_files"] = _vector(builder, [_write(builder, _FILE, file)])
    return _write(builder, _TENSOR, fields)


def _write(builder: Builder, positions: dict[str, int], fields: dict[str, Any]) -> int:
    """Writes one table: an int refers to what is written already, a tuple holds a byte itself."""
    builder.StartObject(max(positions.values()) + 1)
    for name, value in fields.items():
        if isinstance(value, tuple):
            builder.PrependByteSlot(positions[name], value[0], 0)
        elif value is not None:
            builder.PrependUOffsetTRelativeSlot(positions[name], value, 0)
    return builder.EndObject()


def _vector(builder: Builder, tables: list[int]) -> int:
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def _floats(builder: Builder, values: tuple[float, ...]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()


def _read_tensor(table: _Table) -> TensorEntry:
    units = [
        unit.table(_PROCESS_UNIT["options"])
        for unit in table.tables(_TENSOR["process_units"])
        if unit.byte(_PROCESS_UNIT["type"]) == _IS_NORMALIZATION
    ]
    files = [
        file.text(_FILE["name"])
        for file in table.tables(_TENSOR["associated_files"])
        if file.byte(_FILE["type"]) == _TENSOR_AXIS_LABELS
    ]
    mean, std = (
        (units[0].floats(_NORMALIZATION[name]) if units else ()) for name in ("mean", "std")
    )
    return TensorEntry(
        table.text(_TENSOR["name"]) or "",
        table.text(_TENSOR["description"]),
        (mean, std) if mean and std else None,
        files[0] if files else None,
    )


class _Table:
    """A table of a flatbuffer, read by the position of its fields; raises where it is damaged."""

    def __init__(self, data: StrictBytes, position: int):
        from flatbuffers.table import Table

        self._size = len(data)
        self._table = Table(data, position)
        check_header(self._table, self._size)

    @classmethod
    def root(cls, data: StrictBytes) -> _Table:
        return cls(data, int.from_bytes(data[:4], "little"))

    def text(self, position: int) -> str | None:
        place = self._place(position)
        return self._table.String(place).decode("utf-8", "replace") if place else None

    def byte(self, position: int) -> int:
        place = self._place(position)
        return int.from_bytes(self._table.Bytes[place : place + 1], "little") if place else 0

    def table(self, position: int) -> _Table:
        return _Table(self._table.Bytes, self._table.Indirect(self._place(position)))

    def tables(self, position: int) -> list[_Table]:
        return [
            _Table(self._table.Bytes, self._table.Indirect(place))
            for place in self._elements(position)
        ]

    def floats(self, position: int) -> tuple[float, ...]:
        from flatbuffers.number_types import Float32Flags
        from numpy import float32

        values = (self._table.Get(Float32Flags, place) for place in self._elements(position))
        # The shortest number that is the same as float32: 0.485, not 0.48500001430511475.
        return tuple(float(str(float32(value))) for value in values)

    def _elements(self, position: int) -> range:
        """Places of the elements of a vector whose elements take 4 bytes each."""
        if not self._place(position):
            return range(0)
        field = self._place(position) - self._table.Pos
        start = self._table.Vector(field)
        # A length that is too large ends in an error where the data does.
        return range(start, start + 4 * self._table.VectorLen(field), 4)

    def _place(self, position: int) -> int:
        offset = self._table.Offset(4 + 2 * position)
        return self._table.Pos + offset if offset else 0
