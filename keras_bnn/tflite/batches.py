"""Lets a file whose batch was fixed at 1 run at any batch."""

from typing import Any

import numpy as np

# The schema says that all its vectors may be missing; after `file.read` none of them is.
Model = Any


# Element by element, so that inputs of fewer axes are broadcast.
_BROADCASTING = (
    "ADD",
    "DIV",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "MAXIMUM",
    "MINIMUM",
    "MUL",
    "POW",
    "SQUARED_DIFFERENCE",
    "SUB",
)


def open_batch(model: Model) -> None:
    """Lets the first graph of a model run at any batch.

    A converter that takes the batch for 1 writes it into shapes, and leaves out what changes
    nothing at a batch of 1.

    Args:
        model: A `ModelT` from `keras_bnn.tflite.file.read`; it is changed.
    """
    _open_reshapes(model)
    _open_broadcasts(model)


def _open_reshapes(model: Model) -> None:
    """Puts -1 for the batch into the target shapes of RESHAPE, where a converter wrote 1.

    With a 1 the file would run at batch 1 only, and where dilated windows move pixels into the
    batch, with a 2 or 4 as well. The first axis follows from the others, which do not depend on it.
    """
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    graph = model.subgraphs[0]
    for operator in graph.operators or []:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code != BuiltinOperator.RESHAPE or len(operator.inputs) < 2:
            continue
        data = model.buffers[graph.tensors[operator.inputs[1]].buffer].data
        output = graph.tensors[operator.outputs[0]]
        sizes = _sizes(output)
        if data is None or len(data) != 4 * len(sizes) or not len(data):
            continue
        shape = np.frombuffer(bytes(data), np.int32).copy()
        if shape[0] == -1 or 0 in sizes[1:]:
            continue
        shape[1:] = sizes[1:]
        shape[0] = -1
        target = _add_constant(model, shape, f"{(output.name or b'').decode()}/shape")
        operator.inputs = [operator.inputs[0], target]
        if operator.builtinOptions is not None:
            operator.builtinOptions.newShape = shape.tolist()


def _open_broadcasts(model: Model) -> None:
    """Gives inputs of (batch, channels) that meet images the axes between.

    Against (batch, height, width, channels) they are broadcast as (1, 1, batch, channels), which
    is right at a batch of 1 alone.
    """
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    kinds = [getattr(BuiltinOperator, name) for name in _BROADCASTING]
    graph = model.subgraphs[0]
    operators = []
    for operator in graph.operators or []:
        if model.operatorCodes[operator.opcodeIndex].builtinCode in kinds:
            rank = len(_sizes(graph.tensors[operator.outputs[0]]))
            for place, index in enumerate(operator.inputs):
                if _is_short_of_axes(model, index, rank):
                    operators.append(_insert_axes(model, index, rank))
                    operator.inputs = [*operator.inputs]
                    operator.inputs[place] = operators[-1].outputs[0]
        operators.append(operator)
    graph.operators = operators


def _is_short_of_axes(model: Model, index: int, rank: int) -> bool:
    tensor = model.subgraphs[0].tensors[index]
    data = model.buffers[tensor.buffer].data
    is_constant = data is not None and len(data) > 0
    sizes = _sizes(tensor)
    return not is_constant and 2 <= len(sizes) < rank and sizes[0] == 1


def _sizes(tensor: Any) -> list[int]:
    """Its shape, which the file of a single number need not have."""
    return [] if tensor.shape is None else [int(size) for size in tensor.shape]


def _insert_axes(model: Model, index: int, rank: int) -> Any:
    """Adds a tensor of (batch, 1, …, rest); returns the RESHAPE that computes it."""
    from ai_edge_litert.schema_py_generated import (
        BuiltinOptions,
        OperatorT,
        ReshapeOptionsT,
        TensorT,
    )

    graph = model.subgraphs[0]
    source = graph.tensors[index]
    rest = [1] * (rank - len(source.shape)) + [int(size) for size in source.shape[1:]]
    name = (source.name or b"").decode()
    target = _add_constant(model, np.array([-1, *rest], np.int32), f"{name}/axes/shape")
    tensor = TensorT()
    tensor.name, tensor.type, tensor.quantization = f"{name}/axes", source.type, source.quantization
    tensor.shape, tensor.buffer = [1, *rest], 0
    graph.tensors.append(tensor)
    reshape = OperatorT()
    reshape.opcodeIndex = _code_of_reshape(model)
    reshape.inputs, reshape.outputs = [index, target], [len(graph.tensors) - 1]
    reshape.builtinOptionsType = BuiltinOptions.ReshapeOptions
    reshape.builtinOptions = ReshapeOptionsT()
    reshape.builtinOptions.newShape = [-1, *rest]
    return reshape


def _code_of_reshape(model: Model) -> int:
    from ai_edge_litert.schema_py_generated import BuiltinOperator, OperatorCodeT

    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == BuiltinOperator.RESHAPE:
            return index
    code = OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = BuiltinOperator.RESHAPE
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


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
