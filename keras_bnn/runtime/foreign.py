"""What a file needs before LiteRT may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_bnn.runtime import soundness
from keras_bnn.tflite.batches import open_batch
from keras_bnn.tflite.graph import Graph, Operator

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT


def prepare(model: ModelT, graph: Graph) -> None:
    """Changes a model so that it runs at any batch, where it is meant to.

    Where the file leaves the batch open, the batch of 1 that converters write into RESHAPE is
    opened, too. LCE's converter turns every open batch into 1 and says nothing of it, so a batch
    of 1 in a file with 1-bit operators counts as open.

    Args:
        model: From `keras_bnn.tflite.file.read`.
        graph: Its first graph, as it is before that.

    Raises:
        InputError: If LiteRT would crash on the file.
    """
    soundness.check(graph)
    batches = [graph.tensor(port.tensor).shape_signature[:1] for port in graph.inputs]
    if has_1bit_operators(graph) and all(batch in [(1,), (-1,)] for batch in batches):
        for port in graph.inputs:
            graph.open_batch(port.tensor)
        batches = [(-1,)]
    if batches and all(batch == (-1,) for batch in batches):
        open_batch(model)


def has_1bit_operators(graph: Graph) -> bool:
    """Whether a file needs more than LiteRT's own operators."""
    return any(is_1bit(operator) for operator in graph.operators)


def is_1bit(operator: Operator) -> bool:
    """Whether LiteRT lacks it, and our library has it."""
    return operator.name.startswith("Lce")
