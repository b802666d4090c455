"""Stage 1: trace the model with each quantized layer's kernel already binarized.

While the model is traced, the `call` of each layer that can become a 1-bit convolution is replaced
by one that multiplies with ±1 and applies its scales afterwards, and is restored after that.
Kernels and scales are computed outside the graph and held as variables: TensorFlow's and the
converter's passes take minutes and gigabytes over large constants, and leave kernels of 128 MiB
and more to be quantized again at every inference.
"""

from collections.abc import Callable
from dataclasses import dataclass

import larq
import numpy as np
from larq.layers_base import BaseLayer

from keras_bnn._keras import keras, tf
from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.probe import BinaryKernel, LayerUse, replaced_calls
from keras_bnn.signature import Signature, output_names

@dataclass(frozen=True)
class Baked:
    """A traced model.

    Attributes:
        function: Concrete function from flat inputs to flat outputs, both in the model's order,
            named `input_0000`, ... and `output_0000`, ...
        constants: The variables that hold the baked kernels and scales.
        output_names: The model's own names of its outputs.
        kernels: The kernel of each baked layer, by label; `None` where it has more than two
            values per channel.
    """

    function: object
    constants: list
    output_names: tuple[str, ...]
    kernels: dict[str, BinaryKernel | None]


def bake(model, signature: Signature, uses: list[LayerUse]) -> Baked:
    """Traces `model`, whose layers were used as `uses` says."""
    constants: list = []
    kernels = {}
    calls = {}
    for use in uses:
        if not use.is_quantized:
            continue
        kernels[use.label], call = _baked_call(use.layer, constants)
        if call is not None:
            calls[use.layer] = call
    names: list[str] = []

    def serve(*inputs):
        outputs = model(signature.pack(list(inputs)), training=False)
        names.extend(output_names(model, outputs))
        flat = tf.nest.flatten(outputs)
        # Their alphabetical order is the model's order, which the converter would lose.
        return {f"output_{i:04}": tf.identity(tensor) for i, tensor in enumerate(flat)}

    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=f"input_{i:04}")
        for i, spec in enumerate(signature.specs)
    ]
    with replaced_calls(calls):
        function = tf.function(serve, autograph=False).get_concrete_function(*specs)
    return Baked(function, constants, tuple(names), kernels)


def _baked_call(layer, constants: list) -> tuple[BinaryKernel | None, Callable | None]:
    """The layer's kernel, and what stands in for its `call` (`None`: it stays as it is)."""
    kernel = BinaryKernel.of(layer)
    if kernel is None or not can_become_convolution(layer):
        return kernel, None
    return kernel, _ConvolutionCall(layer, kernel, constants)


def can_become_convolution(layer) -> bool:
    """Whether `layer` computes what `_ConvolutionCall` does: a subclass may do something else."""
    cls = type(layer)
    if issubclass(cls, BinaryLayer):
        return cls.call is BinaryLayer.call and _channels_last(layer)
    if issubclass(cls, larq.layers.QuantDense):
        return cls.call is BaseLayer.call
    return (
        issubclass(cls, (larq.layers.QuantConv1D, larq.layers.QuantConv2D))
        and cls.call is BaseLayer.call
        and cls.convolution_op is keras.layers.Conv2D.convolution_op
        and _channels_last(layer)
    )


def _channels_last(layer) -> bool:
    return getattr(layer, "data_format", "channels_last") == "channels_last"


class _ConvolutionCall:
    """Computes a quantized layer as a 2-D convolution with a kernel of ±1."""

    def __init__(self, layer, kernel: BinaryKernel, constants: list):
        self.layer = layer
        self.is_dense = isinstance(layer, larq.layers.QuantDense)
        self.rank = 0 if self.is_dense else layer.rank
        signs = kernel.signs
        while signs.ndim < 4:
            signs = signs[np.newaxis]
        self.signs = tf.Variable(signs, trainable=False)
        constants.append(self.signs)
        scale = _product(kernel.scale, _weight_factor(layer))
        self.scale = None if scale is None else tf.Variable(scale, trainable=False)
        if self.scale is not None:
            constants.append(self.scale)

    def __call__(self, inputs, **_):
        layer = self.layer
        outputs = self.convolve(self.quantize(self.as_images(inputs)), inputs)
        if self.scale is not None:
            outputs *= self.scale
        outputs = self.as_layer_output(outputs, inputs)
        factor = layer.input_factor(inputs) if isinstance(layer, BinaryLayer) else None
        if factor is not None:
            outputs *= factor
        if layer.use_bias:
            outputs = tf.nn.bias_add(outputs, layer.bias)
        return outputs if layer.activation is None else layer.activation(outputs)

    def as_images(self, inputs):
        """Gives `inputs` four axes, before the sign: the converter wants that at the convolution."""
        if inputs.shape.rank == 4:
            return inputs
        if self.rank == 1:
            return tf.expand_dims(inputs, 1)
        # Where a middle axis is open, all of them become part of the batch.
        width = inputs.shape[1:-1].num_elements() or 1
        return tf.reshape(inputs, [-1, 1, width, inputs.shape[-1]])

    def as_layer_output(self, outputs, inputs):
        if inputs.shape.rank == 4:
            return outputs
        if self.rank == 1:
            return tf.squeeze(outputs, 1)
        units = outputs.shape[-1]
        if inputs.shape[1:-1].num_elements() is None:
            return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [units]], 0))
        return tf.reshape(outputs, [-1, *inputs.shape[1:-1], units])

    def quantize(self, images):
        quantizer = self.layer.input_quantizer
        return quantizer(images) if quantizer else images

    def convolve(self, images, inputs):
        layer = self.layer
        if self.is_dense:
            return tf.nn.conv2d(images, self.signs, 1, "VALID")
        strides, dilations = list(layer.strides), list(layer.dilation_rate)
        if self.rank == 1:
            strides, dilations = [1, *strides], [1, *dilations]
        images, padding = self.pad(images, inputs)
        return tf.nn.conv2d(images, self.signs, strides, padding, dilations=dilations)

    def pad(self, images, inputs):
        """The padded images and what is left for the convolution to pad."""
        layer = self.layer
        if layer.padding == "valid":
            return images, "VALID"
        if layer.padding == "same" and layer.pad_values == 0:
            return images, "SAME"
        if layer.padding == "causal":
            amounts = layer._compute_causal_padding(inputs)
        else:
            amounts = layer._get_padding_same(inputs)
        if self.rank == 1:
            amounts = [amounts[0], [0, 0], *amounts[1:]]
        return tf.pad(images, amounts, constant_values=layer.pad_values), "VALID"


def _weight_factor(layer) -> np.ndarray | None:
    factor = layer.weight_factor() if isinstance(layer, BinaryLayer) else None
    return None if factor is None else factor.numpy()


def _product(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    if a is None or b is None:
        return b if a is None else a
    return a * b
