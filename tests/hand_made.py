"""Small .tflite files, written tensor by tensor."""

import numpy as np

from keras_bnn.tflite import write

FLOAT32, FLOAT16, INT32, INT8, INT4 = 0, 1, 2, 9, 17
# The options of a 1-bit convolution.
BINARY = {
    "channels_in": 40,
    "dilation_height_factor": 1,
    "dilation_width_factor": 1,
    "fused_activation_function": 0,
    "pad_values": 1,
    "padding": 0,
    "stride_height": 1,
    "stride_width": 1,
}


def hand_made(tensors, operators, subgraphs=1, names=(), inputs=(0,), outputs=()):
    """A .tflite file of the given tensors and operators.

    Args:
        tensors: (type, shape, data or None) of each; data that is the same object is shared.
        operators: (built-in name or custom name, inputs, outputs, options object or None) of each.
        subgraphs: How many copies of the graph the file holds.
        names: Names of tensors by index; "t3" and so on by default.
        inputs: Indices of the model's inputs.
        outputs: Indices of its outputs; by default the last tensor.
    """
    from ai_edge_litert import schema_py_generated as schema

    buffers, of_data = [schema.BufferT()], {}
    names, outputs = dict(names), list(outputs) or [len(tensors) - 1]
    graph = schema.SubGraphT(tensors=[], operators=[], inputs=list(inputs), outputs=outputs)
    for index, (kind, shape, data) in enumerate(tensors):
        if data is not None and id(data) not in of_data:
            of_data[id(data)] = len(buffers)
            content = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            buffers.append(schema.BufferT(data=content))
        number = of_data[id(data)] if data is not None else 0
        name = names.get(index, f"t{index}")
        tensor = schema.TensorT(shape=shape, type=kind, buffer=number, name=name)
        graph.tensors.append(tensor)
    codes = []
    for name, inputs, outputs, options in operators:
        number = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
        custom = name if number == schema.BuiltinOperator.CUSTOM else None
        codes.append(schema.OperatorCodeT(min(number, 127), custom, 1, number))
        operator = schema.OperatorT(len(codes) - 1, inputs, outputs)
        if custom:
            operator.customOptions = np.frombuffer(flexbuffer(options or {}), np.uint8)
        elif options is not None:
            operator.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        graph.operators.append(operator)
    return write(schema.ModelT(3, codes, [graph] * subgraphs, None, buffers))


def flexbuffer(options):
    from flatbuffers import flexbuffers

    builder = flexbuffers.Builder()
    builder.MapFromElements(options)
    return bytes(builder.Finish())


def binary_layer(options=(), weights=(6, 1, 3, 2), result=(INT8, (2, 4, 4, 6)), inputs=5):
    """A file of one LceBconv2d: two 4×4 images of 40 channels, six filters of 1×3."""
    words = np.zeros((6, 1, 3, 2), np.int32)
    tensors = [(INT32, (2, 4, 4, 2), None), (INT32, weights, words), (*result, None)]
    operators = [
        ("LceBconv2d", [0, 1, -1, -1, -1][:inputs], [2], {**BINARY, **dict(options)}),
    ]
    return hand_made(tensors, operators)
