"""A traced model as a flat graph that rules can rewrite.

`reading` makes it of a function of TensorFlow, `lowering` makes one of it again. A variable is a
leaf with a NumPy value in between, and a variable again afterwards: never a constant, see
`keras_model`.
"""

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from keras_bnn._keras import tf

# Stands for "+1 where x >= 0, else -1", or with `strict` for "+1 where x > 0, else -1".
SIGN = "BinarySign"
# Stands for a sign that is 0 at 0, on what is often 0.
TERNARY = "TernarySign"


def split(reference: str) -> tuple[str, int]:
    """`"name:1"` to `("name", 1)`; a name alone means its first output."""
    name, _, index = reference.partition(":")
    return name, int(index or 0)


@dataclass
class Node:
    """One operation.

    Attributes:
        name: Unique in its graph.
        op: TensorFlow's name of the operation, or `SIGN`, or `"Leaf"`.
        inputs: References, `"name:output"`.
        outputs: A `tf.TensorSpec` for each output.
        attributes: TensorFlow's attributes, as protocol buffers by name.
        value: Of a leaf that is a variable, and of a constant.
        strict: Of a sign.
    """

    name: str
    op: str
    inputs: list[str]
    outputs: list
    attributes: dict = field(default_factory=dict)
    value: np.ndarray | None = None
    strict: bool = False

    @functools.cached_property
    def is_plus_minus_one(self) -> bool:
        """Whether its value is known, and ±1 everywhere."""
        return self.value is not None and bool((np.abs(self.value) == 1).all())

    def flag(self, *names: str) -> bool:
        """Whether one of the boolean attributes `names` is there and set."""
        return any(name in self.attributes and self.attributes[name].b for name in names)

    @classmethod
    def of_operation(cls, operation) -> "Node":
        """Reads an operation of a `tf.Graph`."""
        return cls(
            operation.name,
            operation.type,
            [tensor.name for tensor in operation.inputs],
            [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in operation.outputs],
            dict(operation.node_def.attr),
            value=tf.get_static_value(operation.outputs[0]) if operation.type == "Const" else None,
        )


