"""How large an output becomes where a constant decides it, and not the shape in the file."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from keras_bnn.tflite.graph import Graph, Operator


def _padded(shape: tuple[int, ...], pads: list[int]) -> list[int]:
    return [size + sum(pads[2 * i : 2 * i + 2]) for i, size in enumerate(shape)]


def _tiled(shape: tuple[int, ...], times: list[int]) -> list[int]:
    return [size * factor for size, factor in zip(shape, times, strict=False)]


def _resized(shape: tuple[int, ...], sizes: list[int]) -> list[int]:
    return [*shape[:1], *sizes, *shape[3:]]


def _given(shape: tuple[int, ...], sizes: list[int]) -> list[int]:
    return sizes


# Which inputs are the values and the constant, and what becomes of the former's shape.
_RULES: dict[str, tuple[int, int, Callable]] = {
    "BROADCAST_TO": (0, 1, _given),
    "FILL": (1, 0, _given),
    "MIRROR_PAD": (0, 1, _padded),
    "PAD": (0, 1, _padded),
    "PADV2": (0, 1, _padded),
    "RESIZE_BILINEAR": (0, 1, _resized),
    "RESIZE_NEAREST_NEIGHBOR": (0, 1, _resized),
    "TILE": (0, 1, _tiled),
    "TRANSPOSE_CONV": (2, 0, _given),
}


def chosen_elements(graph: Graph, operator: Operator) -> int:
    """The elements of an operator's output that its constant asks for; 0 if there is none."""
    values, place, rule = _RULES.get(operator.name, (0, 0, None))
    if rule is None or len(operator.inputs) <= max(values, place):
        return 0
    indices = operator.inputs[values], operator.inputs[place]
    constant = graph.constant(indices[1]) if min(indices) >= 0 else None
    if constant is None or constant.dtype not in (np.int32, np.int64):
        return 0
    sizes = rule(graph.tensor(indices[0]).shape, constant.ravel().tolist())
    return math.prod(max(size, 0) for size in sizes)
