"""Why a layer is not 1-bit in the file, and what its author can change."""

from keras_bnn.export.baked import QuantizedLayer
from keras_bnn.export.stored_kernels import StoredKernel
from keras_bnn.tflite.graph import Graph

_REAL_INPUT = "its input is real; give it an input_quantizer if it is to be 1-bit"
WRONGLY_1BIT = (
    "the converter made it 1-bit although its input has other values than ±1, which computes "
    "something else; use a sign as its input_quantizer"
)


def why_not_meant(layer: QuantizedLayer) -> str:
    """The reason for a layer that its author did not make binary."""
    if not layer.quantizes_kernel:
        return "its kernel is real; give it a kernel_quantizer if it is to be 1-bit"
    if layer.kernel is None:
        return "its quantized kernel has more than two values per channel; 1-bit kernels have ±1"
    if layer.input_values is None:
        return _REAL_INPUT
    return of_few_values(layer)


def of_few_values(layer: QuantizedLayer) -> str:
    """The reason for a layer that reads few values, but not ±1."""
    *first, last = [f"{value:g}" for value in layer.input_values or ()]
    values = f"{', '.join(first)} and {last}" if first else last
    return (
        f"its input has the values {values}; 1-bit inputs have ±1, so use a sign as its "
        "input_quantizer, and scale after the layer"
    )


def why_float(graph: Graph, layer: QuantizedLayer, in_float: list[StoredKernel]) -> str:
    """The reason for a layer that its author made binary, with the remedy."""
    return layer.obstacle or _of_file(graph, in_float)


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
