"""The channels of 1-bit layers: packed ones, ones that never change, and spare ones."""

from __future__ import annotations

import numpy as np

from keras_bnn.tflite.graph import Graph, Operator

_WORD = 32


def packed_channels(graph: Graph) -> dict[int, int]:
    """Returns the true number of channels of each tensor that holds packed bits, by its index."""
    channels: dict[int, int] = {}
    for operator in graph.operators:
        source, target = (next(iter(side), -1) for side in (operator.inputs, operator.outputs))
        if min(source, target) < 0:
            continue
        if operator.name == "LceQuantize":
            channels[target] = _last(graph, source)
        elif operator.name == "LceBMaxPool2d":
            channels[target] = channels.setdefault(source, _WORD * _last(graph, source))
        elif operator.name == "LceDequantize":
            channels.setdefault(source, _last(graph, target))
        elif operator.name == "LceBconv2d":
            channels.setdefault(source, operator.options.get("channels_in", 0))
            if graph.tensor(target).type == "int32" and len(operator.inputs) > 1:
                filters = operator.inputs[1]
                channels[target] = graph.tensor(filters).shape[0] if filters >= 0 else 0
    return channels


def constant_signs(graph: Graph, operator: Operator, k: int) -> tuple[tuple[int, ...], ...]:
    """Returns the channels of a LceBconv2d that are +1 whatever the input, and those that are −1.

    Its output is −1 where more than `threshold` of the `k` products are −1, so a threshold of `k`
    or more is never crossed, and a negative one always. LCE's converter writes INT32_MAX and
    INT32_MIN there.
    """
    thresholds = graph.constant(operator.inputs[4]) if operator.inputs[4] >= 0 else None
    if thresholds is None:
        return (), ()
    return tuple(
        tuple(int(channel) for channel in np.flatnonzero(constant))
        for constant in (thresholds >= k, thresholds < 0)
    )


def spare_bytes(filters: int, taps: int, channels: int) -> int:
    """Returns how much of a packed filter only fills words up to 32 channels.

    >>> spare_bytes(filters=64, taps=9, channels=40)
    1728
    """
    stored = filters * taps * -(-channels // _WORD) * _WORD
    return (stored - filters * taps * channels) // 8


def _last(graph: Graph, tensor: int) -> int:
    return (graph.tensor(tensor).shape or (0,))[-1]
