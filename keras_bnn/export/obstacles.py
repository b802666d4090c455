"""What keeps a Keras layer from being 1-bit, or its model from being exported."""

import numpy as np

from keras_bnn._keras import keras, larq, tf
from keras_bnn.errors import InputError
from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.probe import LayerUse, last_name, own_weights


def check_types(model) -> None:
    """Raises where a layer computes what LCE has no form of, before it is run.

    Raises:
        InputError: If a layer of `model` computes in another type than float32, or a quantized one
            is channels_first (which TensorFlow cannot run on every machine either).
    """
    for layer in model.submodules:
        if not isinstance(layer, keras.layers.Layer):
            continue
        dtype = tf.as_dtype(layer.compute_dtype or "float32")
        if layer.weights and dtype.is_floating and dtype != tf.float32:
            raise InputError(
                f"{layer.name} ({type(layer).__name__}) computes in {dtype.name}, expected "
                "float32: build the model with the dtype policy 'float32' and load the weights "
                "into it."
            )
        if isinstance(layer, larq.layers_base.BaseLayer) and not _is_channels_last(layer):
            raise InputError(
                f"{layer.name} ({type(layer).__name__}) is channels_first: LCE packs the last "
                "axis, so set data_format='channels_last'."
            )


def check_weights(model) -> None:
    """Raises where a weight is no number, as after a training that diverged.

    The file would compute NaN, or, where its sign is taken, +1 without a word.

    Raises:
        InputError: If a weight of `model` holds NaN.
    """
    for layer in (model, *model.submodules):
        if not isinstance(layer, keras.layers.Layer):
            continue
        for weight in own_weights(layer):
            if weight.dtype.is_floating and np.isnan(weight.numpy()).any():
                raise InputError(
                    f"{layer.name} ({type(layer).__name__}): its weight {last_name(weight)!r} "
                    "holds NaN, expected numbers: train it again, with a lower learning rate if "
                    "it diverged."
                )


def _is_channels_last(layer) -> bool:
    return getattr(layer, "data_format", "channels_last") == "channels_last"


def obstacle(use: LayerUse) -> str | None:
    """Why a quantized layer cannot be 1-bit, with the remedy; `None` if it can."""
    layer = use.layer
    kinds = (larq.layers.QuantDense, larq.layers.QuantConv1D, larq.layers.QuantConv2D)
    if not isinstance(layer, kinds):
        return (
            f"LCE has no 1-bit form of {type(layer).__name__}; use a convolution or dense layer, "
            "or list it in allow_float"
        )
    if not _computes_as_its_base(layer):
        return (
            f"{type(layer).__name__} overrides what the layer it is made from computes; move that "
            "into a layer of its own"
        )
    if isinstance(layer, larq.layers.QuantDense):
        return None
    group = use.input_shapes[0][-1] // layer.groups
    if layer.groups > 1 and group % 32:
        return f"its groups have {group} channels each; use a multiple of 32"
    return None


def _computes_as_its_base(layer) -> bool:
    cls = type(layer)
    if issubclass(cls, BinaryLayer):
        return cls.call is BinaryLayer.call
    if cls.call is not larq.layers_base.BaseLayer.call:
        return False
    return issubclass(cls, larq.layers.QuantDense) or (
        cls.convolution_op is keras.layers.Conv2D.convolution_op
    )
