"""What LiteRT takes for granted of a file, and crashes on where it does not hold.

Its own verifier looks at the bytes of a file; what the operators need, each of them checks itself,
and several do not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from keras_bnn.errors import InputError
from keras_bnn.runtime import quantization
from keras_bnn.tflite._names import printable
from keras_bnn.tflite.graph import Graph, Operator, Tensor
from keras_bnn.tflite.memory import bytes_of

# From which input on an operator may lack one. LiteRT checks nothing and crashes on others.
_FIRST_OPTIONAL = {
    "BIDIRECTIONAL_SEQUENCE_LSTM": 1,
    "BIDIRECTIONAL_SEQUENCE_RNN": 1,
    "CONV_2D": 2,
    "CONV_3D": 2,
    "CONV_3D_TRANSPOSE": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 2,
    "LSTM": 1,
    "SVDF": 4,
    "TRANSPOSE_CONV": 3,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 1,
}
# How many inputs and outputs those operators take that read them before they count them.
_COUNTS = {
    "ASSIGN_VARIABLE": (2, 0),
    "BATCH_MATMUL": (2, 1),
    "DEPTHWISE_CONV_2D": (3, 1),
    "READ_VARIABLE": (1, 1),
    "SIGN": (1, 1),
    "SLICE": (3, 1),
    "SPLIT": (2, None),
    "STRIDED_SLICE": (4, 1),
}
# These do without inputs or outputs.
_WITHOUT_INPUTS = {"CALL", "CALL_ONCE", "HASHTABLE", "VAR_HANDLE", "STABLEHLO_RNG_BIT_GENERATOR"}
_WITHOUT_OUTPUTS = {"ASSIGN_VARIABLE", "CALL", "CALL_ONCE", "HASHTABLE_IMPORT"}
# The input whose type the first output has, by definition. Several of these trust the file, and
# write floats into a tensor that has room for bytes.
_SAME_TYPE = {
    **dict.fromkeys(
        (
            *("ABS", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CEIL"),
            *("CONCATENATION", "COS", "CUMSUM", "DEPTH_TO_SPACE", "DYNAMIC_UPDATE_SLICE", "ELU"),
            *("EXP", "EXPAND_DIMS", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GELU", "HARD_SWISH"),
            *("L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU", "LOCAL_RESPONSE_NORMALIZATION"),
            *("LOG", "MATRIX_DIAG", "MATRIX_SET_DIAG", "MAXIMUM", "MAX_POOL_2D", "MINIMUM"),
            *("MIRROR_PAD", "NEG", "PACK", "PAD", "PADV2", "POW", "PRELU", "REDUCE_MAX"),
            *("REDUCE_MIN", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE"),
            *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_SEQUENCE", "REVERSE_V2"),
            *("ROUND", "RSQRT", "SIGN", "SIN", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH"),
            *("SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE"),
            *("TILE", "TOPK_V2", "TRANSPOSE", "UNIQUE", "UNPACK", "ZEROS_LIKE"),
        ),
        0,
    ),
    **dict.fromkeys(("FILL", "SCATTER_ND", "SELECT", "SELECT_V2", "SPLIT"), 1),
}
# Float if and only if their input is.
_FLOAT_OF_FLOAT = {"LOGISTIC", "LOG_SOFTMAX", "SOFTMAX", "TANH"}
# Float alone, though LiteRT takes any type for it, and four bytes for each number.
_FLOAT = {"FAKE_QUANT"}
# Of these, LiteRT takes a tensor for a pointer, whether somebody set it or not.
_HANDLES = {"resource", "variant"}
# LiteRT may unpack these on the way.
_UNPACKED = {"int4", "uint4", "int2"}
# XNNPACK has room for so many, whatever the rank of the output.
_MOST_SIZES = 6


def check(graph: Graph) -> None:
    """Refuses a file on which LiteRT would crash, as far as the file shows it.

    Args:
        graph: The first graph of a model from `keras_bnn.tflite.file.read`, so that every index
            is known to be right. The others are looked at, too.

    Raises:
        InputError: If LiteRT would crash.
    """
    graphs = graph.with_others()
    _check_ports(graph)
    _check_calls(graphs)
    for each in graphs:
        tensors = each.tensors()
        for tensor in tensors:
            _check_constant(each, tensor)
        _check_order(each, tensors)
        for operator in each.operators:
            if operator.name.isupper():
                _check_counts(operator)
                _check_present(operator)
                _check_types(operator, tensors)
                _check_new_shape(operator, tensors)
                if wrong := quantization.fault(each, operator, tensors):
                    raise _damaged(f"{_name(operator)} {wrong}")
    _check_outputs(graph)


def _check_ports(graph: Graph) -> None:
    for port in (*graph.inputs, *graph.outputs):
        tensor = graph.tensor(port.tensor)
        if tensor.type in _HANDLES:
            raise _damaged(
                f"Tensor {tensor.index}, which the model takes or returns, is of type "
                f"{tensor.type}, expected numbers"
            )


def _check_constant(graph: Graph, tensor: Tensor) -> None:
    needed = bytes_of(tensor)
    if tensor.is_constant and tensor.bytes < needed and not graph.is_sparse(tensor.index):
        raise _damaged(
            f"Tensor {tensor.index} has {tensor.bytes} bytes, expected {needed} for {tensor.type} "
            f"of shape {list(tensor.shape)}"
        )


def _check_order(graph: Graph, tensors: list[Tensor]) -> None:
    """A tensor has one writer, which comes before its readers, or none."""
    given = {port.tensor for port in graph.inputs}
    written: set[int] = set()
    for operator in graph.operators:
        for index in operator.inputs:
            producer = graph.producer(index)
            is_known = producer or index < 0 or index in given
            if not is_known and tensors[index].type in _HANDLES:
                raise _damaged(
                    f"{_name(operator)} reads tensor {index}, a {tensors[index].type} that no "
                    "operator writes, expected one that does"
                )
            if producer and index not in written and index not in given:
                raise _damaged(
                    f"{_name(operator)} reads tensor {index}, which operator {producer.index} "
                    "writes, expected one before it"
                )
        for index in operator.outputs:
            taken = (
                index in written or index in given or (index >= 0 and tensors[index].is_constant)
            )
            if taken:
                raise _damaged(
                    f"{_name(operator)} writes tensor {index}, expected one that is no input, no "
                    "constant, and written by no other operator"
                )
            written.add(index)


def _check_outputs(graph: Graph) -> None:
    """LiteRT gives out memory that nobody wrote, and takes it for strings where they should be."""
    given = {port.tensor for port in graph.inputs}
    for port in graph.outputs:
        tensor = graph.tensor(port.tensor)
        if port.tensor not in given and not tensor.is_constant and not graph.producer(port.tensor):
            raise _damaged(
                f"Output {printable(port.name)!r} is written by no operator, expected one that is"
            )


def _check_counts(operator: Operator) -> None:
    least = (operator.name not in _WITHOUT_INPUTS, operator.name not in _WITHOUT_OUTPUTS)
    exact = _COUNTS.get(operator.name, (None, None))
    for what, found, minimum, wanted in zip(
        ("inputs", "outputs"), (operator.inputs, operator.outputs), least, exact, strict=True
    ):
        if len(found) < minimum or wanted not in (None, len(found)):
            expected = "1 or more" if wanted is None else wanted
            raise _damaged(f"{_name(operator)} has {len(found)} {what}, expected {expected}")


def _check_present(operator: Operator) -> None:
    first = _FIRST_OPTIONAL.get(operator.name, len(operator.inputs))
    for what, indices in (("input", operator.inputs[:first]), ("output", operator.outputs)):
        if -1 in indices:
            raise _damaged(f"{_name(operator)} lacks {what} {indices.index(-1)}, which it needs")


def _check_types(operator: Operator, tensors: list[Tensor]) -> None:
    if operator.name in _FLOAT:
        for index in (*operator.inputs, *operator.outputs):
            if tensors[index].type != "float32":
                raise _damaged(f"{_name(operator)} has {tensors[index].type}, expected float32")
        return
    place = 0 if operator.name in _FLOAT_OF_FLOAT else _SAME_TYPE.get(operator.name)
    if place is None or len(operator.inputs) <= place:
        return
    source, target = tensors[operator.inputs[place]], tensors[operator.outputs[0]]
    if source.type == target.type or not {source.type, target.type}.isdisjoint(_UNPACKED):
        return
    kinds = [tensor.dtype.kind if tensor.dtype else None for tensor in (source, target)]
    if operator.name in _FLOAT_OF_FLOAT and kinds[0] == kinds[1]:
        return
    raise _damaged(
        f"{_name(operator)} has {target.type} for its output, expected {source.type}, as its input"
    )


def _check_new_shape(operator: Operator, tensors: list[Tensor]) -> None:
    """XNNPACK copies the sizes onto the stack, where there is room for those of the output."""
    if operator.name != "RESHAPE" or len(operator.inputs) < 2:
        return
    sizes, output = tensors[operator.inputs[1]], tensors[operator.outputs[0]]
    count = math.prod(sizes.shape)
    if sizes.is_constant and count > max(len(output.shape), _MOST_SIZES):
        raise _damaged(
            f"{_name(operator)} has {count} sizes for its output, expected {len(output.shape)}"
        )


def _check_calls(graphs: list[Graph]) -> None:
    """Graphs that run graphs, as WHILE does, never come back to themselves."""
    called = [sorted(_called(graph)) for graph in graphs]
    for number, numbers in enumerate(called):
        if any(not 0 <= other < len(graphs) for other in numbers):
            raise _damaged(f"Graph {number} runs graphs {numbers}, expected some of {len(graphs)}")
    left = set(range(len(graphs)))
    while leaves := {number for number in left if not left.intersection(called[number])}:
        left -= leaves
    if left:
        raise _damaged(f"Graphs {sorted(left)} run each other in a circle, expected none to")


def _called(graph: Graph) -> Iterator[int]:
    for operator in graph.operators:
        # Neither bytes nor dictionaries, which custom operators have, hold the number of a graph.
        for name, value in getattr(operator.options, "__dict__", {}).items():
            if name.lower().endswith("subgraphindex"):
                yield int(value)


def _name(operator: Operator) -> str:
    return f"Operator {operator.index}, {printable(operator.name)},"


def _damaged(what: str) -> InputError:
    return InputError(f"{what}. The file is damaged: export it again.")
