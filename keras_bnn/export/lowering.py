"""A traced graph as a function of TensorFlow again, in forms that LCE's converter knows."""

import contextlib

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.traced import SIGN, TERNARY, TracedGraph, split


def frozen(value):
    """A variable that holds `value`, an array, and is not trained."""
    return tf.Variable(value, trainable=False)


def to_module(graph: TracedGraph):
    """The graph as a `tf.Module` that TensorFlow can save.

    Its `serve` is a concrete function from flat inputs to a dict of outputs in order; its
    `constants` keep alive the variables that `serve` reads.
    """
    variables = {
        name: frozen(node.value)
        for name, node in graph.nodes.items()
        if node.op == "Leaf" and node.value is not None
    }
    lowered = _lowered(graph)
    definition, outputs = definition_of(lowered), lowered.outputs
    read = {split(reference)[0] for node in definition.node for reference in node.input}
    computed = [reference for reference in outputs if lowered.producer(reference).op != "Leaf"]

    def serve(*inputs):
        leaves = dict(zip(graph.inputs, inputs, strict=True))
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

    specs = [graph.spec(name) for name in graph.inputs]
    named = [tf.TensorSpec(spec.shape, spec.dtype, f"input_{i:04}") for i, spec in enumerate(specs)]
    module = tf.Module()
    module.constants = list(variables.values())
    module.serve = tf.function(serve, autograph=False).get_concrete_function(*named)
    return module


def definition_of(graph: TracedGraph):
    """TensorFlow's definition of the graph, without its leaves."""
    definition = tf.compat.v1.GraphDef(library=graph.library, versions=graph.versions)
    for node in graph.nodes.values():
        if node.op != "Leaf":
            entry = definition.node.add(name=node.name, op=node.op, input=node.inputs)
            for name, value in node.attributes.items():
                entry.attr[name].CopyFrom(value)
    return definition


def _lowered(graph: TracedGraph) -> TracedGraph:
    """A copy in which signs are TensorFlow's operations, in a form that LCE knows."""
    graph = graph.copy()
    for node in graph.of(SIGN):
        form = _strict_sign if node.strict else _sign
        lowered = graph.build(form, node.inputs[0], name=f"{node.name}/lowered")
        graph.replace(f"{node.name}:0", lowered)
    for node in graph.of(TERNARY):
        lowered = graph.build(_ternary_sign, node.inputs[0], name=f"{node.name}/lowered")
        graph.replace(f"{node.name}:0", lowered)
    graph.prune()
    return graph


def run(graph: TracedGraph, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of the graph for flat inputs, in its order."""
    return [tensor.numpy() for tensor in served(to_module(graph), inputs)]


def served(module, inputs: list[np.ndarray]) -> list:
    """What the `serve` of a module from `to_module` gives for flat inputs, in order."""
    with _without_fusing():
        return list(module.serve(*map(tf.constant, inputs)).values())


@contextlib.contextmanager
def _without_fusing():
    """TensorFlow 2.21 fuses a batch norm with a Tanh, which its kernels for AVX-512 cannot run."""
    options = tf.config.optimizer
    before = options.get_experimental_options().get("remapping", True)
    options.set_experimental_options({"remapping": False})
    try:
        yield
    finally:
        options.set_experimental_options({"remapping": before})


def evaluate(graph: TracedGraph, references: list[str]) -> list[np.ndarray]:
    """The values of `references` that depend on no input."""
    if not references:
        return []
    part = graph.copy()
    part.inputs, part.outputs = [], references
    part.prune()
    return run(part, [])


def _sign(x):
    # larq's form. LCE cannot convert where(x >= 0, 1, -1) on a map of open height and width.
    return tf.sign(tf.sign(x) + 0.5)


def _ternary_sign(x):
    # Without the factor the converter takes sign(sign(x) + y) for a sign of x.
    return tf.sign(x * 2.0)


def _strict_sign(x):
    return tf.where(x > 0.0, 1.0, -1.0)
