"""A traced model as a flat graph that rules can rewrite.

Functions inside the model are traced into it. A variable is a leaf with a NumPy value, and becomes
a variable again when the graph is made a function: never a constant, see `bake`.
"""

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from keras_bnn._keras import tf
from keras_bnn.errors import InputError

# Stands for "+1 where x >= 0, else -1", or with `strict` for "+1 where x > 0, else -1".
SIGN = "BinarySign"
# Stands for a sign that is 0 at 0, on what is often 0.
TERNARY = "TernarySign"
# Hand their first input on; their other sides are gradients and control flow.
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_PASSING = ("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics")


def split(reference: str) -> tuple[str, int]:
    """`"name:1"` to `("name", 1)`; a name alone means its first output."""
    name, _, index = reference.partition(":")
    return name, int(index or 0)


def frozen(value):
    """A variable that holds `value`, an array, and is not trained."""
    return tf.Variable(value, trainable=False)


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
    """

    def __init__(self, function):
        """Reads a concrete function whose outputs are a dict in the model's order."""
        self.notes: list[str] = []
        self.nodes = {
            operation.name: Node.of_operation(operation)
            for operation in function.graph.get_operations()
        }
        definition = function.graph.as_graph_def()
        self._library, self._versions = definition.library, definition.versions
        count = len(function.inputs) - len(function.captured_inputs)
        self.inputs = [tensor.op.name for tensor in function.inputs[:count]]
        for name in self.inputs:
            self.nodes[name].op = "Leaf"
        outputs = function.structured_outputs
        self.outputs = [outputs[key].name for key in sorted(outputs)]
        self._inline_calls()
        self._read_captures(function)
        self._drop_passing()
        self.prune()
        self._infer_shapes()
        self._merge_equal()
        self._fold()

    def _inline_calls(self) -> None:
        """Puts the bodies of functions in the place of their calls, as a SavedModel has them."""
        bodies = {function.signature.name: function for function in self._library.function}
        while calls := list(self.of(*_CALLS)):
            for call in calls:
                body = bodies[call.attributes["f"].func.name]
                shapes = [self.spec(reference).shape for reference in call.inputs]
                self._inline(call, function_def_to_graph(body, input_shapes=shapes))

    def _inline(self, call: Node, body) -> None:
        taken = any(operation.name in self.nodes for operation in body.get_operations())
        name = call.name if taken else ""
        names = self._add_operations(body, body.inputs, call.inputs, name)
        for i, output in enumerate(body.outputs):
            self.replace(f"{call.name}:{i}", names[output.name])
        self.prune()

    def _read_captures(self, function) -> None:
        for outer, inner in function.graph.captures:
            name = inner.op.name
            if outer.dtype != tf.resource:
                self._make_leaf(name, outer.numpy())
                continue
            for node in self.consumers(name):
                if node is not None:
                    self._read_resource(node, outer)

    def _read_resource(self, node: Node, resource) -> None:
        """Makes `node`, which reads a variable, read its value."""
        if node.op not in ("ReadVariableOp", "ResourceGather"):
            raise InputError(
                f"{node.name} is the operation {node.op} on a variable or table, which the export "
                "does not know: compute it outside the model."
            )
        dtype = node.outputs[0].dtype
        value = tf.raw_ops.ReadVariableOp(resource=resource, dtype=dtype).numpy()
        if node.op == "ReadVariableOp":
            self._make_leaf(node.name, value)
            return
        depth = node.attributes["batch_dims"].i
        table = self.variable(value, f"{node.name}/table")
        rows = self.build(
            lambda t, i: tf.gather(t, i, batch_dims=depth), table, node.inputs[1], name=node.name
        )
        self.replace(f"{node.name}:0", rows)

    def _make_leaf(self, name: str, value: np.ndarray) -> None:
        spec = tf.TensorSpec(value.shape, value.dtype)
        self.nodes[name] = Node(name, "Leaf", [], [spec], value=value)

    def _drop_passing(self) -> None:
        for node in list(self.nodes.values()):
            if node.op in _PASSING:
                for i in range(len(node.outputs)):
                    self.replace(f"{node.name}:{i}", node.inputs[i])

    def _infer_shapes(self) -> None:
        """Works out the shapes that a function's body hides, since its variables are arguments."""
        with tf.Graph().as_default() as scratch:
            leaves = {
                f"{node.name}:0": tf.compat.v1.placeholder(spec.dtype, spec.shape)
                for node in self.of("Leaf")
                for spec in node.outputs
            }
            definition = self._definition()
            read = {reference for node in definition.node for reference in node.input}
            leaves = {name: leaf for name, leaf in leaves.items() if name in read}
            tf.graph_util.import_graph_def(definition, leaves, name="")
        for operation in scratch.get_operations():
            if operation.name in self.nodes and self.nodes[operation.name].op != "Leaf":
                self.nodes[operation.name].outputs = [
                    tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in operation.outputs
                ]

    def _merge_equal(self) -> None:
        """Lets nodes that compute the same be one, as where somebody wrote a term twice."""
        seen: dict = {}
        for node in self.ordered():
            if node.op == "Leaf" or _is_random(node):
                continue
            attributes = sorted((k, v.SerializeToString()) for k, v in node.attributes.items())
            first = seen.setdefault((node.op, tuple(node.inputs), str(attributes)), node)
            if first is not node:
                for i in range(len(node.outputs)):
                    self.replace(f"{node.name}:{i}", f"{first.name}:{i}")
        self.prune()

    def _fold(self) -> None:
        """Computes now what depends on no input, such as kernels behind their quantizers.

        TensorFlow and the converter do not compute what is larger than they like, but leave it to
        every inference.
        """
        fixed = self._fixed()
        frontier = dict.fromkeys(
            reference
            for node in self.nodes.values()
            if node.name not in fixed
            for reference in node.inputs
            if split(reference)[0] in fixed
            and self.constant(reference) is None
            and self.spec(reference).dtype.is_floating
        )
        for reference, value in zip(frontier, self.evaluate(list(frontier)), strict=True):
            self.replace(reference, self.variable(value, f"{split(reference)[0]}/folded"))
        self.prune()

    def _fixed(self) -> set[str]:
        """The nodes that depend on no input, and on nothing random."""
        fixed: set[str] = set()
        for node in self.ordered():
            if (
                node.name not in self.inputs
                and not _is_random(node)
                and all(split(reference)[0] in fixed for reference in node.inputs)
            ):
                fixed.add(node.name)
        return fixed

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

    def evaluate(self, references: list[str]) -> list[np.ndarray]:
        """The values of `references` that depend on no input."""
        if not references:
            return []
        part = self.copy()
        part.inputs, part.outputs = [], references
        part.prune()
        return [tensor.numpy() for tensor in part.to_module().serve().values()]

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
        self._make_leaf(name, value)
        return f"{name}:0"

    def build(self, compute: Callable, *references: str, name: str) -> str:
        """Adds what `compute`, TensorFlow code, makes of `references`; returns its reference."""
        with tf.Graph().as_default() as scratch:
            specs = [self.spec(reference) for reference in references]
            leaves = [tf.compat.v1.placeholder(spec.dtype, spec.shape) for spec in specs]
            result = compute(*leaves)
        names = self._add_operations(scratch, leaves, references, name)
        return names[result.name]

    def _add_operations(self, graph, leaves, references, name: str) -> dict[str, str]:
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

    # Leaving.

    def to_module(self):
        """The graph as a `tf.Module` that TensorFlow can save.

        Its `serve` is a concrete function from flat inputs to a dict of outputs in order; its
        `constants` keep alive the variables that `serve` reads.
        """
        variables = {
            name: frozen(node.value)
            for name, node in self.nodes.items()
            if node.op == "Leaf" and node.value is not None
        }
        lowered = self._lowered()
        definition, outputs = lowered._definition(), lowered.outputs
        read = {split(reference)[0] for node in definition.node for reference in node.input}
        computed = [reference for reference in outputs if lowered.producer(reference).op != "Leaf"]

        def serve(*inputs):
            leaves = dict(zip(self.inputs, inputs, strict=True))
            leaves.update({name: tf.convert_to_tensor(v) for name, v in variables.items()})
            mapped = {f"{name}:0": leaves[name] for name in leaves if name in read}
            imported = tf.graph_util.import_graph_def(definition, mapped, computed, name="")
            results = dict(zip(computed, imported, strict=True))
            # Alphabetical order is the order that the converter keeps.
            return {
                f"output_{i:04}": tf.identity(
                    results[reference] if reference in results else leaves[split(reference)[0]]
                )
                for i, reference in enumerate(outputs)
            }

        specs = [self.spec(name) for name in self.inputs]
        named = [
            tf.TensorSpec(spec.shape, spec.dtype, f"input_{i:04}") for i, spec in enumerate(specs)
        ]
        module = tf.Module()
        module.constants = list(variables.values())
        module.serve = tf.function(serve, autograph=False).get_concrete_function(*named)
        return module

    def _definition(self):
        """TensorFlow's definition of the graph, without its leaves."""
        definition = tf.compat.v1.GraphDef(library=self._library, versions=self._versions)
        for node in self.nodes.values():
            if node.op != "Leaf":
                entry = definition.node.add(name=node.name, op=node.op, input=node.inputs)
                for name, value in node.attributes.items():
                    entry.attr[name].CopyFrom(value)
        return definition

    def _lowered(self) -> "TracedGraph":
        """A copy in which signs are TensorFlow's operations, in a form that LCE knows."""
        graph = self.copy()
        for node in graph.of(SIGN):
            form = _strict_sign if node.strict else _sign
            lowered = graph.build(form, node.inputs[0], name=f"{node.name}/lowered")
            graph.replace(f"{node.name}:0", lowered)
        for node in graph.of(TERNARY):
            lowered = graph.build(_ternary_sign, node.inputs[0], name=f"{node.name}/lowered")
            graph.replace(f"{node.name}:0", lowered)
        graph.prune()
        return graph


def _sign(x):
    # larq's form. LCE cannot convert where(x >= 0, 1, -1) on a map of open height and width.
    return tf.sign(tf.sign(x) + 0.5)


def _ternary_sign(x):
    # Without the factor the converter takes sign(sign(x) + y) for a sign of x.
    return tf.sign(x * 2.0)


def _strict_sign(x):
    return tf.where(x > 0.0, 1.0, -1.0)


def _is_random(node: Node) -> bool:
    return any("seed" in name for name in node.attributes) or "Random" in node.op
