"""Keeps what stands between two one-dimensional convolutions two-dimensional.

TensorFlow adds an axis before each of them and takes it away after it, and so does each pool. The
converter packs no chain that is interrupted like this, so the axis stays until something needs the
map without it.
"""

from dataclasses import replace

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.rules.binary_products import PADS, follows_product
from keras_bnn.export.rules.geometry import pad_amounts
from keras_bnn.export.traced import Node, TracedGraph

# Work on each value by itself, with constants per channel.
_ELEMENTWISE = ("AddV2", "BiasAdd", "Maximum", "Minimum", "Mul", "RealDiv", "Relu", "Relu6", "Sub")
_BETWEEN = (*_ELEMENTWISE, "MaxPool", *PADS)


def apply(graph: TracedGraph) -> bool:
    """Moves additions of an axis up, removals down, and drops pairs of them."""
    changed = False
    for node in graph.of("ExpandDims"):
        changed |= _expand_before_pad(graph, node)
    for node in graph.of(*_ELEMENTWISE):
        changed |= _squeeze_after(graph, node)
    for node in graph.of("ExpandDims"):
        squeeze = graph.producer(node.inputs[0])
        if squeeze.op == "Squeeze" and node.outputs[0].shape == graph.spec(squeeze.inputs[0]).shape:
            graph.replace(f"{node.name}:0", squeeze.inputs[0])
            changed = True
    graph.prune()
    return changed


def _expand_before_pad(graph: TracedGraph, expand: Node) -> bool:
    pad = graph.producer(expand.inputs[0])
    if pad.op not in PADS:
        return False
    axis, amounts = graph.constant(expand.inputs[1]), pad_amounts(graph, pad)
    value = graph.constant(pad.inputs[2]) if pad.op == "PadV2" else 0.0
    if axis is None or amounts is None or value is None:
        return False
    axis = int(axis) % expand.outputs[0].shape.rank
    amounts = np.insert(amounts, axis, 0, axis=0)
    moved = graph.build(
        lambda x: tf.pad(tf.expand_dims(x, axis), amounts, constant_values=value),
        pad.inputs[0],
        name=f"{pad.name}/expanded",
    )
    graph.replace(f"{expand.name}:0", moved)
    return True


def _squeeze_after(graph: TracedGraph, node: Node) -> bool:
    """Lets `node` read the map before the axis is taken away."""
    for index, reference in enumerate(node.inputs):
        squeeze = graph.producer(reference)
        if (
            squeeze.op != "Squeeze"
            or graph.consumers(squeeze.name) != [node]
            or not follows_product(graph, squeeze.inputs[0], _BETWEEN)
            or not all(_is_per_channel(graph, other) for other in node.inputs if other != reference)
        ):
            continue
        first = replace(node, name=graph.free_name(f"{node.name}/before_squeeze"))
        first.inputs = list(node.inputs)
        first.inputs[index] = squeeze.inputs[0]
        first.outputs = [graph.spec(squeeze.inputs[0])]
        second = replace(squeeze, name=graph.free_name(f"{squeeze.name}/after"))
        second.inputs = [f"{first.name}:0"]
        graph.nodes[first.name], graph.nodes[second.name] = first, second
        graph.replace(f"{node.name}:0", f"{second.name}:0")
        return True
    return False


def _is_per_channel(graph: TracedGraph, reference: str) -> bool:
    constant = graph.constant(reference)
    return constant is not None and constant.ndim <= 1
