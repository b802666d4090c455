"""A network as lines of text, one an operator, with the ways of the tensors beside them.

    ○  float in and out          │  a float tensor on its way
    ▄  float in, bits out        ┃  a packed tensor on its way
    █  bits in and out
    ▀  bits in, float out

A chain of 1-bit operators is so a solid bar.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from keras_bnn.tables import aligned
from keras_bnn.tflite._names import printable, shape_text, short
from keras_bnn.tflite._verify import TFLiteFileError
from keras_bnn.tflite.channels import packed_channels
from keras_bnn.tflite.file import load, parse
from keras_bnn.tflite.graph import Graph, Operator, Port
from keras_bnn.tflite.layers import Layer, layers

LEGEND = "○ float   ▄ float to 1-bit   █ 1-bit   ▀ 1-bit to float"
_GLYPHS = {(0, 0): "○", (0, 1): "▄", (1, 1): "█", (1, 0): "▀"}
_ASCII = str.maketrans("○▄█▀│┃─├┤┼└┘┴┌┐┬×→", "o_#^|!-||+''+..+x>")


def draw(
    path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview,
    highlight: Callable[[str], str] | None = None,
) -> str:
    """Draws the network in a .tflite file as text, 1-bit operators as a solid bar.

    Args:
        path_or_bytes: The path of a file, or its whole content.
        highlight: Applied to each line of an operator that reads or writes bits, to colour it.

    Raises:
        TFLiteFileError: As for `keras_bnn.tflite.describe`.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> exported = keras_bnn.export.to_tflite(model, "model.tflite")
    >>> [line.split()[:2] for line in draw("model.tflite").splitlines()[1:4]]
    [['○', 'CONV_2D'], ['▄', 'LceQuantize'], ['█', 'LceBconv2d']]
    """
    data, name = load(path_or_bytes)
    try:
        graph = Graph(parse(data, name))
        rows = _Drawing(graph).rows
    except TFLiteFileError as error:
        raise TFLiteFileError(f"{name}: {error}") from None
    width = max((len(row.lanes) for row in rows), default=0)
    lines = aligned([(row.lanes.ljust(width), *row.cells) for row in rows], [6]).split("\n")
    if highlight:
        lines = [
            highlight(line) if row.is_1bit else line for row, line in zip(rows, lines, strict=True)
        ]
    return "\n".join([*lines, "", LEGEND])


def in_ascii(text: str) -> str:
    """Replaces what a drawing has of characters beyond ASCII by similar ones."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()


@dataclass
class _Row:
    lanes: str
    cells: tuple[str, ...]
    is_1bit: bool


