"""What must hold in a .tflite file before anything relies on it.

LiteRT's Python reader follows offsets wherever they lead: negative ones count from the end, a
string that is too long comes out short, and a length read from zeros or rubbish can ask for
millions of objects. These checks come first, and are linear in the size of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_bnn.errors import InputError

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import Model, ModelT

# LiteRT's own verifier stops at as many.
_MOST_TABLES = 1_000_000

_VECTORS_OF_TABLES = {
    "Model": (
        "OperatorCodes",
        "Subgraphs",
        "Buffers",
        "Metadata",
        "SignatureDefs",
        "ExternalBufferGroups",
        "ExternalBuffers",
    ),
    "SubGraph": ("Tensors", "Operators"),
    "SignatureDef": ("Inputs", "Outputs"),
    "Tensor": ("VariantTensors",),
    "SparsityParameters": ("DimMetadata",),
}
_TABLES = {
    "Tensor": ("Quantization", "Sparsity"),
    "Operator": ("BuiltinOptions", "BuiltinOptions2"),
    "QuantizationParameters": ("Details",),
    "DimensionMetadata": ("ArraySegments", "ArrayIndices"),
}


class TFLiteFileError(InputError):
    """A .tflite file that cannot be read: missing, of another kind, damaged or inconsistent.

    The message is one line: what was found, what was expected and what to change.
    """


class StrictBytes(bytes):
    """Bytes that raise IndexError where a slice would come out short."""

    def __getitem__(self, key):
        if isinstance(key, slice) and key.stop is not None and key.stop > len(self):
            raise IndexError(f"bytes up to {key.stop} are needed, the file has {len(self)}")
        return super().__getitem__(key)


def tables(root: Model, size: int) -> None:
    """Checks the header of every table that can be reached from the root.

    Raises:
        TFLiteFileError: If a table is outside the file, or there are more tables than fit in it
            (each takes at least 4 bytes, and 4 for the reference to it).
        Exception: Any other, where the file ends too early.
    """
    left = min(size // 8, _MOST_TABLES)
    check_header(root, size)
    todo: list[Any] = [root]
    while todo:
        table = todo.pop()
        left -= 1
        kind = type(table).__name__
        children = [getattr(table, field)() for field in _TABLES.get(kind, ())]
        todo.extend(_checked((child for child in children if child is not None), size))
        for field in _VECTORS_OF_TABLES.get(kind, ()):
            # Older releases of LiteRT have no external buffers.
            length = getattr(table, f"{field}Length", int)()
            if length > max(left - len(todo), 0):
                raise TFLiteFileError(f"{kind}.{field} says it has {length} entries")
            todo.extend(_checked((getattr(table, field)(i) for i in range(length)), size))


def _checked(found: Iterable[Any], size: int) -> Iterator[Any]:
    for table in found:
        check_header(table, size)
        yield table


def check_header(table, size: int) -> None:
    """Checks one table: `int32 distance to its vtable`, and there `uint16 bytes, uint16 inline`."""
    table = getattr(table, "_tab", table)
    vtable = table.Pos - struct.unpack_from("<i", table.Bytes, table.Pos)[0]
    if not 0 <= vtable <= size - 4:
        raise TFLiteFileError(f"the table at byte {table.Pos} is described outside the file")
    length, inline = struct.unpack_from("<HH", table.Bytes, vtable)
    if length < 4 or length % 2 or vtable + length > size:
        raise TFLiteFileError(f"the table at byte {table.Pos} has a description of {length} bytes")
    if inline < 4 or table.Pos + inline > size:
        raise TFLiteFileError(f"the table at byte {table.Pos} ends outside the file")


def attach_outside_data(model: ModelT, data: bytes) -> None:
    """Fetches what a file keeps behind its flatbuffer: large buffers and large custom options."""

    def fetch(offset: int, size: int, what: str) -> np.ndarray:
        if offset + size > len(data):
            raise TFLiteFileError(f"{what} is at bytes {offset} to {offset + size} of {len(data)}")
        return np.frombuffer(data, np.uint8, size, offset)

    # As LiteRT does, offsets 0 and 1 are taken as "not used": 1 is the converter's placeholder.
    for index, buffer in enumerate(model.buffers or []):
        if buffer.offset > 1 and (buffer.data is None or not len(buffer.data)):
            buffer.data = fetch(buffer.offset, buffer.size, f"buffer {index}")
        buffer.offset = buffer.size = 0
    for graph in model.subgraphs or []:
        for index, operator in enumerate(graph.operators or []):
            if operator.largeCustomOptionsOffset > 1:
                operator.customOptions = fetch(
                    operator.largeCustomOptionsOffset,
                    operator.largeCustomOptionsSize,
                    f"the options of operator {index}",
                )
            operator.largeCustomOptionsOffset = operator.largeCustomOptionsSize = 0


def indices(model: ModelT) -> None:
    """Checks that there is a graph, and that every index in the model points at something.

    Raises:
        TFLiteFileError: Otherwise, or if a tensor's data is in another file.
    """
    if not model.subgraphs:
        raise TFLiteFileError("no graph in the file, expected at least one")
    buffers = len(model.buffers or [])
    for number, graph in enumerate(model.subgraphs):
        where = f"graph {number}" if number else "the graph"
        _check_tensors(graph.tensors or [], buffers)
        count = len(graph.tensors or [])
        _inside(graph.inputs, count, f"an input of {where}", "tensor")
        _inside(graph.outputs, count, f"an output of {where}", "tensor")
        for index, operator in enumerate(graph.operators or []):
            what = f"operator {index} of {where}"
            _inside([operator.opcodeIndex], len(model.operatorCodes or []), what, "operator code")
            for tensors in (operator.inputs, operator.outputs, operator.intermediates):
                _inside(tensors, count, what, "tensor", least=-1)
    for signature in model.signatureDefs or []:
        _inside([signature.subgraphIndex], len(model.subgraphs), "a signature", "graph")
        count = len(model.subgraphs[signature.subgraphIndex].tensors or [])
        named = [*(signature.inputs or []), *(signature.outputs or [])]
        _inside([entry.tensorIndex for entry in named], count, "a signature", "tensor")
    _inside([entry.buffer for entry in model.metadata or []], buffers, "metadata", "buffer")


def _check_tensors(tensors, buffers: int) -> None:
    for index, tensor in enumerate(tensors):
        _inside([tensor.buffer], buffers, f"tensor {index}", "buffer")
        if getattr(tensor, "externalBuffer", 0):
            raise TFLiteFileError(
                f"the data of tensor {index} is in another file, expected all of it in this one"
            )
        if tensor.shape is not None and any(size < 0 for size in tensor.shape):
            raise TFLiteFileError(
                f"tensor {index} has the shape {[int(size) for size in tensor.shape]}, expected "
                "sizes of 0 or more"
            )


def _inside(values, count: int, what: str, kind: str, least: int = 0) -> None:
    for value in [] if values is None else values:
        if not least <= value < count:
            raise TFLiteFileError(f"{what} refers to {kind} {value}, expected one of {count}")


def options_are_known(model: ModelT) -> None:
    """Checks that no operator's options were dropped because their kind is not in the schema.

    Raises:
        TFLiteFileError: Otherwise.
    """
    for graph in model.subgraphs or []:
        for index, operator in enumerate(graph.operators or []):
            for kind, options in (
                (operator.builtinOptionsType, operator.builtinOptions),
                (operator.builtinOptions2Type, operator.builtinOptions2),
            ):
                if kind and options is None:
                    raise TFLiteFileError(
                        f"operator {index} has options of the unknown kind {kind}, which writing "
                        "would lose: install a newer ai-edge-litert"
                    )
