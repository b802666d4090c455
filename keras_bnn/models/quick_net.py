"""QuickNet in three sizes, and a fourth for small images."""

from keras_bnn import constraints, quantizers
from keras_bnn._keras import keras
from keras_bnn.layers import BlurPool2D
from keras_bnn.models.assembly import (
    binary_conv,
    mean_classifier,
    network,
    network_input,
    norm,
    real_conv,
    relu,
)

# Smaller ones are gone before the last transition.
_SMALLEST = 29
_CLIP = 1.25


def QuickNetTiny(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """QuickNet's blocks for images of about 28×28, as those of Fashion-MNIST.

    | layer                                             | output of 28×28×1 |
    |---------------------------------------------------|-------------------|
    | 3×3 convolution                                   | 14×14×64          |
    | two 3×3 binary convolutions, a shortcut each      | 14×14×64          |
    | max pool, 1×1 convolution                         | 7×7×128           |
    | two 3×3 binary convolutions, a shortcut each      | 7×7×128           |
    | mean over the map, dense layer                    | classes           |

    The arrangement is ours and has no published accuracy.

    Args: those of every network, see `keras_bnn.models`; images of 4×4 or more.

    >>> QuickNetTiny((28, 28, 1), 10).output_shape
    (None, 10)
    """
    image = network_input(input_shape, num_classes, 4)
    x = norm(real_conv(image, 64, 3, "stem", strides=2), "stem_norm")
    for stage, filters in enumerate((64, 128), 1):
        if stage > 1:
            x = keras.layers.MaxPool2D(2, padding="same", name="transition_pool")(x)
            x = norm(real_conv(x, filters, 1, "transition_pointwise"), "transition_norm")
        for block in (1, 2):
            x = _block(x, f"stage_{stage}_{block}")
    if include_top:
        x = mean_classifier(x, num_classes)
    return network(image, x, "quicknet_tiny", weights)


def QuickNetSmall(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """QuickNet with half the channels in its first two stages.

    ImageNet, 224×224×3: 59.4 % top-1, 12,655,688 parameters, 4.00 MiB (Larq Zoo). See `QuickNet`.

    >>> QuickNetSmall((32, 32, 3), 10).output_shape
    (None, 10)
    """
    shape = (input_shape, num_classes, weights, include_top)
    return _quick_net("quicknet_small", (4, 4, 4, 4), (32, 64, 256, 512), *shape)


def QuickNet(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """Four stages of binary convolutions, each with a shortcut around it, made for fast engines.

    A ReLU and a batch normalization follow each binary convolution, which fuses both; it is padded
    with +1. Between the stages max pools without aliasing and real 1×1 convolutions.

    ImageNet, 224×224×3: 63.3 % top-1, 13,234,088 parameters, 4.17 MiB (Larq Zoo, whose files of
    weights load here).

    Args: those of every network, see `keras_bnn.models`; images of 29×29 or more.

    >>> QuickNet((32, 32, 3), 10).output_shape
    (None, 10)

    References:
        Bannink et al., Larq Compute Engine, 2021. https://arxiv.org/abs/2011.09398
    """
    shape = (input_shape, num_classes, weights, include_top)
    return _quick_net("quicknet", (4, 4, 4, 4), (64, 128, 256, 512), *shape)


def QuickNetLarge(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """QuickNet with more layers in each stage.

    ImageNet, 224×224×3: 66.9 % top-1, 23,342,248 parameters, 5.40 MiB (Larq Zoo). See `QuickNet`.

    >>> QuickNetLarge((32, 32, 3), 10).output_shape
    (None, 10)
    """
    shape = (input_shape, num_classes, weights, include_top)
    return _quick_net("quicknet_large", (6, 8, 12, 6), (64, 128, 256, 512), *shape)


def _quick_net(name, depths, widths, input_shape, num_classes, weights, include_top):
    image = network_input(input_shape, num_classes, _SMALLEST)
    x = _stem(image, widths[0])
    for stage, (depth, filters) in enumerate(zip(depths, widths, strict=True), 1):
        if stage > 1:
            x = _transition(x, filters, f"stage_{stage}_transition")
        for block in range(1, depth + 1):
            x = _block(x, f"stage_{stage}_{block}")
    if include_top:
        x = mean_classifier(relu(x, "top_relu"), num_classes)
    return network(image, x, name, weights)


def _stem(image, filters: int):
    x = real_conv(image, filters // 4, 3, "stem", strides=2, kernel_initializer="he_normal")
    # Keras' own momentum and epsilon, as in the published weights.
    x = relu(norm(x, "stem_norm", 0.99, 1e-3), "stem_relu")
    x = keras.layers.DepthwiseConv2D(
        3, strides=2, padding="same", use_bias=False, name="stem_depthwise"
    )(x)
    x = norm(x, "stem_depthwise_norm", 0.99, 1e-3, scale=False, center=False)
    x = real_conv(x, filters, 1, "stem_pointwise", kernel_initializer="he_normal")
    return norm(x, "stem_pointwise_norm", 0.99, 1e-3)


def _transition(x, filters: int, name: str):
    x = keras.layers.MaxPool2D(2, strides=1, name=f"{name}_pool")(relu(x, f"{name}_relu"))
    x = BlurPool2D(3, name=f"{name}_blur")(x)
    return norm(real_conv(x, filters, 1, f"{name}_pointwise"), f"{name}_norm")


def _block(x, name: str):
    signs = {
        "input_quantizer": quantizers.SteSign(_CLIP),
        "kernel_quantizer": quantizers.SteSign(_CLIP),
        "kernel_constraint": constraints.WeightClip(_CLIP),
    }
    y = binary_conv(x, x.shape[-1], 3, name, pad_values=1.0, activation="relu", **signs)
    return keras.layers.Add(name=f"{name}_add")([norm(y, f"{name}_norm"), x])
