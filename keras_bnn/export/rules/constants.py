"""Constants after a convolution, in the shape in which the converter fuses them rightly.

It moves constants of any shape into the convolution, which can hold one value per channel. Others
give a file that cannot be run, so something has to stand between them and the convolution.
"""

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.rules.binary_products import follows_product
from keras_bnn.export.traced import Node, TracedGraph

_ARITHMETIC = {
    "AddV2": tf.add,
    "Mul": tf.multiply,
    "RealDiv": tf.divide,
    "Sub": tf.subtract,
    "Maximum": tf.maximum,
    "Minimum": tf.minimum,
}
# The converter looks through reshapes, too.
_FUSED = (
    *_ARITHMETIC,
    "BiasAdd",
    "ExpandDims",
    "FusedBatchNormV3",
    "Relu",
    "Relu6",
    "Reshape",
    "Squeeze",
)


def apply(graph: TracedGraph) -> bool:
    """Makes constants one value per channel, or takes them out of the converter's reach."""
    changed = False
    for node in graph.of(*_ARITHMETIC):
        for index in (0, 1):
            constant = graph.constant(node.inputs[index])
            other = node.inputs[1 - index]
            if constant is None or constant.ndim < 2 or not follows_product(graph, other, _FUSED):
                continue
            if constant.shape[-1] == constant.size:
                node.inputs[index] = graph.variable(constant.ravel(), f"{node.name}/per_channel")
                changed = True
            else:
                changed |= _set_apart(graph, node, index, constant)
    graph.prune()
    return changed


def _set_apart(graph: TracedGraph, node: Node, index: int, constant: np.ndarray) -> bool:
    """Lets the arithmetic work on the map as one row, with a reshape on both sides."""
    other = node.inputs[1 - index]
    shape = graph.spec(other).shape
    if shape.rank is None or not shape[1:].is_fully_defined():
        return False
    whole = np.broadcast_to(constant, [1, *shape[1:]]).reshape(-1)
    row = graph.variable(whole, f"{node.name}/row")

    def compute(x, c):
        flat = tf.reshape(x, [-1, len(whole)])
        pair = (c, flat) if index == 0 else (flat, c)
        return tf.reshape(_ARITHMETIC[node.op](*pair), [-1, *shape[1:]])

    result = graph.build(compute, other, row, name=f"{node.name}/apart")
    graph.replace(f"{node.name}:0", result)
    return True
