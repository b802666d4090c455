"""A SavedModel of any Keras, or of plain TensorFlow: its layers are read from its graph."""

import os
from pathlib import Path

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.errors import InputError
from keras_bnn.export import lowering
from keras_bnn.export.baked import Baked, QuantizedLayer
from keras_bnn.export.reading import read_function
from keras_bnn.export.rules import kernels
from keras_bnn.export.rules.binary_products import is_binary_product
from keras_bnn.export.traced import Node, TracedGraph
from keras_bnn.probe import BinaryKernel, few_values
from keras_bnn.signature import Signature

_SIGNATURE = "serving_default"


def bake_saved_model(path: str | os.PathLike) -> Baked:
    """Traces the signature `serving_default` of a SavedModel.

    Its binary layers are the products with a kernel of two values per channel, and are named
    after their place in the graph. Inputs and outputs are in the alphabetical order of their
    names, since a signature has no other.

    Raises:
        InputError: If there is no SavedModel at `path`, or it has no such signature.
    """
    loaded = _load(Path(path))
    function = loaded.signatures[_SIGNATURE]
    specs = dict(sorted(function.structured_input_signature[1].items()))
    names = tuple(sorted(function.structured_outputs))

    def call(inputs) -> list:
        # Of the signature as `loaded` has it: its variables live as long as that.
        outputs = loaded.signatures[_SIGNATURE](**dict(zip(specs, inputs, strict=True)))
        return [outputs[name] for name in names]

    def serve(*inputs):
        return {f"output_{i:04}": output for i, output in enumerate(call(inputs))}

    traced = tf.function(serve, autograph=False).get_concrete_function(*specs.values())
    graph = read_function(traced)
    _check_numbers(graph)
    read = graph.copy()
    kernels.apply(graph)
    signature = Signature(list(specs.values()), tuple(specs))

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        return [output.numpy() for output in call(map(tf.constant, arrays))]

    def misread(arrays: list[np.ndarray]) -> list[str]:
        results = lowering.run(read, arrays)
        return [
            f"{name} is something else as it was read."
            for name, expected, result in zip(names, run(arrays), results, strict=True)
            if np.abs(expected - result).max() > 1e-4 * np.abs(expected).max()
        ]

    return Baked(graph, signature, names, _layers(graph, signature), run, misread)


def _load(path: Path):
    if not (path / "saved_model.pb").exists():
        raise InputError(
            f"{path} is no SavedModel: expected a Keras 2 model, or the folder of a SavedModel. "
            "(keras_bnn.load_model reads .keras and .h5 files.)"
        )
    try:
        loaded = tf.saved_model.load(str(path))
    # What its parsers raise for a damaged file is of many kinds.
    except Exception as error:
        raise InputError(
            f"{path}: TensorFlow cannot load this SavedModel: {str(error).splitlines()[0]}"
        ) from error
    if _SIGNATURE not in loaded.signatures:
        raise InputError(
            f"{path} has the signatures {sorted(loaded.signatures)}, expected {_SIGNATURE!r}, as "
            "model.export writes it."
        )
    return loaded


def _check_numbers(graph: TracedGraph) -> None:
    for node in graph.of("Leaf"):
        if node.value is not None and node.value.dtype.kind == "f" and np.isnan(node.value).any():
            raise InputError(
                f"{node.name} holds NaN, so training diverged: go back to weights from before that."
            )


def _layers(graph: TracedGraph, signature: Signature) -> list[QuantizedLayer]:
    products = [node for node in graph.ordered() if is_binary_product(graph, node)]
    values = _values_before(graph, products, signature)
    labels = [_label(node) for node in products]
    return [
        QuantizedLayer(
            label=label if labels.count(label) == 1 else f"{label} #{labels[: i + 1].count(label)}",
            kind=node.op,
            kernel=BinaryKernel(graph.value(node.inputs[1]), None),
            kernel_shape=tuple(graph.value(node.inputs[1]).shape),
            input_values=few_values(array),
        )
        for i, (node, label, array) in enumerate(zip(products, labels, values, strict=True))
    ]


def _values_before(graph: TracedGraph, products: list[Node], signature: Signature) -> list:
    """What reaches the multiplication of each product, for random inputs."""
    part = graph.copy()
    part.outputs = [product.inputs[0] for product in products]
    part.prune()
    return lowering.run(part, signature.random_inputs(2, seed=0))


def _label(node: Node) -> str:
    """The layer's name in "functional_1/conv2d_2/convolution"."""
    parts = node.name.split("/")
    return parts[-2] if len(parts) > 1 else parts[0]