@dataclass
class _Drawing:
    """The rows of a graph, made in the order of execution.

    Attributes:
        rows: The result.
        lanes: The tensor in each column of lines, None where it is free.
    """

    graph: Graph
    rows: list[_Row] = field(default_factory=list)
    lanes: list[int | None] = field(default_factory=list)

    def __post_init__(self):
        # Checks the options and shapes that the other reads.
        self._layers: dict[int, Layer] = {layer.index: layer for layer in layers(self.graph)}
        self._channels = packed_channels(self.graph)
        self._outputs = [port.tensor for port in self.graph.outputs]
        for port in self.graph.inputs:
            self._draw((), (port.tensor,), self._port_cells("input", port))
        for operator in self.graph.operators:
            self._draw(operator.inputs, operator.outputs, self._cells(operator), operator.index)
        for port in self.graph.outputs:
            cells = self._port_cells("output", port)
            self._draw((port.tensor,), (), cells, len(self.graph.operators))

    def _draw(
        self,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        cells: tuple[str, ...],
        index: int = -1,
    ) -> None:
        """Adds the row of what reads `inputs` and writes `outputs` at a place of the execution."""
        read = [i for i, tensor in enumerate(self.lanes) if tensor in inputs]
        ending = [i for i in read if self._is_last(self.lanes[i], index)]
        before = list(self.lanes)
        for i in ending:
            self.lanes[i] = None
        wanted = [tensor for tensor in outputs if tensor >= 0 and tensor not in self.lanes]
        # What continues its input stays in its column.
        places = [self._place(ending, tensor) for tensor in wanted] or ending[:1] or read[:1]
        reads, writes = (
            any(tensor in self._channels for tensor in side) for side in (inputs, outputs)
        )
        glyph = _GLYPHS[(reads, writes if outputs else reads)]
        line = self._line(before, read, ending, places, glyph)
        self.rows.append(_Row(line, cells, reads or writes))
        for i in places:
            tensor = self.lanes[i]
            if tensor is not None and tensor in wanted and self._is_last(tensor, index):
                self.lanes[i] = None
        while self.lanes and self.lanes[-1] is None:
            self.lanes.pop()

    def _place(self, ending: list[int], tensor: int) -> int:
        """Puts a tensor into a lane that has just ended, or another free one; returns which."""
        free = [i for i in ending if self.lanes[i] is None]
        free += [i for i, found in enumerate(self.lanes) if found is None]
        if not free:
            self.lanes.append(None)
            free = [len(self.lanes) - 1]
        self.lanes[free[0]] = tensor
        return free[0]

    def _is_last(self, tensor: int | None, index: int) -> bool:
        """Whether nothing behind that place of the execution reads a tensor."""
        if tensor is None:
            return True
        if tensor in self._outputs and index < len(self.graph.operators):
            return False
        return all(reader.index <= index for reader in self.graph.consumers(tensor))

    def _line(self, before, read, ending, places, glyph) -> str:
        involved = {*read, *places}
        first, last = min(involved, default=0), max(involved, default=0)
        line = ""
        for i in range(max(len(before), len(self.lanes), last + 1)):
            inside = first < i < last
            if places and i == places[0]:
                line += glyph
            elif i in involved:
                goes_up, goes_down = i in read, i in places or (i in read and i not in ending)
                line += _corner(goes_up, goes_down, i > first, i < last)
            elif i < len(before) and before[i] is not None:
                line += "┼" if inside else "┃" if before[i] in self._channels else "│"
            else:
                line += "─" if inside else " "
            line += "─" if first <= i < last else " "
        return line.rstrip()

    def _port_cells(self, what: str, port: Port) -> tuple[str, ...]:
        return (what, short(port.name), *self._tensor(port.tensor), "", "")

    def _cells(self, operator: Operator) -> tuple[str, ...]:
        output = next(iter(operator.outputs), -1)
        layer = self._layers.get(operator.index)
        tensor = self._tensor(output) if output >= 0 else ("", "")
        name = layer.name if layer else ""
        size = f"{layer.weight_bytes:,} bytes" if layer else ""
        details = _layer_text(layer) if layer else _pool_text(operator)
        return (printable(operator.name), short(name), *tensor, details, size)

    def _tensor(self, index: int) -> tuple[str, str]:
        tensor = self.graph.tensor(index)
        if index in self._channels:
            return shape_text((*tensor.shape_signature[:-1], self._channels[index])), "1-bit"
        return shape_text(tensor.shape_signature), tensor.type


def _corner(up: bool, down: bool, left: bool, right: bool) -> str:
    """The character that joins lines in these directions."""
    if left and right:
        return "┼" if up and down else "┴" if up else "┬"
    if up and down:
        return "┤" if left else "├"
    return ("┘" if up else "┐") if left else ("└" if up else "┌")


def _layer_text(layer: Layer) -> str:
    *kernel, depth, filters = layer.filter_shape
    parts = [f"{shape_text(tuple(kernel))}, {depth}→{filters}" if kernel else f"{depth}→{filters}"]
    if layer.groups > 1:
        parts.append(f"{layer.groups} groups")
    for what, sizes in (("stride", layer.stride), ("dilation", layer.dilation)):
        if sizes and set(sizes) != {1}:
            parts.append(f"{what} {shape_text(sizes)}")
    parts += [layer.padding] if layer.padding else []
    parts += [layer.activation] if layer.activation != "none" else []
    return ", ".join(parts)


def _pool_text(operator: Operator) -> str:
    options = operator.options
    if isinstance(options, dict) and "filter_height" in options:
        size = (options["filter_height"], options.get("filter_width", 0))
        stride = (options.get("stride_height", 0), options.get("stride_width", 0))
    elif hasattr(options, "filterHeight"):
        size = (options.filterHeight, options.filterWidth)
        stride = (options.strideH, options.strideW)
    else:
        return ""
    return f"{shape_text(size)}, stride {shape_text(stride)}"
