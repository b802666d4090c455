"""Splits kernels of two values per channel into ±1 and a factor after the product.

Those are kernels that were not split when they were baked: of layers that `bake` does not know, and
all kernels of a SavedModel.
"""

from keras_bnn.export.rules.binary_products import PRODUCTS, is_binary_product
from keras_bnn.export.traced import TracedGraph
from keras_bnn.probe import BinaryKernel


def apply(graph: TracedGraph) -> bool:
    """Rewrites products with such kernels."""
    changed = False
    for node in graph.of(*PRODUCTS):
        kernel = graph.constant(node.inputs[1])
        if kernel is None or is_binary_product(graph, node) or node.flag("transpose_b", "adj_y"):
            continue
        binary = BinaryKernel.from_values(kernel)
        if binary is None:
            continue
        node.inputs[1] = graph.variable(binary.signs, f"{node.name}/signs")
        if binary.scale is not None:
            scale = graph.variable(binary.scale, f"{node.name}/scale")
            product = f"{node.name}:0"
            scaled = graph.build(lambda y, s: y * s, product, scale, name=f"{node.name}/scaled")
            graph.replace(product, scaled)
        changed = True
    graph.prune()
    return changed
