"""Padding amounts: what a pad adds, and what a convolution with SAME padding would."""

import numpy as np

from keras_bnn.export.traced import Node, TracedGraph


def pad_amounts(graph: TracedGraph, pad: Node) -> np.ndarray | None:
    """The amounts of a pad, of shape (axes, 2); `None` where they are not constant."""
    return graph.constant(pad.inputs[1])


def is_same_padding(graph: TracedGraph, convolution: Node, amounts: np.ndarray) -> bool:
    """Whether `amounts` before `convolution` are those of SAME padding.

    `convolution` is a Conv2D without padding of its own that reads the padded map.
    """
    if convolution.attributes["padding"].s != b"VALID" or amounts.shape != (4, 2):
        return False
    if amounts[0].any() or amounts[3].any():
        return False
    padded = graph.spec(convolution.inputs[0]).shape
    kernel = graph.spec(convolution.inputs[1]).shape
    strides = convolution.attributes["strides"].list.i
    dilations = convolution.attributes["dilations"].list.i or [1, 1, 1, 1]
    for axis in (1, 2):
        if padded[axis] is None:
            return False
        size = padded[axis] - amounts[axis].sum()
        outputs = -(-size // strides[axis])
        span = (kernel[axis - 1] - 1) * dilations[axis] + 1
        total = max((outputs - 1) * strides[axis] + span - size, 0)
        if list(amounts[axis]) != [total // 2, total - total // 2]:
            return False
    return True
