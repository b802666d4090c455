"""A graph that grows by the deviation of each of its values."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.traced import Node, TracedGraph, split

# What an error bound is in standard deviations.
DEVIATIONS = 16.0
# Of float32.
UNIT = 2.0**-24


class Deviations:
    """The deviations of the values of a graph, computed in a copy of it from these values.

    Args:
        graph: The graph.
        sign_inputs: Names of inputs that hold signs.

    Attributes:
        graph: The graph.
        sign_inputs: As given.
        result: The copy, which grows.
        known: The deviation of each value, as a reference into the copy; `None` for an exact one.
    """

    def __init__(self, graph: TracedGraph, sign_inputs: list[str]):
        self.graph = graph
        self.sign_inputs = sign_inputs
        self.result = graph.copy()
        self.known: dict[str, str | None] = {}

    def is_exact(self, reference: str) -> bool:
        """Whether a value has no deviation at all."""
        return self.known[key(reference)] is None

    def of(self, reference: str) -> str:
        """The deviation of a value, zeros for an exact one."""
        return self.known[key(reference)] or self.zeros_like(reference)

    def zeros_like(self, reference: str) -> str:
        """Zeros in the shape of a value."""
        return self.build(tf.zeros_like, reference, name="exact")

    def exact(self, value: np.ndarray, name: str) -> str:
        """A constant of the copy."""
        return self.result.variable(value, f"{name}/exact")

    def build(self, compute: Callable, *references: str, name: str) -> str:
        """What `compute`, TensorFlow code, makes of values and deviations."""
        return self.result.build(compute, *references, name=f"{name}/deviation")

    def of_one(self, node: Node, compute: Callable) -> str:
        """`compute(x, d, y)` for the value and the deviation of its input, and its value."""
        x = node.inputs[0]
        return self.build(compute, x, self.of(x), f"{node.name}:0", name=node.name)

    def of_two(self, node: Node, compute: Callable) -> str:
        """`compute(a, da, b, db)` for the values and deviations of its inputs."""
        a, b = node.inputs[:2]
        return self.build(compute, a, self.of(a), b, self.of(b), name=node.name)

    def same(self, node: Node, data: slice, index: int) -> str | None:
        """The same operation on the deviations of the inputs `data`."""
        if all(map(self.is_exact, node.inputs[data])):
            return None
        inputs = list(node.inputs)
        inputs[data] = [self.of(reference) for reference in node.inputs[data]]
        return self.applied(node, inputs, index)

    def applied(self, node: Node, inputs: list[str], index: int = 0) -> str:
        """The operation of `node` on other inputs."""
        copy = replace(node, name=self.result.free_name(f"{node.name}/deviation"), inputs=inputs)
        self.result.nodes[copy.name] = copy
        return f"{copy.name}:{index}"


def key(reference: str) -> str:
    """A reference with its index, which a first output's may lack."""
    name, index = split(reference)
    return f"{name}:{index}"
