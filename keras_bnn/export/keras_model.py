"""A Keras model, traced with the kernel of each quantized layer already binarized.

While the model is traced, the `call` of each layer with a kernel of two values per channel is
replaced by one that multiplies with ±1 and applies its scales afterwards, and is restored after
that. Kernels and scales are computed outside the graph and held as variables: TensorFlow's and the
converter's passes take minutes and gigabytes over large constants, and leave kernels of 128 MiB
and more to be quantized again at every inference.
"""

from collections.abc import Callable

import numpy as np

from keras_bnn._keras import larq, tf
from keras_bnn.errors import InputError
from keras_bnn.export.baked import Baked, QuantizedLayer
from keras_bnn.export.lowering import frozen
from keras_bnn.export.obstacles import check_types, check_weights, obstacle
from keras_bnn.export.reading import read_function
from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.layers.products import convolve, multiply_dense
from keras_bnn.probe import (
    BinaryKernel,
    LayerUse,
    inner_functions_inlined,
    probe,
    quantized_kernels,
    replaced_calls,
)
from keras_bnn.signature import Signature, output_names, signature_of

# Of a sum of thousands of terms in float32, relative to the largest of its kind.
_ROUNDING = 1e-4


def bake_keras_model(model) -> Baked:
    """Traces a Keras model."""
    signature = signature_of(model)
    check_types(model)
    check_weights(model)
    layers, calls = [], {}
    for use in probe(model):
        if use.is_quantized:
            layer = _quantized_layer(use)
            layers.append(layer)
            if layer.kernel is not None and layer.obstacle is None:
                calls[use.layer] = _baked_call(use.layer, layer.kernel)
    names: tuple[str, ...] = ()

    def serve(*inputs):
        outputs = model(signature.pack(list(inputs)), training=False)
        nonlocal names
        names = output_names(model, outputs)
        flat = tf.nest.flatten(outputs)
        missing = [name for name, output in zip(names, flat, strict=True) if output is None]
        if missing:
            raise InputError(f"{model.name} returns None for {missing}: leave that out.")
        return {f"output_{i:04}": output for i, output in enumerate(flat)}

    specs = [tf.TensorSpec(spec.shape, spec.dtype) for spec in signature.specs]
    # The rules see a flat graph.
    with replaced_calls(calls), inner_functions_inlined():
        function = tf.function(serve, autograph=False).get_concrete_function(*specs)
    run = _runner(model, signature)
    return Baked(read_function(function), signature, names, layers, run, _checker(run, calls))


def _quantized_layer(use: LayerUse) -> QuantizedLayer:
    return QuantizedLayer(
        label=use.label,
        kind=type(use.layer).__name__,
        kernel=BinaryKernel.of(use.layer),
        kernel_shape=use.kernel_shape,
        input_values=use.input_values,
        quantizes_kernel=bool(quantized_kernels(use.layer)),
        obstacle=obstacle(use),
    )


def _runner(model, signature: Signature) -> Callable:
    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        parts = []
        batch = signature.specs[0].shape[0] or 64
        for start in range(0, len(arrays[0]), batch):
            part = [tf.constant(array[start : start + batch]) for array in arrays]
            outputs = model(signature.pack(part), training=False)
            parts.append([tensor.numpy() for tensor in tf.nest.flatten(outputs)])
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    return run


def _checker(run: Callable, calls: dict) -> Callable:
    """Compares each baked layer with the layer itself, on what reaches it in the model.

    Their sums can differ by rounding, and a sign after them then differs wherever a sum is 0, so
    the outputs of the whole model would say little.
    """

    def misbaked(arrays: list[np.ndarray]) -> list[str]:
        wrong: dict[str, None] = {}
        comparing = {layer: _comparing(layer, calls[layer], wrong) for layer in calls}
        with replaced_calls(comparing), inner_functions_inlined():
            run(arrays)
        return [f"{name} computes something else when it is baked." for name in wrong]

    return misbaked


def _comparing(layer, baked: Callable, wrong: dict[str, None]) -> Callable:
    original = layer.call

    def call(inputs, *args, **kwargs):
        activation, layer.activation = layer.activation, None
        try:
            one, other = original(inputs, *args, **kwargs), baked(inputs)
        finally:
            layer.activation = activation
        size = tf.reduce_max(tf.abs(one))
        if not tf.reduce_all(tf.abs(one - other) <= _ROUNDING * size):
            wrong[layer.name] = None
        # The last that a layer does, as `_baked_call` has it, too.
        return one if activation is None else activation(one)

    return call


def _baked_call(layer, kernel: BinaryKernel) -> Callable:
    """What stands in for the `call` of `layer`."""
    signs = frozen(kernel.signs)
    factors = [] if kernel.scale is None else [frozen(kernel.scale)]
    alpha = layer.weight_factor() if isinstance(layer, BinaryLayer) else None
    if alpha is not None:
        factors.append(frozen(alpha))

    def call(inputs, **_):
        quantizer = layer.input_quantizer
        outputs = _multiply(layer, quantizer(inputs) if quantizer else inputs, signs)
        for factor in factors:
            outputs *= factor
        input_factor = layer.input_factor(inputs) if isinstance(layer, BinaryLayer) else None
        if input_factor is not None:
            outputs *= input_factor
        if layer.use_bias:
            outputs = tf.nn.bias_add(outputs, layer.bias)
        return outputs if layer.activation is None else layer.activation(outputs)

    return call


def _multiply(layer, inputs, kernel):
    if isinstance(layer, BinaryLayer):
        return layer.multiply(inputs, kernel)
    if isinstance(layer, larq.layers.QuantDense):
        return multiply_dense(inputs, kernel)
    return convolve(layer, inputs, kernel)
