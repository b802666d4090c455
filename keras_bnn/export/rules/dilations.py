"""A dilated convolution as one operation.

TensorFlow writes it as a convolution between `SpaceToBatchND` and `BatchToSpaceND`. The converter
undoes that in two dimensions, but not in one, and other rules look for a sign directly before its
convolution.
"""

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.rules.binary_products import is_binary_product
from keras_bnn.export.traced import Node, TracedGraph


def apply(graph: TracedGraph) -> bool:
    """Rewrites convolutions with ±1 between the two operations."""
    changed = False
    for back in graph.of("BatchToSpaceND"):
        convolution = _behind(graph, back, "Squeeze")
        if convolution.op != "Conv2D" or not is_binary_product(graph, convolution):
            continue
        forth = _behind(graph, convolution, "ExpandDims")
        amounts = _padding(graph, forth, back) if forth.op == "SpaceToBatchND" else None
        if amounts is None:
            continue
        dilations = graph.value(forth.inputs[1]).tolist()

        def dilated(x, kernel, amounts=amounts, dilations=dilations):
            if amounts.any():
                x = tf.pad(x, amounts)
            if len(dilations) == 2:
                return tf.nn.conv2d(x, kernel, 1, "VALID", dilations=dilations)
            product = tf.nn.conv2d(
                tf.expand_dims(x, 1), kernel, 1, "VALID", dilations=[1, *dilations]
            )
            return tf.squeeze(product, [1])

        references = forth.inputs[0], convolution.inputs[1]
        whole = graph.build(dilated, *references, name=f"{convolution.name}/dilated")
        graph.replace(f"{back.name}:0", whole)
        changed = True
    graph.prune()
    return changed


def _behind(graph: TracedGraph, node: Node, optional: str) -> Node:
    """What computes the first input of `node`, seen through one operation of this kind."""
    source = graph.producer(node.inputs[0])
    return graph.producer(source.inputs[0]) if source.op == optional else source


def _padding(graph: TracedGraph, forth: Node, back: Node) -> np.ndarray | None:
    """The zeros around the whole map, of shape (axes, 2), or None where they cannot be told.

    `SpaceToBatchND` adds some to fill up its blocks, which `BatchToSpaceND` crops again.
    """
    blocks, padding = (graph.constant(reference) for reference in forth.inputs[1:])
    crops = graph.constant(back.inputs[2])
    if blocks is None or padding is None or crops is None or crops[:, 0].any():
        return None
    around = np.stack([padding[:, 0], padding[:, 1] - crops[:, 1]], axis=1)
    if (around < 0).any() or graph.spec(forth.inputs[0]).shape.rank != len(around) + 2:
        return None
    return np.pad(around, [[1, 1], [0, 0]])
