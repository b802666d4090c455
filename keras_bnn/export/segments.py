"""Cuts a graph and its exported file at the signs, so that both can be compared piece by piece.

Rounding can flip the sign of a value near 0, and one flipped sign can move an output far. So the
graph is not run from its inputs to its outputs: every sign that reaches a product is an input, fed
with what the file computed there, and the value below each sign is an output.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_bnn import bits
from keras_bnn.export.rules.binary_products import behind_padding, is_binary_product
from keras_bnn.export.stored_kernels import StoredKernel
from keras_bnn.export.traced import SIGN, Node, TracedGraph
from keras_bnn.tflite.file import write
from keras_bnn.tflite.graph import Graph


@dataclass(frozen=True)
class Cut:
    """A sign of the graph, and where the file holds it.

    Attributes:
        sign: The node.
        candidates: Tensors of the file that can hold it, packed: several where layers share a
            kernel, none where the kernel is not in the file.
        channels: How many of the packed channels count.
    """

    sign: Node
    candidates: tuple[int, ...]
    channels: int


def find_cuts(graph: TracedGraph, file: Graph, stored: list[StoredKernel]) -> list[Cut]:
    """All signs of the model but those that are its outputs alone."""
    before: dict[str, set[int]] = {}
    for product in graph.of("Conv2D", "MatMul"):
        source = behind_padding(graph, product.inputs[0])
        if source.op == SIGN and is_binary_product(graph, product):
            signs = graph.value(product.inputs[1])
            tensors = (_packed_input(file, kernel) for kernel in stored if kernel.holds(signs))
            known = {tensor for tensor in tensors if tensor is not None}
            before.setdefault(source.name, set()).update(known)
    channels = _packed_channels(file)
    cuts = []
    for sign in graph.of(SIGN):
        if any(graph.consumers(sign.name)):
            count = sign.outputs[0].shape[-1]
            # What no binary product reads can be any of the packed tensors.
            candidates = before.get(sign.name, set(channels))
            fitting = [tensor for tensor in candidates if channels.get(tensor) == count]
            cuts.append(Cut(sign, tuple(sorted(fitting)), count))
    return cuts


def _packed_channels(file: Graph) -> dict[int, int]:
    """The packed tensors of the file, and how many channels each of them holds."""
    channels: dict[int, int] = {}
    for operator in file.operators:
        (output, *_), source = operator.outputs, operator.inputs[0]
        if file.tensor(output).type != "int32":
            continue
        if operator.name == "LceQuantize":
            channels[output] = file.tensor(source).shape[-1]
        elif operator.name == "LceBconv2d":
            channels[output] = file.tensor(operator.inputs[1]).shape[0]
        elif operator.name == "LceBMaxPool2d" and source in channels:
            channels[output] = channels[source]
    return channels


def _packed_input(file: Graph, kernel: StoredKernel) -> int | None:
    """The packed tensor that the operator of `kernel` reads, or whose unpacked form it reads."""
    tensor = kernel.operator.inputs[0]
    if kernel.is_1bit:
        return tensor
    producer = file.producer(tensor)
    while producer is not None and producer.name in ("PAD", "PADV2"):
        producer = file.producer(producer.inputs[0])
    if producer is not None and producer.name == "LceDequantize":
        return producer.inputs[0]
    return None


def with_tensors_as_outputs(file: Graph, tensors: list[int]) -> bytes:
    """The file with these tensors as further outputs, behind its own."""
    model = file.model
    subgraph: Any = file.subgraph
    outputs, signatures = subgraph.outputs, model.signatureDefs
    subgraph.outputs = [*outputs, *tensors]
    model.signatureDefs = []
    try:
        return write(model)
    finally:
        subgraph.outputs, model.signatureDefs = outputs, signatures


def unpack(cut: Cut, words: np.ndarray) -> np.ndarray | None:
    """The file's values of a cut, ±1 in the shape of the sign; `None` where they do not fit."""
    if bits.words_for(cut.channels) != words.shape[-1]:
        return None
    values = bits.unpack(words, cut.channels)
    shape = [len(words), *cut.sign.outputs[0].shape[1:]]
    return values.reshape(shape) if values.size == np.prod(shape) else None


def fitting(cut: Cut, packed: dict[int, np.ndarray]) -> list[np.ndarray]:
    """What the file holds in the candidates of a cut, where it fits."""
    options = (unpack(cut, packed[tensor]) for tensor in cut.candidates)
    return [values for values in options if values is not None]


def cut_open(graph: TracedGraph, cuts: list[Cut]) -> tuple[TracedGraph, list[str]]:
    """The graph with each cut as a further input, and the value below it as a further output.

    In place of a model's output that is a sign comes the value below it.
    """
    opened = graph.copy()
    producers = [graph.producer(reference) for reference in graph.outputs]
    names = []
    for cut in cuts:
        bits_of_file = opened.input(cut.sign.outputs[0], f"{cut.sign.name}/in_file")
        names.append(opened.inputs[-1])
        opened.replace(f"{cut.sign.name}:0", bits_of_file)
    # `replace` has changed what reads a sign, not what a sign reads.
    opened.outputs = [
        opened.nodes[node.name].inputs[0] if node.op == SIGN else reference
        for node, reference in zip(producers, opened.outputs, strict=True)
    ]
    opened.outputs += [opened.nodes[cut.sign.name].inputs[0] for cut in cuts]
    opened.prune()
    return opened, names
