"""BNext-Tiny."""

from typing import Any

from keras_bnn import constraints, quantizers
from keras_bnn._keras import keras
from keras_bnn.layers import RSign, SqueezeExcitation
from keras_bnn.models.assembly import (
    binary_conv,
    mean_classifier,
    network,
    network_input,
    norm,
    real_conv,
)
from keras_bnn.models.react_net import WIDTHS

_CLIP = 1.5


def BNextTiny(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """ReActNet's backbone with gates that mix a convolution's real input and its output.

    Every second 3×3 convolution is multiplied with the activated shortcut before it is added to it.

    ImageNet, 224×224×3: 72.4 % top-1 (its authors' weights, trained with strong teachers and
    augmentation).
    Compared with the code that the authors published it leaves out the PReLUs that nothing reads,
    and pads a map that is halved on its far side only, as Keras does it.

    Args: those of every network, see `keras_bnn.models`; images of 4×4 or more.

    >>> BNextTiny((32, 32, 3), 10).output_shape
    (None, 10)

    References:
        Guo et al., Join the High Accuracy Club on ImageNet with a Binary Neural Network Ticket,
        2022. https://arxiv.org/abs/2211.12933, https://github.com/hpi-xnor/BNext
    """
    image = network_input(input_shape, num_classes, 4)
    x = norm(real_conv(image, 32, 3, "stem", strides=2), "stem_norm")
    for number, filters in enumerate(WIDTHS, 1):
        strides = 2 if number > 1 and x.shape[-1] != filters else 1
        part = _attention if number % 2 == 0 else _feed_forward
        x = part(x, 3, strides, f"block_{number}")
        parts = [
            _feed_forward(x, 1, 1, f"block_{number}_pointwise_{part}")
            for part in range(1, filters // x.shape[-1] + 1)
        ]
        name = f"block_{number}_concat"
        x = keras.layers.Concatenate(name=name)(parts) if len(parts) > 1 else parts[0]
    x = _prelu(x, "top_prelu")
    if include_top:
        x = mean_classifier(x, num_classes)
    return network(image, x, "bnext_tiny", weights)


def _feed_forward(x, size: int, strides: int, name: str):
    around = _pooled(x, strides, f"{name}_pool")
    y = norm(_gated_conv(x, around, size, strides, name), f"{name}_gate_norm")
    return keras.layers.Add(name=f"{name}_add")([y, around])


def _attention(x, size: int, strides: int, name: str):
    around = _pooled(_prelu(x, f"{name}_around_prelu"), strides, f"{name}_around_pool")
    y = _gated_conv(x, _pooled(x, strides, f"{name}_pool"), size, strides, name)
    y = keras.layers.Multiply(name=f"{name}_multiply")([y, around])
    return keras.layers.Add(name=f"{name}_add")([norm(y, f"{name}_gate_norm"), around])


def _gated_conv(x, source, size: int, strides: int, name: str):
    y = binary_conv(
        RSign(quantizers.SteSign(_CLIP), name=f"{name}_rsign")(x),
        x.shape[-1],
        size,
        name,
        strides=strides,
        input_quantizer=None,
        kernel_quantizer=quantizers.SteSign(_CLIP),
        kernel_constraint=constraints.WeightClip(_CLIP),
    )
    y = _prelu(norm(y, f"{name}_norm"), f"{name}_prelu")
    return SqueezeExcitation(8, use_bias=True, mixes=True, name=f"{name}_gate")([y, source])


def _pooled(x, strides: int, name: str):
    if strides == 1:
        return x
    return keras.layers.AveragePooling2D(2, padding="same", name=name)(x)


def _prelu(x, name: str):
    quarter: Any = {"class_name": "Constant", "config": {"value": 0.25}}
    return keras.layers.PReLU(quarter, shared_axes=[1, 2], name=name)(x)
