"""Zeros around a real convolution that are not those of SAME padding.

Where they are as many before as behind and the sizes fit, the converter writes SAME padding for
them, which has one zero less before: with a stride of 2 every window is off by one. Two pads, one
before and one behind the map, stay what they are.
"""

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.rules.binary_products import PADS, is_binary_product
from keras_bnn.export.rules.geometry import is_same_padding, pad_amounts
from keras_bnn.export.traced import TracedGraph


def apply(graph: TracedGraph) -> bool:
    """Splits pads in front of real convolutions."""
    changed = False
    for convolution in graph.of("Conv2D", "DepthwiseConv2dNative"):
        pad = graph.producer(convolution.inputs[0])
        if (
            pad.op not in PADS
            or is_binary_product(graph, convolution)
            or (amounts := pad_amounts(graph, pad)) is None
            or not (amounts[:, 0].any() and amounts[:, 1].any())
            or is_same_padding(graph, convolution, amounts)
        ):
            continue
        value = graph.constant(pad.inputs[2]) if pad.op == "PadV2" else 0
        if value is None:
            continue
        for side, name in enumerate(("before", "behind")):
            # The converter crashes on amounts of 64 bits.
            one = np.where([side == 0, side == 1], amounts, 0).astype(np.int32)
            convolution.inputs[0] = graph.build(
                lambda x, one=one, value=value: tf.pad(x, one, constant_values=value),
                convolution.inputs[0] if side else pad.inputs[0],
                name=f"{pad.name}/{name}",
            )
        changed = True
    graph.prune()
    return changed