class TracedGraph:
    """Nodes by name, in no particular order.

    Attributes:
        nodes: The nodes.
        inputs: Names of the leaves that are the model's inputs, in its order.
        outputs: References to the model's outputs, in its order.
        notes: What a rule changed in a way that the model's author should know.
        library, versions: TensorFlow's functions that nodes name, and its versions.
    """

    def __init__(self, nodes: dict[str, Node], library, versions):
        self.nodes = nodes
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.notes: list[str] = []
        self.library, self.versions = library, versions

    # Reading.

    def of(self, *operations: str) -> Iterator[Node]:
        """The nodes of these operations, as they are now."""
        for node in list(self.nodes.values()):
            if node.op in operations and self.nodes.get(node.name) is node:
                yield node

    def producer(self, reference: str) -> Node:
        """The node that computes `reference`."""
        return self.nodes[split(reference)[0]]

    def consumers(self, name: str) -> list[Node | None]:
        """The nodes that read `name`, once for each reading; `None` where it is an output."""
        found: list[Node | None] = [
            node
            for node in self.nodes.values()
            for reference in node.inputs
            if split(reference)[0] == name
        ]
        return found + [None for reference in self.outputs if split(reference)[0] == name]

    def spec(self, reference: str):
        """Shape and type of `reference`, as a `tf.TensorSpec`."""
        name, index = split(reference)
        return self.nodes[name].outputs[index]

    def constant(self, reference: str) -> np.ndarray | None:
        """The value of `reference` where it is a constant or a variable."""
        return self.producer(reference).value

    def value(self, reference: str) -> np.ndarray:
        """The value of `reference`, of which the caller knows that it is a constant or variable."""
        value = self.constant(reference)
        if value is None:
            raise AssertionError(f"{reference} is no constant.")
        return value

    def ordered(self) -> list[Node]:
        """All nodes, each after those that it reads."""
        order: dict[str, Node] = {}
        stack = [(name, False) for name in reversed(self.nodes)]
        while stack:
            name, inputs_are_done = stack.pop()
            if name in order:
                continue
            if inputs_are_done:
                order[name] = self.nodes[name]
                continue
            stack.append((name, True))
            stack += [(split(ref)[0], False) for ref in reversed(self.nodes[name].inputs)]
        return list(order.values())

    def copy(self) -> "TracedGraph":
        """A copy that can be rewritten by itself."""
        graph = copy.copy(self)
        graph.nodes = {
            name: replace(node, inputs=list(node.inputs), attributes=dict(node.attributes))
            for name, node in self.nodes.items()
        }
        graph.inputs, graph.outputs = list(self.inputs), list(self.outputs)
        graph.notes = list(self.notes)
        return graph

    # Writing.

    def input(self, spec, name: str) -> str:
        """Adds an input of the model, behind those it has; returns its reference."""
        name = self.free_name(name)
        self.nodes[name] = Node(name, "Leaf", [], [spec])
        self.inputs.append(name)
        return f"{name}:0"

    def variable(self, value: np.ndarray, name: str) -> str:
        """Adds a variable; returns its reference."""
        name = self.free_name(name)
        self.make_leaf(name, value)
        return f"{name}:0"

    def make_leaf(self, name: str, value: np.ndarray) -> None:
        """Makes the node `name` a variable."""
        spec = tf.TensorSpec(value.shape, value.dtype)
        self.nodes[name] = Node(name, "Leaf", [], [spec], value=value)

    def build(self, compute: Callable, *references: str, name: str) -> str:
        """Adds what `compute`, TensorFlow code, makes of `references`; returns its reference."""
        with tf.Graph().as_default() as scratch:
            specs = [self.spec(reference) for reference in references]
            leaves = [tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in specs]
            result = compute(*leaves)
        names = self.add_operations(scratch, leaves, references, name)
        return names[result.name]

    def add_operations(self, graph, leaves, references, name: str) -> dict[str, str]:
        """Adds what a `tf.Graph` computes, with `references` for its `leaves`.

        Returns:
            The reference here to each tensor there.
        """
        prefix = f"{self.free_name(name)}/" if name else ""
        names = {leaf.name: ref for leaf, ref in zip(leaves, references, strict=True)}
        for operation in graph.get_operations():
            if operation.outputs and operation.outputs[0].name in names:
                continue
            node = Node.of_operation(operation)
            node.name = f"{prefix}{node.name}"
            node.inputs = [names[reference] for reference in node.inputs]
            self.nodes[node.name] = node
            names.update({t.name: f"{prefix}{t.name}" for t in operation.outputs})
        return names

    def sign(self, reference: str, name: str, strict: bool = False) -> str:
        """Adds the sign of `reference`; returns its reference."""
        name = self.free_name(name)
        self.nodes[name] = Node(name, SIGN, [reference], [self.spec(reference)], strict=strict)
        return f"{name}:0"

    def replace(self, old: str, new: str) -> None:
        """Lets all readers of `old` read `new`, but those that compute `new`."""
        keep, target = self._ancestors([new]), split(old)
        for node in self.nodes.values():
            if node.name not in keep:
                node.inputs = [new if split(ref) == target else ref for ref in node.inputs]
        self.outputs = [new if split(ref) == target else ref for ref in self.outputs]

    def prune(self) -> None:
        """Removes what no output depends on; inputs stay."""
        needed = self._ancestors(self.outputs) | set(self.inputs)
        self.nodes = {name: node for name, node in self.nodes.items() if name in needed}

    def _ancestors(self, references: list[str]) -> set[str]:
        found: set[str] = set()
        stack = [split(reference)[0] for reference in references]
        while stack:
            name = stack.pop()
            if name not in found:
                found.add(name)
                stack += [split(reference)[0] for reference in self.nodes[name].inputs]
        return found

    def free_name(self, name: str) -> str:
        """A name like `name` that no node has."""
        taken = {taken.split("/")[0] for taken in self.nodes} | set(self.nodes)
        name = name.replace("/", ".").replace(":", ".")
        candidate, number = name, 1
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        return candidate
