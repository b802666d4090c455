"""What a file needs before LiteRT may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_bnn.errors import InputError
from keras_bnn.tflite.batches import open_batch
from keras_bnn.tflite.graph import Graph

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT

# From which input on an operator may lack one. LiteRT checks nothing and crashes on others.
_FIRST_OPTIONAL = {
    "BIDIRECTIONAL_SEQUENCE_LSTM": 1,
    "BIDIRECTIONAL_SEQUENCE_RNN": 1,
    "CONV_2D": 2,
    "CONV_3D": 2,
    "CONV_3D_TRANSPOSE": 3,
    "DEPTHWISE_CONV_2D": 2,
    "FULLY_CONNECTED": 2,
    "LSTM": 1,
    "SVDF": 4,
    "TRANSPOSE_CONV": 3,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 1,
}


def prepare(model: ModelT) -> None:
    """Changes a model so that it runs at any batch, where it is meant to.

    Where the file leaves the batch open, the batch of 1 that converters write into RESHAPE is
    opened, too. LCE's converter turns every open batch into 1 and says nothing of it, so a batch
    of 1 in a file with 1-bit operators counts as open.

    Raises:
        InputError: If LiteRT would crash on the file.
    """
    graph = Graph(model)
    _check_inputs(graph)
    batches = [graph.tensor(port.tensor).shape_signature[:1] for port in graph.inputs]
    if has_1bit_operators(graph) and all(batch in [(1,), (-1,)] for batch in batches):
        for port in graph.inputs:
            graph.open_batch(port.tensor)
        batches = [(-1,)]
    if batches and all(batch == (-1,) for batch in batches):
        open_batch(model)


def has_1bit_operators(graph: Graph) -> bool:
    """Whether a file needs more than LiteRT's own operators."""
    return any(operator.name.startswith("Lce") for operator in graph.operators)


def _check_inputs(graph: Graph) -> None:
    for operator in graph.operators:
        is_builtin = operator.name.isupper()
        first = _FIRST_OPTIONAL.get(operator.name, len(operator.inputs))
        if is_builtin and -1 in operator.inputs[:first]:
            raise InputError(
                f"Operator {operator.index}, {operator.name}, lacks input "
                f"{operator.inputs.index(-1)}, which it needs. The file is damaged: export it "
                "again."
            )
