"""The inputs and outputs of a model, as its callers see them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keras_bnn.tflite.graph import Graph, Port


@dataclass(frozen=True)
class Interface:
    """An input or output of a model.

    Attributes:
        name: The name that callers use: the first signature's, or the tensor's where there is none.
        dtype: Element type: "float32".
        shape: Shape, with -1 for dimensions that the file leaves open.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


def interfaces(graph: Graph, ports: Iterable[Port]) -> tuple[Interface, ...]:
    """What these inputs or outputs of the graph are."""
    tensors = ((port.name, graph.tensor(port.tensor)) for port in ports)
    return tuple(Interface(name, tensor.type, tensor.shape_signature) for name, tensor in tensors)
