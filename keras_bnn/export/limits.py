"""What LCE's converter writes although not all of its kernels, or none, compute it rightly."""

from collections.abc import Iterator

from keras_bnn.bits import words_for
from keras_bnn.errors import InputError
from keras_bnn.export.rules.binary_products import is_binary_product
from keras_bnn.export.traced import TracedGraph
from keras_bnn.tflite.graph import Graph, Operator

_SAME, _ZEROS = 0, 0
_KERNELS = {"default", "indirect", "reference"}


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
        InputError: If none of them computes all of it rightly, or it holds operators that nothing
            runs.
    """
    notes: list[str] = []
    useless: set[str] = set()
    for operator in graph.operators:
        if operator.name == "LceBconv2d":
            for kernels, note in _limits_of(graph, operator):
                useless |= kernels
                notes.append(note)
        elif isinstance(operator.options, bytes):
            raise InputError(
                f"The converter has no form of TensorFlow's operation {operator.name}, so nothing "
                "could run the file: compute it outside the model."
            )
    if useless == _KERNELS:
        raise InputError(f"None of LCE's kernels computes this model rightly: {' '.join(notes)}")
    return notes


def _limits_of(graph: Graph, operator: Operator) -> Iterator[tuple[set[str], str]]:
    """The kernels that cannot run a binary convolution rightly, and a sentence about it."""
    name, options = graph.tensor(operator.outputs[0]).name, operator.options
    channels, words = options["channels_in"], graph.tensor(operator.inputs[1]).shape[3]
    if words != words_for(channels):
        yield (
            {"default"},
            (
                f"{name} has groups: LCE's default kernel refuses it, its indirect and reference "
                "kernels run it."
            ),
        )
    if options["padding"] != _SAME or options["pad_values"] != _ZEROS:
        return
    if graph.tensor(operator.outputs[0]).type == "int8":
        yield (
            _KERNELS,
            f"{name} pads with zeros and has int8 outputs, which none can: set pad_values=1.0.",
        )
    size, span = _map_and_kernel(graph, operator)
    if any(0 < a < b for a, b in zip(size, span, strict=True)):
        yield (
            {"default", "indirect"},
            (
                f"{name} pads a map of {_text(size)} with zeros, smaller than its kernel of "
                f"{_text(span)}: LCE's reference kernel is right there, its default and indirect "
                "kernels are wrong. pad_values=1.0 is right on all."
            ),
        )
    if channels % 2:
        yield (
            {"reference"},
            (
                f"{name} pads an odd number of channels ({channels}) with zeros: LCE's reference "
                "kernel refuses that, its default kernel runs it. pad_values=1.0 runs on all."
            ),
        )


def _map_and_kernel(graph: Graph, operator: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of the map (-1: open), and of the kernel with its dilation."""
    height, width = graph.tensor(operator.inputs[0]).shape_signature[1:3]
    kernel = graph.tensor(operator.inputs[1]).shape
    axes = ((1, "dilation_height_factor"), (2, "dilation_width_factor"))
    rows, columns = ((kernel[axis] - 1) * operator.options[key] + 1 for axis, key in axes)
    return (height, width), (rows, columns)


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
