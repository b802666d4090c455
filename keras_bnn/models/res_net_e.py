"""ResNetE with 18 layers."""

from keras_bnn import constraints, quantizers
from keras_bnn._keras import keras
from keras_bnn.models.assembly import (
    mean_classifier,
    network,
    network_input,
    norm,
    real_conv,
    relu,
)
from keras_bnn.models.shortcuts import stages

_CLIP = 1.25
# Lower images are not halved by the stem.
_HIGH = 50


def ResNetE18(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """ResNet-18 in binary without bottlenecks, with plain signs and a shortcut around each layer.

    ImageNet, 224×224×3: 58.32 % top-1, 11,699,368 parameters, 4.03 MiB (Larq Zoo, whose file of
    weights, `resnet_e_18`, loads here; the paper states 58.1 %). Images lower than 50 have
    a 3×3 stem that does not halve them.

    Args: those of every network, see `keras_bnn.models`; images of 4×4 or more.

    >>> ResNetE18((32, 32, 3), 10).output_shape
    (None, 10)

    References:
        Bethge et al., Back to Simplicity, 2019. https://arxiv.org/abs/1906.08637
    """
    image = network_input(input_shape, num_classes, 4)
    x = stem(image)
    if input_shape[0] >= _HIGH:
        x = norm(x, "stem_pool_norm")
    x = stages(
        x,
        (4, 4, 4, 4),
        {},
        input_quantizer=quantizers.SteSign(_CLIP),
        kernel_quantizer=quantizers.SteSign(_CLIP),
        kernel_constraint=constraints.WeightClip(_CLIP),
    )
    x = relu(x, "top_relu")
    if include_top:
        x = mean_classifier(x, num_classes)
    return network(image, x, "resnet_e18", weights)


def stem(image):
    """Real convolution of images, of which those from 50 on are quartered; BinaryDenseNet's too."""
    options = {"kernel_initializer": "he_normal"}
    if image.shape[1] < _HIGH:
        return real_conv(image, 64, 3, "stem", **options)
    x = real_conv(image, 64, 7, "stem", strides=2, **options)
    x = relu(norm(x, "stem_norm"), "stem_relu")
    return keras.layers.MaxPool2D(3, strides=2, padding="same", name="stem_pool")(x)
