"""A function of TensorFlow as a traced graph: flat, each thing once, and what is fixed computed."""

from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from keras_bnn._keras import tf
from keras_bnn.errors import InputError
from keras_bnn.export.lowering import definition_of, evaluate
from keras_bnn.export.traced import Node, TracedGraph, split

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Hand their first input on; their other sides are gradients and control flow.
_PASSING = ("Identity", "IdentityN", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics")


def read_function(function) -> TracedGraph:
    """Reads a concrete function whose outputs are a dict in the model's order.

    Raises:
        InputError: If it holds a table or another resource that is no variable.
    """
    nodes = [Node.of_operation(operation) for operation in function.graph.get_operations()]
    definition = function.graph.as_graph_def()
    graph = TracedGraph(
        {node.name: node for node in nodes}, definition.library, definition.versions
    )
    count = len(function.inputs) - len(function.captured_inputs)
    graph.inputs = [tensor.op.name for tensor in function.inputs[:count]]
    for name in graph.inputs:
        graph.nodes[name].op = "Leaf"
    outputs = function.structured_outputs
    graph.outputs = [outputs[key].name for key in sorted(outputs)]
    _inline_calls(graph)
    _read_captures(graph, function)
    _drop_passing(graph)
    graph.prune()
    _infer_shapes(graph)
    _merge_equal(graph)
    _fold(graph)
    return graph


def _inline_calls(graph: TracedGraph) -> None:
    """Puts the bodies of functions in the place of their calls, as a SavedModel has them."""
    bodies = {function.signature.name: function for function in graph.library.function}
    while calls := list(graph.of(*_CALLS)):
        for call in calls:
            body = bodies[call.attributes["f"].func.name]
            shapes = [graph.spec(reference).shape for reference in call.inputs]
            _inline(graph, call, function_def_to_graph(body, input_shapes=shapes))


def _inline(graph: TracedGraph, call: Node, body) -> None:
    taken = any(operation.name in graph.nodes for operation in body.get_operations())
    name = call.name if taken else ""
    names = graph.add_operations(body, body.inputs, call.inputs, name)
    for i, output in enumerate(body.outputs):
        graph.replace(f"{call.name}:{i}", names[output.name])
    graph.prune()


def _read_captures(graph: TracedGraph, function) -> None:
    for outer, inner in function.graph.captures:
        name = inner.op.name
        if outer.dtype != tf.resource:
            graph.make_leaf(name, outer.numpy())
            continue
        for node in graph.consumers(name):
            if node is not None:
                _read_resource(graph, node, outer)


def _read_resource(graph: TracedGraph, node: Node, resource) -> None:
    """Makes `node`, which reads a variable, read its value."""
    if node.op not in ("ReadVariableOp", "ResourceGather"):
        raise InputError(
            f"{node.name} is the operation {node.op} on a variable or table, which the export "
            "does not know: compute it outside the model."
        )
    dtype = node.outputs[0].dtype
    value = tf.raw_ops.ReadVariableOp(resource=resource, dtype=dtype).numpy()
    if node.op == "ReadVariableOp":
        graph.make_leaf(node.name, value)
        return
    depth = node.attributes["batch_dims"].i
    table = graph.variable(value, f"{node.name}/table")
    rows = graph.build(
        lambda t, i: tf.gather(t, i, batch_dims=depth), table, node.inputs[1], name=node.name
    )
    graph.replace(f"{node.name}:0", rows)


def _drop_passing(graph: TracedGraph) -> None:
    for node in list(graph.nodes.values()):
        if node.op in _PASSING:
            for i in range(len(node.outputs)):
                graph.replace(f"{node.name}:{i}", node.inputs[i])


def _infer_shapes(graph: TracedGraph) -> None:
    """Works out the shapes that a function's body hides, since its variables are arguments."""
    with tf.Graph().as_default() as scratch:
        leaves = {
            f"{node.name}:0": tf.compat.v1.placeholder(spec.dtype, spec.shape)
            for node in graph.of("Leaf")
            for spec in node.outputs
        }
        definition = definition_of(graph)
        read = {reference for node in definition.node for reference in node.input}
        leaves = {name: leaf for name, leaf in leaves.items() if name in read}
        tf.graph_util.import_graph_def(definition, leaves, name="")
    for operation in scratch.get_operations():
        if operation.name in graph.nodes and graph.nodes[operation.name].op != "Leaf":
            graph.nodes[operation.name].outputs = [
                tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in operation.outputs
            ]


def _merge_equal(graph: TracedGraph) -> None:
    """Lets nodes that compute the same be one, as where somebody wrote a term twice."""
    seen: dict = {}
    for node in graph.ordered():
        if node.op == "Leaf" or _is_random(node):
            continue
        attributes = sorted((k, v.SerializeToString()) for k, v in node.attributes.items())
        first = seen.setdefault((node.op, tuple(node.inputs), str(attributes)), node)
        if first is not node:
            for i in range(len(node.outputs)):
                graph.replace(f"{node.name}:{i}", f"{first.name}:{i}")
    graph.prune()


def _fold(graph: TracedGraph) -> None:
    """Computes now what depends on no input, such as kernels behind their quantizers.

    TensorFlow and the converter do not compute what is larger than they like, but leave it to
    every inference.
    """
    fixed = _fixed(graph)
    frontier = dict.fromkeys(
        reference
        for node in graph.nodes.values()
        if node.name not in fixed
        for reference in node.inputs
        if split(reference)[0] in fixed
        and graph.constant(reference) is None
        and graph.spec(reference).dtype.is_floating
    )
    for reference, value in zip(frontier, evaluate(graph, list(frontier)), strict=True):
        graph.replace(reference, graph.variable(value, f"{split(reference)[0]}/folded"))
    graph.prune()


def _fixed(graph: TracedGraph) -> set[str]:
    """The nodes that depend on no input, and on nothing random."""
    fixed: set[str] = set()
    for node in graph.ordered():
        if (
            node.name not in graph.inputs
            and not _is_random(node)
            and all(split(reference)[0] in fixed for reference in node.inputs)
        ):
            fixed.add(node.name)
    return fixed


def _is_random(node: Node) -> bool:
    return any("seed" in name for name in node.attributes) or "Random" in node.op
