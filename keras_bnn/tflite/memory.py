"""How much memory the activations of a graph need at once."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from keras_bnn.tflite.graph import Graph, Tensor

# Types that NumPy lacks, in bits.
_BITS = {"bfloat16": 16, "int4": 4, "uint4": 4, "int2": 2}


@dataclass(frozen=True)
class Peak:
    """The activations at the operator where most memory is in use.

    Counted are the inputs and outputs of that operator, and what was computed before and is read
    later; each tensor has its own memory, from its operator to its last reader. An engine needs
    this at least: it rounds up, leaves gaps, and some operators need more for themselves. An
    unknown dimension counts as stored, mostly 1.

    Attributes:
        bytes: Their size.
        packed_bytes: How much of it is packed bits.
        index: The operator's position in the order of execution; None in a graph without any.
        operator: Its name, "CONV_2D" for example.
        layer: The name of its first output.
    """

    bytes: int
    packed_bytes: int
    index: int | None
    operator: str | None
    layer: str | None


def peak(graph: Graph, packed: dict[int, int]) -> Peak:
    """Finds the peak of a graph whose tensors in `packed` hold bits."""
    count = max(len(graph.operators), 1)
    added, added_packed = [0] * (count + 1), [0] * (count + 1)
    for tensor, first, last in _lifetimes(graph, count):
        size = bytes_of(tensor)
        for amounts in (added, added_packed) if tensor.index in packed else (added,):
            amounts[first] += size
            amounts[last + 1] -= size
    in_use, in_use_packed = (list(itertools.accumulate(a)) for a in (added, added_packed))
    index = in_use.index(max(in_use))
    operator = graph.operators[index] if graph.operators else None
    output = next(iter(operator.outputs), None) if operator else None
    return Peak(
        bytes=in_use[index],
        packed_bytes=in_use_packed[index],
        index=operator.index if operator else None,
        operator=operator.name if operator else None,
        layer=None if output is None or output < 0 else graph.tensor(output).name,
    )


def _lifetimes(graph: Graph, count: int):
    """Yields each activation with the first and the last operator that it is there for."""
    inputs = {port.tensor for port in graph.inputs}
    outputs = {port.tensor for port in graph.outputs}
    for tensor in graph.tensors():
        producer, readers = graph.producer(tensor.index), graph.consumers(tensor.index)
        if tensor.is_constant or not (producer or readers or tensor.index in inputs):
            continue
        first = producer.index if producer else 0
        last = max([first, *(reader.index for reader in readers)])
        # What nothing writes and nobody passes is the state of an operator, kept between runs.
        is_state = producer is None and tensor.index not in inputs
        yield tensor, first, count - 1 if tensor.index in outputs or is_state else last


def bytes_of(tensor: Tensor) -> int:
    """How many bytes a tensor takes in its shape; 0 for types of no fixed size, as strings."""
    bits = 8 * tensor.dtype.itemsize if tensor.dtype else _BITS.get(tensor.type, 0)
    return -(-math.prod(tensor.shape) * bits // 8)
