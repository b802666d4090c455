"""Computes kernels that the graph would compute anew at every inference.

Those are kernels that depend on variables alone: quantizers of layers that were not baked, and all
kernels of a SavedModel.
"""

from keras_bnn.export.rules.binary_products import PRODUCTS
from keras_bnn.export.traced import TracedGraph
from keras_bnn.probe import BinaryKernel


def apply(graph: TracedGraph) -> bool:
    """Folds kernels, with two values per channel as ±1 and a factor after the product."""
    changed = False
    for node in graph.of(*PRODUCTS):
        if node.flag("transpose_b", "adj_y"):
            continue
        reference = node.inputs[1]
        kernel = graph.constant(reference)
        if kernel is not None and (abs(kernel) == 1).all():
            continue
        if kernel is None and graph.depends_on_inputs(reference):
            continue
        values = graph.evaluate([reference])[0] if kernel is None else kernel
        binary = BinaryKernel.from_values(values)
        if binary is None:
            if kernel is None:
                node.inputs[1] = graph.variable(values, f"{node.name}/kernel")
                changed = True
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
