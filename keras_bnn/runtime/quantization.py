"""Scales of integers, which LiteRT makes factors of, and ends the process where it cannot."""

from __future__ import annotations

from keras_bnn.tflite.graph import Graph, Operator, Tensor

_QUANTIZED = {"int8", "uint8", "int16"}
# These take it for granted that such tensors have a scale.
_NEED_SCALES = {
    *("ADD", "EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOG", "NOT_EQUAL"),
    *("RSQRT", "SQRT", "SQUARED_DIFFERENCE", "SUB"),
}
# Beyond these, LiteRT's quotients of scales have no float32.
_LEAST, _MOST = 2.0**-96, 2.0**96


def fault(graph: Graph, operator: Operator, tensors: list[Tensor]) -> str | None:
    """What is wrong with the scales of a builtin operator, as a clause; None if nothing is."""
    indices = [index for index in (*operator.inputs, *operator.outputs) if index >= 0]
    scales = {}
    for index in indices:
        if tensors[index].type not in _QUANTIZED:
            continue
        scales[index] = graph.scales(index)
        if operator.name in _NEED_SCALES and not scales[index]:
            return f"needs a scale for tensor {index}, which is {tensors[index].type}"
        for scale in scales[index]:
            if not _LEAST <= scale <= _MOST:
                return f"has the scale {scale:g} for tensor {index}, expected a positive number"
    return _fault_of_sum(operator, tensors, scales)


def _fault_of_sum(
    operator: Operator, tensors: list[Tensor], scales: dict[int, tuple[float, ...]]
) -> str | None:
    """LiteRT shifts inputs left by so many bits, and the factor back has to be below 1."""
    name, output = operator.name, operator.outputs[0] if operator.outputs else -1
    if name not in ("ADD", "SUB", "SQUARED_DIFFERENCE") or not scales.get(output):
        return None
    largest = max((max(scales.get(index, ()), default=0.0) for index in operator.inputs), default=0)
    if name == "SQUARED_DIFFERENCE":
        fits = (2 * largest) ** 2 < 2.0**14 * scales[output][0]
    else:
        shift = 15 if tensors[output].type == "int16" else 20
        fits = 2 * largest < 2.0**shift * scales[output][0]
    if fits:
        return None
    return (
        f"has inputs of scale {largest:g} and an output of {scales[output][0]:g}, expected scales "
        "nearer to each other"
    )
