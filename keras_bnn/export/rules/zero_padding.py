"""Zeros between a sign and its convolution.

Where their amounts are those of SAME padding, the convolution takes them over. Elsewhere the map is
padded with +1 before the sign, which stays 1-bit, and what those taps add is subtracted again: it
depends on the kernel and the position alone. (Padding with zeros before the sign would turn them
into +1 for good.)
"""

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.export.rules.binary_products import PADS, is_binary_product
from keras_bnn.export.rules.geometry import is_same_padding, pad_amounts
from keras_bnn.export.traced import SIGN, Node, TracedGraph


def apply(graph: TracedGraph) -> bool:
    """Rewrites convolutions of ±1 whose signs are surrounded by zeros."""
    changed = False
    for convolution in graph.of("Conv2D"):
        pad = graph.producer(convolution.inputs[0])
        if (
            pad.op not in PADS
            or not is_binary_product(graph, convolution)
            or graph.producer(pad.inputs[0]).op != SIGN
            or (pad.op == "PadV2" and not _pads_zeros(graph, pad))
            or (amounts := pad_amounts(graph, pad)) is None
        ):
            continue
        if is_same_padding(graph, convolution, amounts):
            convolution.inputs[0] = pad.inputs[0]
            convolution.attributes["padding"] = tf.compat.v1.AttrValue(s=b"SAME")
            changed = True
        elif not amounts[0].any() and not amounts[3].any():
            changed |= _pad_with_ones(graph, convolution, pad, amounts)
    graph.prune()
    return changed


def _pads_zeros(graph: TracedGraph, pad: Node) -> bool:
    value = graph.constant(pad.inputs[2])
    return value is not None and value.item() == 0


def _pad_with_ones(graph: TracedGraph, convolution: Node, pad: Node, amounts) -> bool:
    shape = graph.spec(pad.inputs[0]).shape
    if not shape[1:].is_fully_defined():
        return False
    kernel = graph.value(convolution.inputs[1])
    strides = list(convolution.attributes["strides"].list.i)
    dilations = list(convolution.attributes["dilations"].list.i or [1, 1, 1, 1])
    groups = shape[3] // kernel.shape[2]
    inside = np.zeros((1, *shape[1:3], kernel.shape[2]), np.float32)
    outside = np.pad(inside, [[0, 0], *amounts[1:3], [0, 0]], constant_values=1.0)
    added = np.concatenate(
        [
            tf.nn.conv2d(outside, part, strides, "VALID", dilations=dilations)
            for part in np.split(kernel, groups, axis=3)
        ],
        axis=3,
    )
    sign = graph.producer(pad.inputs[0])
    padded = graph.build(
        lambda x: tf.pad(x, amounts, constant_values=1.0),
        sign.inputs[0],
        name=f"{pad.name}/with_ones",
    )
    convolution.inputs[0] = graph.sign(padded, pad.name, sign.strict)
    product = f"{convolution.name}:0"
    constant = graph.variable(-added, f"{convolution.name}/of_padding")
    corrected = graph.build(tf.add, product, constant, name=f"{convolution.name}/without_padding")
    graph.replace(product, corrected)
    return True
