"""Names of tensors as viewers show them: by layer."""

from __future__ import annotations

from keras_bnn.tflite.graph import Graph, Operator

_INPUTS = {1: "kernel", 2: "multiplier", 3: "bias", 4: "threshold"}


def name_tensors(graph: Graph) -> None:
    """Gives the tensors of an exported file names that say which layer they belong to.

    Signs, constants and pools of 1-bit layers are named after the layer: "conv_1.kernel". LCE's
    converter calls them "model.conv_1.ste_sign.Sign_1.lowered/S" and "arith.constant7", and a pool
    after what follows it. What several layers share gets the name of the first. All others lose
    the name of the model before their own. Inputs and outputs of the model keep theirs.

    Args:
        graph: Its model is changed. `graph.operators` stays right.
    """
    named = {port.tensor for port in (*graph.inputs, *graph.outputs)}
    for operator in graph.operators:
        for tensor, part in _parts(graph, operator).items():
            if tensor >= 0 and tensor not in named:
                graph.rename(tensor, part)
                named.add(tensor)
    _drop_name_of_model(graph, named)


def _parts(graph: Graph, operator: Operator) -> dict[int, str]:
    """Names by tensor of what belongs to a layer, or to the pool behind one."""
    # Model Explorer would take a slash for a box, and hide the operator in it.
    if operator.name == "LceBconv2d":
        layer = graph.tensor(operator.outputs[0]).name
        parts = {operator.inputs[i]: f"{layer}.{part}" for i, part in _INPUTS.items()}
        source = operator.inputs[0]
        if _writer(graph, source) == "LceBMaxPool2d":
            pooled = graph.producer(source).inputs[0]  # type: ignore[union-attr]
            if _writer(graph, pooled) == "LceQuantize":
                parts |= {source: f"{layer}.sign.max_pool", pooled: f"{layer}.sign"}
        elif _writer(graph, source) == "LceQuantize":
            parts[source] = f"{layer}.sign"
        return parts
    if operator.name == "LceBMaxPool2d" and _writer(graph, operator.inputs[0]) == "LceBconv2d":
        return {operator.outputs[0]: f"{graph.tensor(operator.inputs[0]).name}.max_pool"}
    return {}


def _writer(graph: Graph, tensor: int) -> str | None:
    producer = graph.producer(tensor)
    return producer.name if producer else None


def _drop_name_of_model(graph: Graph, kept: set[int]) -> None:
    """Makes "model/add/add;model/conv/BiasAdd" to "add/add;conv/BiasAdd".

    Model Explorer would put all of the model into one box of that name.
    """
    paths = [t for t in graph.tensors() if "/" in t.name and t.index not in kept]
    roots = {tensor.name.partition("/")[0] for tensor in paths if not tensor.is_constant}
    if len(roots) != 1:
        return
    root = roots.pop()
    for tensor in paths:
        parts = tensor.name.split(";")
        graph.rename(tensor.index, ";".join(part.removeprefix(f"{root}/") for part in parts))
