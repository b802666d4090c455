"""Why a layer is not 1-bit in the file, and what its author can change."""

from keras_bnn._keras import larq
from keras_bnn.export.bake import can_be_baked
from keras_bnn.export.stored_kernels import StoredKernel
from keras_bnn.probe import LayerUse, quantized_kernels
from keras_bnn.tflite.graph import Graph

REAL_INPUT = "its input is real; give it an input_quantizer if it is to be 1-bit"
WRONGLY_1BIT = (
    "the converter made it 1-bit although its input has other values than ±1, which computes "
    "something else; use a sign as its input_quantizer"
)


def why_not_binary(use: LayerUse) -> str:
    """The reason for a layer whose author gave it a kernel of other than two values."""
    if not quantized_kernels(use.layer):
        return "its kernel is real; give it a kernel_quantizer if it is to be 1-bit"
    return "its quantized kernel has more than two values per channel; 1-bit kernels have ±1"


def why_float(graph: Graph, use: LayerUse, in_float: list[StoredKernel]) -> str:
    """The reason for a layer that its author made binary, with the remedy."""
    return _of_layer(use) or _of_file(graph, in_float)


def _of_layer(use: LayerUse) -> str | None:
    layer = use.layer
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return "it is channels_first; set data_format='channels_last'"
    if not isinstance(
        layer, (larq.layers.QuantDense, larq.layers.QuantConv1D, larq.layers.QuantConv2D)
    ):
        return (
            f"LCE has no 1-bit form of {type(layer).__name__}; use a convolution or dense layer, "
            "or list it in allow_float"
        )
    if not can_be_baked(layer):
        return (
            f"{type(layer).__name__} overrides what the layer it is made from computes; move that "
            "into a layer of its own"
        )
    if isinstance(layer, larq.layers.QuantDense):
        return None
    return _of_convolution(use)


def _of_convolution(use: LayerUse) -> str | None:
    layer = use.layer
    group = use.input_shapes[0][-1] // layer.groups
    if layer.groups > 1 and group % 32:
        return f"its groups have {group} channels each; use a multiple of 32"
    return None


def _of_file(graph: Graph, in_float: list[StoredKernel]) -> str:
    if not in_float:
        return "its kernel is not in the file; the outputs do not depend on it"
    names, reached_sign = _names_before(graph, in_float[0])
    if reached_sign and names:
        return f"{' and '.join(names)} stands between its sign and it; move that before the sign"
    if reached_sign:
        return "the converter does not take this form of it; open heights or widths can cause that"
    return (
        f"the converter sees {names[0] if names else 'an input'} before it, no sign; use "
        "input_quantizer='ste_sign'"
    )


def _names_before(graph: Graph, stored: StoredKernel) -> tuple[list[str], bool]:
    """Operators from the convolution back to its sign, and whether a sign was reached."""
    names: list[str] = []
    tensor = stored.operator.inputs[0]
    while (operator := graph.producer(tensor)) is not None:
        if operator.name == "LceDequantize":
            return names, True
        names.append(operator.name)
        tensor = operator.inputs[0]
    return names, False
