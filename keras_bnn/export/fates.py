"""Stage 4: what became of each quantized layer, read from the written file."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_bnn.export import reasons
from keras_bnn.export.baked import Baked, QuantizedLayer
from keras_bnn.export.rules.binary_products import PRODUCTS, is_binary_product, reads_sign
from keras_bnn.export.stored_kernels import StoredKernel
from keras_bnn.export.traced import TracedGraph
from keras_bnn.probe import BinaryKernel
from keras_bnn.tflite.graph import Graph

ONE_BIT = "1-bit"
WEIGHTS_ONLY = "weights only"
FLOAT = "float"


@dataclass(frozen=True)
class LayerFate:
    """What became of one quantized layer.

    Attributes:
        name: The layer's name, numbered where several layers of the model share it.
        kind: Its class.
        fate: `"1-bit"`: both sides are packed bits. `"weights only"`: its kernel is binary but its
            input is real, as in most first layers; the file holds it as float32. `"float"`.
        reason: Why it is not 1-bit; `None` where it is.
        kernel_shape: The shape of its kernel in Keras.
        bytes: Bytes of its kernel in the file.
        meant_binary: Whether its author made it binary: its kernel has two values per channel, and
            ±1 reaches it (or -1, 0 and 1, which is refused as well).
    """

    name: str
    kind: str
    fate: str
    reason: str | None
    kernel_shape: tuple[int, ...]
    bytes: int
    meant_binary: bool

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return asdict(self)


def name_after_layers(graph: Graph, baked: Baked, stored: list[StoredKernel]) -> None:
    """Gives what a quantized layer computes in the file the layer's name.

    The converter names it after a neighbour, and cuts the name off.
    """
    tensors: Any = graph.subgraph.tensors
    for layer in baked.layers:
        for holder in _holders(layer.kernel, stored):
            (output,) = holder.operator.outputs
            if output not in [port.tensor for port in graph.outputs]:
                tensors[output].name = layer.label.encode()


def fates(graph: Graph, baked: Baked, stored: list[StoredKernel]) -> list[LayerFate]:
    """The fate of each quantized layer, in the order in which the model calls them."""
    return [_fate(graph, layer, baked, stored) for layer in baked.layers]


def _fate(graph: Graph, layer: QuantizedLayer, baked: Baked, stored) -> LayerFate:
    holders = _holders(layer.kernel, stored)
    in_float = [holder for holder in holders if not holder.is_1bit]
    # What reaches the layer can hold zeros around a sign, which the rules took out.
    meant_binary = layer.kernel is not None and (
        layer.binary_input or _multiplies_signs(baked.graph, layer.kernel)
    )
    fate, reason = FLOAT, None
    if holders and not in_float:
        fate = ONE_BIT
        if not meant_binary:
            # The converter takes some quantizers with three values for a sign.
            fate, reason = FLOAT, reasons.WRONGLY_1BIT
    elif _is_ternary(layer):
        reason = reasons.of_few_values(layer)
    elif meant_binary:
        reason = reasons.why_float(graph, layer, in_float)
    else:
        reason = reasons.why_not_meant(layer)
        if layer.kernel is not None:
            fate = WEIGHTS_ONLY
    size = sum({holder.operator.inputs[1]: holder.bytes for holder in holders}.values())
    return LayerFate(
        name=layer.label,
        kind=layer.kind,
        fate=fate,
        reason=reason,
        kernel_shape=layer.kernel_shape,
        bytes=size,
        meant_binary=meant_binary or _is_ternary(layer),
    )


def _is_ternary(layer: QuantizedLayer) -> bool:
    """Whether -1, 0 and 1 reach it, and its kernel has two values: meant 1-bit, but cannot be."""
    values = layer.input_values
    return layer.kernel is not None and values is not None and set(values) == {-1.0, 0.0, 1.0}


def _multiplies_signs(graph: TracedGraph, kernel: BinaryKernel) -> bool:
    products = [
        node
        for node in graph.of(*PRODUCTS)
        if is_binary_product(graph, node) and _is_same(graph.value(node.inputs[1]), kernel.signs)
    ]
    return bool(products) and all(reads_sign(graph, node) for node in products)


def _is_same(signs: np.ndarray, others: np.ndarray) -> bool:
    """Whether these are the same weights; a rule may have given them other axes."""
    rows, other_rows = (array.reshape(-1, array.shape[-1]) for array in (signs, others))
    return rows.shape == other_rows.shape and bool((rows == other_rows).all())


def _holders(kernel: BinaryKernel | None, stored: list[StoredKernel]) -> list[StoredKernel]:
    if kernel is None:
        return []
    return [holder for holder in stored if holder.holds(kernel.signs)]
