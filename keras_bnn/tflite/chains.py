"""Breaks in packed chains: where numbers instead of bits go from one 1-bit layer to the next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from keras_bnn.tflite._names import short
from keras_bnn.tflite.graph import Graph, Operator
from keras_bnn.tflite.layers import OPERATORS, Layer

_AFTER_LAYER = {
    "MAX_POOL_2D": "put batch norm first",
    "AVERAGE_POOL_2D": "use max pooling after the batch norm, or strides",
    "MEAN": None,
    "PRELU": "use relu before the batch norm, or no activation",
    "LEAKY_RELU": "use relu before the batch norm, or no activation",
    "RESHAPE": None,
    "TRANSPOSE": None,
    "PAD": "use the padding of the next layer",
    "PADV2": "use the padding of the next layer",
    "RESIZE_BILINEAR": None,
    "RESIZE_NEAREST_NEIGHBOR": None,
}
_AFTER_SIGN = {
    "MAX_POOL_2D": "put the sign after it",
    "RESHAPE": "put the sign after it",
    "CONCATENATION": "put the sign after it",
    "RESIZE_NEAREST_NEIGHBOR": "put the sign after it",
    # A zero behind the sign is no bit, and before the sign it would become +1.
    "PAD": "use the layer's own padding",
    "PADV2": "use the layer's own padding",
}
_ACTIVATIONS = ("RELU", "RELU_N1_TO_1", "RELU6")


@dataclass(frozen=True)
class Break:
    """Where a chain of packed bits is left and entered again, or left for a float layer.

    Attributes:
        layer: Name of the layer or sign before the break.
        operators: Names of the operators between.
        reader: Name of the sign or layer that the numbers go to.
        cause: What keeps the bits from going on, one line.
        remedy: What to change in the model; None where nothing helps, or the model means it so.
    """

    layer: str
    operators: tuple[str, ...]
    reader: str
    cause: str
    remedy: str | None

    def __str__(self) -> str:
        return f"{self.cause}; {self.remedy}" if self.remedy else self.cause


def breaks(graph: Graph, layers: tuple[Layer, ...]) -> list[Break]:
    """Finds the breaks of a graph with these layers, in the order of execution."""
    by_index = {layer.index: layer for layer in layers}
    found = []
    for operator in graph.operators:
        layer = by_index.get(operator.index)
        if operator.name == "LceBconv2d" and layer is not None and layer.output != "packed":
            for path, sign in _paths(graph, operator, {}):
                found.append(_before_sign(graph, layer, path, sign))
        elif operator.name == "LceDequantize" and min(operator.inputs, default=-1) >= 0:
            for path, reader in _paths(graph, operator, by_index):
                found.append(_after_sign(graph, operator, path, reader, by_index))
    return found


def _before_sign(graph: Graph, layer: Layer, path: list[Operator], sign: Operator) -> Break:
    names = tuple(operator.name for operator in path)
    cause, remedy = _why_not_packed(graph, layer, path)
    return Break(layer.name, names, _output(graph, sign), cause, remedy)


def _why_not_packed(graph: Graph, layer: Layer, path: list[Operator]) -> tuple[str, str | None]:
    """Why a 1-bit layer writes numbers although a sign follows."""
    name = short(layer.name)
    for operator in path:
        if len(_variable_inputs(graph, operator)) > 1:
            return f"{operator.name} joins {name} with another branch before its sign", None
        if operator.name in _AFTER_LAYER:
            return f"{operator.name} between {name} and its sign", _AFTER_LAYER[operator.name]
    if layer.padding == "same zero":
        return f"{name} pads with zeros, which are no bits", "use pad_values=1.0"
    output = graph.operators[layer.index].outputs[0]
    others = [reader.name for reader in graph.consumers(output)]
    others += ["the caller"] * (output in [port.tensor for port in graph.outputs])
    if len(others) > 1:
        return f"{name} is read by {' and '.join(others)}, which needs numbers", None
    if layer.output != "float":
        return f"{name} writes {layer.output} before its sign", None
    names = [operator.name for operator in path]
    cause = f"{', '.join(names) or 'nothing'} between {name} and its sign"
    if any(operator in _ACTIVATIONS for operator in names):
        return cause, "use no bias and no scale before the activation; batch norm does both"
    return cause, None


def _after_sign(
    graph: Graph,
    sign: Operator,
    path: list[Operator],
    reader: Operator,
    layers: dict[int, Layer],
) -> Break:
    names = tuple(operator.name for operator in path)
    source = graph.tensor(sign.inputs[0]).name
    layer = layers.get(reader.index)
    name = layer.name if layer else _output(graph, reader)
    if path:
        cause = f"{', '.join(names)} between the sign {short(source)} and {short(name)}"
        remedy = next((_AFTER_SIGN[n] for n in names if n in _AFTER_SIGN), None)
    else:
        cause, remedy = _why_not_1bit(reader, layer, short(name))
    return Break(source, names, name, cause, remedy)


def _why_not_1bit(reader: Operator, layer: Layer | None, name: str) -> tuple[str, str | None]:
    """Why a layer reads signs as numbers."""
    cause = f"{reader.name} {name} reads signs as numbers"
    if layer is None:
        return cause, None
    if not layer.binary_weights:
        return f"{cause}: its weights are not binary", None
    if reader.name == "FULLY_CONNECTED":
        return cause, "export it with keras_bnn, which makes dense layers 1-bit"
    if layer.groups > 1:
        return cause, "use groups of a multiple of 32 channels"
    return cause, None


def _paths(
    graph: Graph, start: Operator, ends: dict[int, Layer]
) -> list[tuple[list[Operator], Operator]]:
    """The shortest way from an operator to each sign that follows, and to each layer in `ends`.

    A way leads over operators without weights, and through one join of branches at most: behind the
    second, what `start` computed is one of many parts of the sum.
    """
    found, seen = [], set()
    todo: deque = deque((tensor, (), False) for tensor in start.outputs)
    while todo:
        tensor, path, joined = todo.popleft()
        # -1 stands for any input that is left out.
        for reader in graph.consumers(tensor) if tensor >= 0 else ():
            if reader.index in seen:
                continue
            seen.add(reader.index)
            joins = len(_variable_inputs(graph, reader)) > 1
            if reader.name == "LceQuantize" or reader.index in ends:
                found.append((list(path), reader))
            elif reader.name not in OPERATORS and not (joins and joined):
                steps = (*path, reader)
                todo.extend((output, steps, joins or joined) for output in reader.outputs)
    return found


def _variable_inputs(graph: Graph, operator: Operator) -> set[int]:
    return {i for i in operator.inputs if i >= 0 and not graph.tensor(i).is_constant}


def _output(graph: Graph, operator: Operator) -> str:
    output = next(iter(operator.outputs), -1)
    return graph.tensor(output).name if output >= 0 else operator.name
