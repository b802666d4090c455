"""Lets a file whose batch was fixed at 1 run at any batch."""

from typing import Any

import numpy as np

# The schema says that all its vectors may be missing; after `file.read` none of them is.
Model = Any


def open_reshapes(model: Model) -> None:
    """Puts -1 for the batch into the target shapes of RESHAPE, where a converter wrote 1.

    With a 1 the file would run at batch 1 only. The first axis follows from the others, which
    do not depend on the batch.
    """
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    graph = model.subgraphs[0]
    for operator in graph.operators or []:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code != BuiltinOperator.RESHAPE or len(operator.inputs) < 2:
            continue
        data = model.buffers[graph.tensors[operator.inputs[1]].buffer].data
        output = graph.tensors[operator.outputs[0]]
        if data is None or len(data) != 4 * len(output.shape) or not len(data):
            continue
        shape = np.frombuffer(bytes(data), np.int32).copy()
        if shape[0] != 1 or (np.asarray(output.shape)[1:] == 0).any():
            continue
        shape[1:] = output.shape[1:]
        shape[0] = -1
        target = _add_constant(model, shape, f"{(output.name or b'').decode()}/shape")
        operator.inputs = [operator.inputs[0], target]
        if operator.builtinOptions is not None:
            operator.builtinOptions.newShape = shape.tolist()


def _add_constant(model: Model, values: np.ndarray, name: str) -> int:
    """Adds an int32 constant (the old one may have other readers); returns its tensor's index."""
    from ai_edge_litert.schema_py_generated import BufferT, TensorT, TensorType

    graph = model.subgraphs[0]
    buffer = BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor = TensorT()
    tensor.type = TensorType.INT32
    tensor.shape = [len(values)]
    tensor.buffer = len(model.buffers) - 1
    tensor.name = name.encode()
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
