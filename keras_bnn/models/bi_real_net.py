"""Bi-Real Net with 18 and 34 layers."""

from keras_bnn._keras import keras
from keras_bnn.models.assembly import mean_classifier, network, network_input, norm, real_conv
from keras_bnn.models.shortcuts import stages

_NORM = {"momentum": 0.8, "epsilon": 1e-3}


def BiRealNet18(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """ResNet-18 in binary, with a real shortcut around every binary convolution.

    ImageNet, 224×224×3: 56.4 % top-1 (paper, which states 33.6 Mbit); 57.47 %, 11,699,112
    parameters, 4.03 MiB (Larq Zoo, whose file of weights, `birealnet`, loads here).

    Args: those of every network, see `keras_bnn.models`; images of 4×4 or more.

    >>> BiRealNet18((32, 32, 3), 10).output_shape
    (None, 10)

    References:
        Liu et al., Bi-Real Net, 2018. https://arxiv.org/abs/1808.00278
    """
    shape = (input_shape, num_classes, weights, include_top)
    return _bi_real_net("birealnet18", (4, 4, 4, 4), *shape)


def BiRealNet34(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """ResNet-34 in binary, with a real shortcut around every binary convolution.

    ImageNet, 224×224×3: 62.2 % top-1 (paper, which states 43.7 Mbit). See `BiRealNet18`.

    >>> BiRealNet34((32, 32, 3), 10).output_shape
    (None, 10)
    """
    shape = (input_shape, num_classes, weights, include_top)
    return _bi_real_net("birealnet34", (6, 8, 12, 6), *shape)


def _bi_real_net(name, depths, input_shape, num_classes, weights, include_top):
    image = network_input(input_shape, num_classes, 4)
    x = norm(real_conv(image, 64, 7, "stem", strides=2), "stem_norm", **_NORM)
    x = keras.layers.MaxPool2D(3, strides=2, padding="same", name="stem_pool")(x)
    signs = {"input_quantizer": "approx_sign", "kernel_quantizer": "magnitude_aware_sign"}
    x = stages(x, depths, _NORM, **signs)
    if include_top:
        x = mean_classifier(x, num_classes)
    return network(image, x, name, weights)
