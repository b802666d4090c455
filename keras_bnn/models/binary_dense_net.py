"""BinaryDenseNet with 28, 37 and 45 layers."""

from keras_bnn import constraints, quantizers
from keras_bnn._keras import keras
from keras_bnn.models.assembly import (
    binary_conv,
    mean_classifier,
    network,
    network_input,
    norm,
    real_conv,
    relu,
)
from keras_bnn.models.res_net_e import stem

_GROWTH = 64
_CLIP = 1.3


def BinaryDenseNet28(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """Binary convolutions that each add 64 channels to all those before them.

    ImageNet, 224×224×3: 60.91 % top-1, 5,150,504 parameters, 4.12 MiB (Larq Zoo, whose files of
    weights, `binary_densenet_28` and so on, load here; the paper states 60.7 % and 4.0 MB).

    Args: those of every network, see `keras_bnn.models`; images of 8×8 or more, with two sizes of
        stem as in `ResNetE18`.

    >>> BinaryDenseNet28((32, 32, 3), 10).output_shape
    (None, 10)

    References:
        Bethge et al., Back to Simplicity, 2019. https://arxiv.org/abs/1906.08637
    """
    shape = (input_shape, num_classes, weights, include_top)
    return _dense_net("binary_densenet28", (6, 6, 6, 5), (2.7, 2.7, 2.2), *shape)


def BinaryDenseNet37(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """The same with 37 layers.

    ImageNet, 224×224×3: 62.89 % top-1, 8,734,120 parameters, 5.25 MiB (Larq Zoo; the paper
    states 62.5 % and 5.1 MB). See `BinaryDenseNet28`.

    >>> BinaryDenseNet37((32, 32, 3), 10).output_shape
    (None, 10)
    """
    shape = (input_shape, num_classes, weights, include_top)
    return _dense_net("binary_densenet37", (6, 8, 12, 6), (3.3, 3.3, 4), *shape)


def BinaryDenseNet45(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """The same with 45 layers.

    ImageNet, 224×224×3: 64.59 % top-1, 13,939,240 parameters, 7.54 MiB (Larq Zoo; the paper
    states 63.7 % and 7.4 MB). See `BinaryDenseNet28`.

    >>> BinaryDenseNet45((32, 32, 3), 10).output_shape
    (None, 10)
    """
    shape = (input_shape, num_classes, weights, include_top)
    return _dense_net("binary_densenet45", (6, 12, 14, 8), (2.7, 3.3, 4), *shape)


def _dense_net(name, depths, reductions, input_shape, num_classes, weights, include_top):
    image = network_input(input_shape, num_classes, 8)
    x = stem(image)
    for stage, depth in enumerate(depths, 1):
        if stage > 1:
            x = _transition(x, reductions[stage - 2], f"stage_{stage}_transition")
        for block in range(1, depth + 1):
            x = _dense_block(x, f"stage_{stage}_{block}")
    x = relu(norm(x, "top_norm"), "top_relu")
    if include_top:
        x = mean_classifier(x, num_classes, "he_normal")
    return network(image, x, name, weights)


def _dense_block(x, name: str):
    y = binary_conv(
        norm(x, f"{name}_norm"),
        _GROWTH,
        3,
        name,
        input_quantizer=quantizers.SteSign(_CLIP),
        kernel_quantizer=quantizers.SteSign(_CLIP),
        kernel_constraint=constraints.WeightClip(_CLIP),
    )
    return keras.layers.Concatenate(name=f"{name}_concat")([x, y])


def _transition(x, reduction: float, name: str):
    # Whole words of 32 channels.
    filters = round(x.shape[-1] // reduction / 32) * 32
    x = keras.layers.MaxPool2D(2, name=f"{name}_pool")(norm(x, f"{name}_norm"))
    x = relu(x, f"{name}_relu")
    return real_conv(x, filters, 1, f"{name}_pointwise", kernel_initializer="he_normal")
