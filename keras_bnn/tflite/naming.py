"""Names for what belongs to a 1-bit layer, which viewers show beside its operator."""

from __future__ import annotations

from keras_bnn.tflite.graph import Graph

_INPUTS = {1: "kernel", 2: "multiplier", 3: "bias", 4: "threshold"}


def name_parts(graph: Graph) -> None:
    """Names signs, constants and pools of 1-bit layers after the layer: "conv_1/kernel".

    LCE's converter calls them "model.conv_1.ste_sign.Sign_1.lowered/S" and "arith.constant7", and a
    pool after what follows it. What several layers share gets the name of the first. Inputs and
    outputs of the model keep theirs.

    Args:
        graph: Its model is changed. `graph.operators` stays right.
    """
    ports = {port.tensor for port in (*graph.inputs, *graph.outputs)}
    named = set(ports)
    for operator in graph.operators:
        if operator.name == "LceBconv2d":
            layer = graph.tensor(operator.outputs[0]).name
            parts = {operator.inputs[i]: part for i, part in _INPUTS.items()}
            source = graph.producer(operator.inputs[0])
            if source is not None and source.name == "LceQuantize":
                parts[operator.inputs[0]] = "sign"
        elif operator.name == "LceBMaxPool2d":
            layer = graph.tensor(operator.inputs[0]).name
            parts = {operator.outputs[0]: "max_pool"}
        else:
            continue
        for tensor, part in parts.items():
            if tensor >= 0 and tensor not in named:
                graph.rename(tensor, f"{layer}/{part}")
                named.add(tensor)
