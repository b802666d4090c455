"""The layers of a .tflite model: every operator that multiplies with weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from keras_bnn.tflite._expected import choice, expect, option, per_side, tensors
from keras_bnn.tflite.channels import constant_signs, spare_bytes
from keras_bnn.tflite.graph import Graph, Operator, Tensor

_WORD = 32
_ACTIVATIONS = ("none", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit")


@dataclass(frozen=True)
class Layer:
    """One operator that multiplies its input with weights.

    `macs` counts one multiply-accumulate per weight that an output value depends on, padding and
    all images of the batch included (an unknown dimension counts as stored, mostly 1):

        LceBconv2d, CONV_2D      output height × width × filters × kernel height × kernel width ×
                                 input channels of one group
        DEPTHWISE_CONV_2D        output values × kernel height × kernel width
        CONV_3D                  output values × kernel depth × height × width × input channels
        TRANSPOSE_CONV           input values × kernel height × kernel width × filters
        FULLY_CONNECTED          output values × input features
        BATCH_MATMUL             output values × columns of the left matrix

    Additions of biases, scales and activations count nothing.

    Attributes:
        name: Name of its output tensor. LCE names a packed output after the sign that follows it.
        operator: "LceBconv2d", "CONV_2D", ...
        index: The operator's position in the order of execution.
        kind: What it computes with: "1-bit", "float", or the element type of its input ("int8").
        input_shape: NHWC for convolutions, with the true number of channels if packed.
        output_shape: Likewise.
        filter_shape: (height, width, input channels of one group, filters); CONV_3D has a depth in
            front, FULLY_CONNECTED and BATCH_MATMUL have (inputs, outputs).
        groups: Number of groups that the channels are split into.
        stride: (height, width), or None where there is nothing to stride over.
        dilation: Likewise.
        padding: "valid", "same zero", "same one" (padded with +1), or None.
        activation: "none", "relu", "relu_n1_to_1", "relu6", ...
        output: "float", "int8", "packed" (1-bit), or another element type.
        macs: Multiply-accumulates of one inference.
        weights: How the weights are stored: "1-bit", their element type, or "computed" if they
            are no constant.
        weight_bytes: Size of the weights in the file, without bias, scales and thresholds.
        binary_weights: Whether the weights of each filter differ in their sign only. True for
            1-bit layers; elsewhere it tells of binary weights that are stored wider than needed.
            False where a filter has a single weight, which says nothing.
        spare_bytes: How much of `weight_bytes` fills words up to 32 channels: as many channels more
            as there are up to the next multiple of 32 would cost this layer nothing.
        always_plus: Channels of a packed output that are +1 whatever the input.
        always_minus: Those that are −1.
    """

    name: str
    operator: str
    index: int
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    filter_shape: tuple[int, ...]
    groups: int
    stride: tuple[int, ...] | None
    dilation: tuple[int, ...] | None
    padding: str | None
    activation: str
    output: str
    macs: int
    weights: str
    weight_bytes: int
    binary_weights: bool
    spare_bytes: int = 0
    always_plus: tuple[int, ...] = ()
    always_minus: tuple[int, ...] = ()


def layers(graph: Graph) -> list[Layer]:
    """Lists the layers of a graph in the order of execution.

    Raises:
        TFLiteFileError: If the shapes, types or options of an operator contradict each other.
    """
    return [
        _READERS[operator.name](graph, operator)
        for operator in graph.operators
        if operator.name in _READERS
    ]


def _binary_convolution(graph: Graph, operator: Operator) -> Layer:
    expect(operator, len(operator.inputs) == 5, f"has {len(operator.inputs)} inputs, not 5")
    source, weights, result = tensors(graph, operator, 0, 1, ranks=(4, 4, 4))
    channels, filters = option(operator, "channels_in"), weights.shape[0]
    words, group_words = source.shape[3], weights.shape[3]
    groups = 1 if words == group_words else channels // max(_WORD * group_words, 1)
    expect(
        operator,
        source.type == weights.type == "int32"
        and words == -(-channels // _WORD) > 0
        and (words == group_words or channels == groups * _WORD * group_words),
        f"reads {channels} channels as {source.type} {list(source.shape)} and filters as "
        f"{weights.type} {list(weights.shape)}, which does not fit",
    )
    output = {"int32": "packed", "float32": "float", "int8": "int8"}.get(result.type)
    depth = -(-filters // _WORD) if output == "packed" else filters
    expect(
        operator,
        output is not None and result.shape[3] == depth,
        f"writes {result.type} {list(result.shape)}, which does not fit its {filters} filters",
    )
    # Raises if the bytes in the file are not as many as the shape asks for.
    graph.constant(weights.index)
    kernel = (weights.shape[1], weights.shape[2], channels // groups, filters)
    shape = (*result.shape[:3], filters)
    _check_thresholds(graph, operator, filters)
    plus, minus = constant_signs(graph, operator, math.prod(kernel[:3]))
    sides = ("height", "width")
    same = "same one" if choice(operator, "pad_values", (0, 1)) else "same zero"
    return Layer(
        name=result.name,
        operator=operator.name,
        index=operator.index,
        kind="1-bit",
        input_shape=(*source.shape[:3], channels),
        output_shape=shape,
        filter_shape=kernel,
        groups=groups,
        stride=tuple(option(operator, f"stride_{side}") for side in sides),
        dilation=tuple(option(operator, f"dilation_{side}_factor") for side in sides),
        padding=choice(operator, "padding", (same, "valid")),
        activation=choice(operator, "fused_activation_function", _ACTIVATIONS),
        output=output or "",
        macs=math.prod(shape) * math.prod(kernel[:3]),
        weights="1-bit" if weights.is_constant else "computed",
        weight_bytes=weights.bytes,
        binary_weights=True,
        spare_bytes=spare_bytes(filters, math.prod(kernel[:2]), kernel[2]),
        always_plus=plus,
        always_minus=minus,
    )


def _check_thresholds(graph: Graph, operator: Operator, filters: int) -> None:
    if operator.inputs[4] >= 0:
        thresholds = graph.tensor(operator.inputs[4])
        expect(
            operator,
            thresholds.type == "int32" and thresholds.shape == (filters,),
            f"has {thresholds.type} thresholds of shape {list(thresholds.shape)}, expected "
            f"{filters} of int32",
        )


def _convolution(graph: Graph, operator: Operator) -> Layer:
    source, weights, result = tensors(graph, operator, 0, 1, ranks=(4, 4, 4))
    filters, height, width, depth = weights.shape
    channels = source.shape[3]
    groups = channels // max(depth, 1)
    fits = groups * depth == channels > 0
    expect(operator, fits, f"has {channels} input channels and filters for {depth}")
    macs = math.prod(result.shape) * height * width * depth
    kernel = (height, width, depth, filters)
    return _layer(graph, operator, source, weights, result, kernel, macs, groups=groups)


def _depthwise(graph: Graph, operator: Operator) -> Layer:
    source, weights, result = tensors(graph, operator, 0, 1, ranks=(4, 4, 4))
    _, height, width, filters = weights.shape
    macs = math.prod(result.shape) * height * width
    kernel, groups = (height, width, 1, filters), source.shape[3]
    return _layer(graph, operator, source, weights, result, kernel, macs, groups=groups, axis=-1)


def _convolution_3d(graph: Graph, operator: Operator) -> Layer:
    source, weights, result = tensors(graph, operator, 0, 1, ranks=(5, 5, 5))
    macs = math.prod(result.shape) * math.prod(weights.shape[:4])
    return _layer(graph, operator, source, weights, result, weights.shape, macs, axis=-1)


def _transposed(graph: Graph, operator: Operator) -> Layer:
    source, weights, result = tensors(graph, operator, 2, 1, ranks=(4, 4, 4))
    filters, height, width, depth = weights.shape
    macs = math.prod(source.shape) * height * width * filters
    kernel = (height, width, depth, filters)
    return _layer(graph, operator, source, weights, result, kernel, macs)


def _fully_connected(graph: Graph, operator: Operator) -> Layer:
    source, weights, result = tensors(graph, operator, 0, 1, ranks=(None, 2, None))
    outputs, inputs = weights.shape
    macs = math.prod(result.shape) * inputs
    return _layer(graph, operator, source, weights, result, (inputs, outputs), macs)


def _matrix_product(graph: Graph, operator: Operator) -> Layer:
    source, weights, result = tensors(graph, operator, 0, 1, ranks=(None, None, None))
    expect(operator, len(weights.shape) > 1, "multiplies with something that is no matrix")
    transposed = bool(getattr(operator.options, "adjY", False))
    kernel = weights.shape[:-3:-1] if transposed else weights.shape[-2:]
    macs, axis = math.prod(result.shape) * kernel[0], -2 if transposed else -1
    return _layer(graph, operator, source, weights, result, kernel, macs, axis=axis)


_READERS = {
    "LceBconv2d": _binary_convolution,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "CONV_3D": _convolution_3d,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _matrix_product,
}
OPERATORS = frozenset(_READERS)


def _layer(
    graph: Graph,
    operator: Operator,
    source: Tensor,
    weights: Tensor,
    result: Tensor,
    kernel: tuple[int, ...],
    macs: int,
    *,
    groups: int = 1,
    axis: int = 0,
) -> Layer:
    stored = _stored(graph, weights)
    options = operator.options
    padded = operator.name not in ("FULLY_CONNECTED", "BATCH_MATMUL")
    activation = "none"
    if hasattr(options, "fusedActivationFunction"):
        activation = choice(operator, "fusedActivationFunction", _ACTIVATIONS)
    return Layer(
        name=result.name,
        operator=operator.name,
        index=operator.index,
        kind="float" if source.type.startswith(("float", "bfloat")) else source.type,
        input_shape=source.shape,
        output_shape=result.shape,
        filter_shape=kernel,
        groups=groups,
        stride=per_side(operator, "stride{}"),
        dilation=per_side(operator, "dilation{}Factor"),
        padding=choice(operator, "padding", ("same zero", "valid")) if padded else None,
        activation=activation,
        output="float" if result.type == "float32" else result.type,
        macs=macs,
        weights=stored.type if stored.is_constant else "computed",
        weight_bytes=stored.bytes,
        binary_weights=_differ_in_sign_only(graph.constant(stored.index), axis),
    )


def _stored(graph: Graph, weights: Tensor) -> Tensor:
    """Returns the constant behind weights that are stored narrower than they are used."""
    producer = graph.producer(weights.index)
    if producer is None or producer.name != "DEQUANTIZE":
        return weights
    source = next(iter(producer.inputs), -1)
    return graph.tensor(source) if source >= 0 else weights


def _differ_in_sign_only(weights: np.ndarray | None, axis: int) -> bool:
    # An unsigned weight's sign is relative to its zero point.
    if weights is None or weights.dtype.kind not in "fi":
        return False
    with np.errstate(invalid="ignore"):
        sizes = np.abs(np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1))
        return sizes.shape[1] > 1 and bool(np.all(sizes == sizes[:, :1]) and np.any(sizes))
