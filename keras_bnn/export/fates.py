"""Stage 4: what became of each quantized layer, read from the written file."""

from dataclasses import asdict, dataclass
from typing import Any

from keras_bnn.export import reasons
from keras_bnn.export.bake import Baked
from keras_bnn.export.stored_kernels import StoredKernel
from keras_bnn.probe import BinaryKernel, LayerUse
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
        meant_binary: Whether ±1 reaches it and its kernel has two values per channel, so that
            nothing but its export keeps it from being 1-bit.
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


def name_after_layers(
    graph: Graph, uses: list[LayerUse], baked: Baked, stored: list[StoredKernel]
) -> None:
    """Gives what a quantized layer computes in the file the layer's name.

    The converter names it after a neighbour, and cuts the name off.
    """
    tensors: Any = graph.subgraph.tensors
    for use in uses:
        for holder in _holders(baked.kernels.get(use.label), stored):
            (output,) = holder.operator.outputs
            if output not in [port.tensor for port in graph.outputs]:
                tensors[output].name = use.label.encode()


def fates(
    graph: Graph, uses: list[LayerUse], baked: Baked, stored: list[StoredKernel]
) -> list[LayerFate]:
    """The fate of each quantized layer, in the order in which the model calls them."""
    return [_fate(graph, use, baked.kernels[use.label], stored) for use in uses if use.is_quantized]


def _fate(graph: Graph, use: LayerUse, kernel: BinaryKernel | None, stored) -> LayerFate:
    holders = _holders(kernel, stored)
    in_float = [holder for holder in holders if not holder.is_1bit]
    meant_binary = use.binary_input and kernel is not None
    fate, reason = FLOAT, None
    if holders and not in_float:
        fate = ONE_BIT
        if not meant_binary:
            # The converter takes some quantizers with three values for a sign.
            fate, reason = FLOAT, reasons.WRONGLY_1BIT
    elif meant_binary:
        reason = reasons.why_float(graph, use, in_float)
    elif kernel is not None:
        fate, reason = WEIGHTS_ONLY, reasons.REAL_INPUT
    else:
        reason = reasons.why_not_binary(use)
    size = sum({holder.operator.inputs[1]: holder.bytes for holder in holders}.values())
    return LayerFate(
        name=use.label,
        kind=type(use.layer).__name__,
        fate=fate,
        reason=reason,
        kernel_shape=use.kernel_shape,
        bytes=size,
        meant_binary=meant_binary,
    )


def _holders(kernel: BinaryKernel | None, stored: list[StoredKernel]) -> list[StoredKernel]:
    if kernel is None:
        return []
    return [holder for holder in stored if holder.holds(kernel.signs)]
