"""Stage 1: trace the model with the kernel of each quantized layer already binarized.

While the model is traced, the `call` of each layer with a kernel of two values per channel is
replaced by one that multiplies with ±1 and applies its scales afterwards, and is restored after
that. Kernels and scales are computed outside the graph and held as variables: TensorFlow's and the
converter's passes take minutes and gigabytes over large constants, and leave kernels of 128 MiB
and more to be quantized again at every inference.
"""

from collections.abc import Callable
from dataclasses import dataclass

from keras_bnn._keras import keras, larq, tf
from keras_bnn.export.traced import TracedGraph, frozen
from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.layers.products import convolve, multiply_dense
from keras_bnn.probe import BinaryKernel, LayerUse, inner_functions_inlined, replaced_calls
from keras_bnn.signature import Signature, output_names


@dataclass(frozen=True)
class Baked:
    """A traced model.

    Attributes:
        graph: Its graph.
        input_names, output_names: The model's own names.
        kernels: The kernel of each quantized layer, by label; `None` where a channel has more than
            two values.
    """

    graph: TracedGraph
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    kernels: dict[str, BinaryKernel | None]


def bake(model, signature: Signature, uses: list[LayerUse]) -> Baked:
    """Traces `model`, whose layers were used as `uses` says."""
    quantized = [use for use in uses if use.is_quantized]
    kernels = {use.label: BinaryKernel.of(use.layer) for use in quantized}
    calls: dict = {}
    for use in quantized:
        kernel = kernels[use.label]
        if kernel is not None and can_be_baked(use.layer):
            calls[use.layer] = _baked_call(use.layer, kernel)
    names: tuple[str, ...] = ()

    def serve(*inputs):
        outputs = model(signature.pack(list(inputs)), training=False)
        nonlocal names
        names = output_names(model, outputs)
        return {f"output_{i:04}": out for i, out in enumerate(tf.nest.flatten(outputs))}

    specs = [tf.TensorSpec(spec.shape, spec.dtype) for spec in signature.specs]
    # The rules see a flat graph.
    with replaced_calls(calls), inner_functions_inlined():
        function = tf.function(serve, autograph=False).get_concrete_function(*specs)
    return Baked(TracedGraph(function), signature.input_names, names, kernels)


def can_be_baked(layer) -> bool:
    """Whether `layer` computes what `_baked_call` does: a subclass may do something else."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return False
    cls = type(layer)
    if issubclass(cls, BinaryLayer):
        return cls.call is BinaryLayer.call
    if issubclass(cls, larq.layers.QuantDense):
        return cls.call is larq.layers_base.BaseLayer.call
    return (
        issubclass(cls, (larq.layers.QuantConv1D, larq.layers.QuantConv2D))
        and cls.call is larq.layers_base.BaseLayer.call
        and cls.convolution_op is keras.layers.Conv2D.convolution_op
    )


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
