"""The Real-to-Binary network."""

from keras_bnn._keras import keras
from keras_bnn.models.assembly import (
    binary_conv,
    mean_classifier,
    network,
    network_input,
    norm,
    real_conv,
)
from keras_bnn.models.shortcuts import WIDTHS, shortcut

_NORM = {"momentum": 0.99, "epsilon": 1e-3}
_RATIO = 8


def RealToBinaryNet(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """ResNet-18 in binary, whose convolutions' outputs are scaled by gates of their real inputs.

    ImageNet, 224×224×3: 65.4 % top-1 (paper); 65.01 %, 11,995,624 parameters, 5.13 MiB (Larq Zoo,
    whose file of weights, `r2b`, loads here).

    Args: those of every network, see `keras_bnn.models`; images of 4×4 or more.

    >>> RealToBinaryNet((32, 32, 3), 10).output_shape
    (None, 10)

    References:
        Martinez et al., Training Binary Neural Networks with Real-to-Binary Convolutions, 2020.
        https://arxiv.org/abs/2003.11535
    """
    image = network_input(input_shape, num_classes, 4)
    x = _prelu(norm(real_conv(image, 64, 7, "stem", strides=2), "stem_norm", **_NORM), "stem_prelu")
    x = keras.layers.MaxPool2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, filters in enumerate(WIDTHS, 1):
        for block in range(1, 5):
            x = _block(x, filters, f"stage_{stage}_{block}")
    if include_top:
        x = mean_classifier(x, num_classes)
    return network(image, x, "real_to_binary_net", weights)


def _block(x, filters: int, name: str):
    around = shortcut(x, filters, f"{name}_shortcut", **_NORM)
    strides = 1 if x.shape[-1] == filters else 2
    source = norm(x, f"{name}_norm", **_NORM)
    y = binary_conv(source, filters, 3, name, strides=strides)
    y = _prelu(_gated(y, source, f"{name}_gate"), f"{name}_prelu")
    return keras.layers.Add(name=f"{name}_add")([y, around])


def _gated(y, source, name: str):
    """What `SqueezeExcitation` computes, in the layers whose weights the published file lists."""
    options = {"use_bias": False, "kernel_initializer": "he_normal"}
    z = keras.layers.AveragePooling2D(source.shape[1:3], name=f"{name}_mean")(source)
    z = keras.layers.Flatten(name=f"{name}_flatten")(z)
    hidden = source.shape[-1] // _RATIO
    channels = y.shape[-1]
    z = keras.layers.Dense(hidden, "relu", name=f"{name}_squeeze", **options)(z)
    z = keras.layers.Dense(channels, "sigmoid", name=f"{name}_excitation", **options)(z)
    factors = keras.layers.Reshape((1, 1, channels), name=f"{name}_reshape")(z)
    return keras.layers.Multiply(name=f"{name}_multiply")([y, factors])


def _prelu(x, name: str):
    return keras.layers.PReLU(shared_axes=[1, 2], name=name)(x)
