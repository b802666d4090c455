"""A dense layer of ±1 on ±1 as a convolution: LCE has no binary dense layer.

The whole map of features becomes one pixel with a 1×1 kernel. See the rule `flatten` for dense
layers on a flattened map.
"""

from keras_bnn._keras import tf
from keras_bnn.export.rules.binary_products import comes_from_sign, is_binary_product
from keras_bnn.export.traced import TracedGraph


def apply(graph: TracedGraph) -> bool:
    """Rewrites matrix products of a sign with a kernel of ±1."""
    changed = False
    for node in graph.of("MatMul", "BatchMatMulV2"):
        inputs, kernel = node.inputs
        shape = graph.spec(inputs).shape
        if (
            not is_binary_product(graph, node)
            or not comes_from_sign(graph, inputs)
            or graph.spec(kernel).shape.rank != 2
            or node.flag("transpose_a", "transpose_b", "adj_x", "adj_y")
            or not shape[1:].is_fully_defined()
        ):
            continue
        values = graph.value(kernel)
        width = shape[1:-1].num_elements() or 1
        weights = graph.variable(values[None, None], f"{node.name}/kernel")

        def product(x, w, shape=shape, width=width):
            images = tf.reshape(x, [-1, 1, width, shape[-1]])
            return tf.reshape(tf.nn.conv2d(images, w, 1, "VALID"), [-1, *shape[1:-1], w.shape[-1]])

        graph.replace(
            f"{node.name}:0", graph.build(product, inputs, weights, name=f"{node.name}/convolution")
        )
        changed = True
    graph.prune()
    return changed
