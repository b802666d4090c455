"""What LCE's converter writes although not all of its kernels, or none, compute it rightly."""

from keras_bnn.errors import InputError
from keras_bnn.export.rules.binary_products import is_binary_product
from keras_bnn.export.traced import TracedGraph
from keras_bnn.tflite.graph import Graph, Operator

_SAME, _ZEROS = 0, 0


def check_graph(graph: TracedGraph) -> None:
    """Raises where the converter would write an operator that nothing can run.

    Raises:
        InputError: If a binary convolution pads a map of open height or width with ones.
    """
    for node in graph.of("Conv2D"):
        pad = graph.producer(node.inputs[0])
        if (
            pad.op == "PadV2"
            and is_binary_product(graph, node)
            and not pad.outputs[0].shape[1:3].is_fully_defined()
        ):
            raise InputError(
                f"{node.name} pads a map of open height and width with ones, which LCE cannot "
                "convert: give the model's input a fixed height and width, or the layer "
                "padding='valid' or pad_values=0.0."
            )


def notes_on(graph: Graph) -> list[str]:
    """What some of LCE's kernels refuse or compute wrongly in this file.

    Raises:
        InputError: If none of them computes an operator of it rightly.
    """
    notes = []
    for operator in graph.operators:
        if operator.name == "LceBconv2d":
            notes += _notes_on(graph, operator)
        elif isinstance(operator.options, bytes):
            raise InputError(
                f"The converter has no form of TensorFlow's operation {operator.name}, so nothing "
                "could run the file: compute it outside the model."
            )
    return notes


def _notes_on(graph: Graph, operator: Operator) -> list[str]:
    name, options = graph.tensor(operator.outputs[0]).name, operator.options
    channels, words = options["channels_in"], graph.tensor(operator.inputs[1]).shape[3]
    notes = []
    if words != -(-channels // 32):
        notes.append(
            f"{name} has groups: LCE's default kernel refuses it, its indirect and reference "
            "kernels run it."
        )
    if options["padding"] != _SAME or options["pad_values"] != _ZEROS:
        return notes
    if graph.tensor(operator.outputs[0]).type == "int8":
        raise InputError(
            f"{name} pads with zeros and has int8 outputs, which LCE cannot run: set "
            "pad_values=1.0."
        )
    size, span = _map_and_kernel(graph, operator)
    smaller = any(0 < a < b for a, b in zip(size, span, strict=True))
    if smaller and channels % 2:
        raise InputError(
            f"{name} pads a map of {_text(size)} with zeros for a kernel of {_text(span)} over "
            f"{channels} channels, an odd number, which none of LCE's kernels computes rightly: "
            "set pad_values=1.0."
        )
    if smaller:
        notes.append(
            f"{name} pads a map of {_text(size)}, smaller than its kernel of {_text(span)}, with "
            "zeros: LCE's default and indirect kernels compute that wrongly, its reference kernel "
            "rightly. pad_values=1.0 is right on all."
        )
    elif channels % 2:
        notes.append(
            f"{name} pads an odd number of channels ({channels}) with zeros: LCE's reference "
            "kernel refuses that, its default kernel runs it. pad_values=1.0 runs on all."
        )
    return notes


def _map_and_kernel(graph: Graph, operator: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of the map (-1: open), and of the kernel with its dilation."""
    height, width = graph.tensor(operator.inputs[0]).shape_signature[1:3]
    kernel = graph.tensor(operator.inputs[1]).shape
    axes = ((1, "dilation_height_factor"), (2, "dilation_width_factor"))
    rows, columns = ((kernel[axis] - 1) * operator.options[key] + 1 for axis, key in axes)
    return (height, width), (rows, columns)


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
