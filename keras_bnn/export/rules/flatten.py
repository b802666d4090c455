"""A dense layer on a flattened map as one convolution over the whole map.

As a 1×1 convolution it would need its map reshaped, and a reshape between two binary layers costs
the packed form of what they hand on.
"""

from keras_bnn.bits import words_for
from keras_bnn.export.rules.binary_products import is_binary_product
from keras_bnn.export.traced import SIGN, TracedGraph


def apply(graph: TracedGraph) -> bool:
    """Rewrites 1×1 convolutions of the sign of a flattened map."""
    changed = False
    for convolution in graph.of("Conv2D"):
        sign = graph.producer(convolution.inputs[0])
        if sign.op != SIGN or not is_binary_product(graph, convolution):
            continue
        source = sign.inputs[0]
        while graph.producer(source).op == "Reshape":
            source = graph.producer(source).inputs[0]
        shape, pixel = graph.spec(source).shape, graph.spec(sign.inputs[0]).shape
        if (
            source == sign.inputs[0]
            or shape.rank != 4
            or not shape[1:].is_fully_defined()
            or shape[1:3] == [1, 1]
            or pixel[1:] != [1, 1, shape[1:].num_elements()]
            or _costs_more(*shape[1:])
        ):
            continue
        kernel = graph.value(convolution.inputs[1]).reshape(*shape[1:], -1)
        convolution.inputs = [
            graph.sign(source, f"{sign.name}/of_map", sign.strict),
            graph.variable(kernel, f"{convolution.name}/kernel_of_map"),
        ]
        changed = True
    graph.prune()
    return changed


def _costs_more(height: int, width: int, channels: int) -> bool:
    """Whether the kernel over the map is much larger: it fills up its channels at every place."""
    return height * width * words_for(channels) > 1.25 * words_for(height * width * channels)
