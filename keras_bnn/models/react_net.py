"""ReActNet-A."""

from keras_bnn._keras import keras
from keras_bnn.layers import RPReLU, RSign
from keras_bnn.models.assembly import (
    binary_conv,
    mean_classifier,
    network,
    network_input,
    norm,
    real_conv,
)

WIDTHS = (64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)


def ReActNetA(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """MobileNet in binary, with learned thresholds and learned shifts around its activations.

    Each block is a 3×3 and a 1×1 binary convolution with a shortcut around each; where the channels
    double, two 1×1 convolutions stand side by side.

    ImageNet, 224×224×3: 69.4 % top-1 (paper; 69.5 % its authors' weights). The paper states
    4.82·10⁹ binary and 0.12·10⁸ real multiply-accumulates; with 64 binary ones counted as one they
    are the 0.87·10⁸ that its authors' code names.

    A map that is halved is padded here on its far side only, as Keras does it, and there on both.

    Args: those of every network, see `keras_bnn.models`; images of 4×4 or more.

    >>> ReActNetA((32, 32, 3), 10).output_shape
    (None, 10)

    References:
        Liu et al., ReActNet, 2020. https://arxiv.org/abs/2003.03488
        Their code. https://github.com/liuzechun/ReActNet
    """
    image = network_input(input_shape, num_classes, 4)
    x = norm(real_conv(image, 32, 3, "stem", strides=2), "stem_norm")
    for number, filters in enumerate(WIDTHS, 1):
        halves = number > 1 and x.shape[-1] != filters
        x = _block(x, filters, 2 if halves else 1, f"block_{number}")
    if include_top:
        x = mean_classifier(x, num_classes)
    return network(image, x, "reactnet_a", weights)


def _block(x, filters: int, strides: int, name: str):
    y = _signs(RSign(name=f"{name}_rsign")(x), 3, name, strides)
    if strides == 2:
        x = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_pool")(x)
    x = RPReLU(name=f"{name}_rprelu")(keras.layers.Add(name=f"{name}_add")([y, x]))
    signs = RSign(name=f"{name}_pointwise_rsign")(x)
    parts = []
    for part in range(1, filters // x.shape[-1] + 1):
        part_name = f"{name}_pointwise_{part}"
        y = _signs(signs, 1, part_name)
        parts.append(keras.layers.Add(name=f"{part_name}_add")([y, x]))
    x = keras.layers.Concatenate(name=f"{name}_concat")(parts) if len(parts) > 1 else parts[0]
    return RPReLU(name=f"{name}_pointwise_rprelu")(x)


def _signs(signs, size: int, name: str, strides: int = 1):
    """A binary convolution of what are signs already, with as many filters as inputs."""
    y = binary_conv(
        signs,
        signs.shape[-1],
        size,
        name,
        strides=strides,
        input_quantizer=None,
        kernel_quantizer="magnitude_aware_sign",
    )
    return norm(y, f"{name}_norm")
