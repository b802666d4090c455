"""MeliusNet with 22 layers."""

from keras_bnn import constraints, quantizers
from keras_bnn._keras import keras, tf
from keras_bnn.models.assembly import (
    binary_conv,
    mean_classifier,
    network,
    network_input,
    norm,
    real_conv,
    relu,
)

_GROWTH = 64
_CLIP = 1.3


def MeliusNet22(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """Pairs of blocks: one adds 64 channels to those before, the other improves these 64.

    ImageNet, 224×224×3: 63.6 % top-1, 3.88 MB (its authors' results); 62.4 %, 6,944,584
    parameters, 3.88 MiB (Larq Zoo, whose file of weights, `meliusnet22`, loads here).

    Args: those of every network, see `keras_bnn.models`; images of 4×4 or more.

    >>> MeliusNet22((32, 32, 3), 10).output_shape
    (None, 10)

    References:
        Bethge et al., MeliusNet, 2020. https://arxiv.org/abs/2001.05936
        Their results. https://github.com/hpi-xnor/BMXNet-v2-wiki
    """
    image = network_input(input_shape, num_classes, 4)
    x = _stem(image)
    for section, (depth, filters) in enumerate(((4, 160), (5, 224), (4, 256), (4, None)), 1):
        for block in range(1, depth + 1):
            name = f"stage_{section}_{block}"
            x = _improved(_extended(x, f"{name}_dense"), f"{name}_improve")
        if filters:
            name = f"stage_{section}_transition"
            x = relu(_halved(norm(x, f"{name}_norm"), f"{name}_pool"), f"{name}_relu")
            x = real_conv(x, filters, 1, f"{name}_pointwise")
    x = relu(norm(x, "top_norm"), "top_relu")
    if include_top:
        x = mean_classifier(x, num_classes)
    return network(image, x, "meliusnet22", weights)


def _stem(image):
    """Three 3×3 convolutions, of which two are in groups, in place of one of 7×7."""
    x = relu(norm(real_conv(image, 32, 3, "stem_1", strides=2), "stem_1_norm"), "stem_1_relu")
    for number, filters, groups in ((2, 32, 4), (3, 64, 8)):
        name = f"stem_{number}"
        x = _in_groups(x, filters, groups, name)
        x = relu(norm(x, f"{name}_norm"), f"{name}_relu")
    return _halved(x, "stem_pool")


def _in_groups(x, filters: int, groups: int, name: str):
    # One layer a group, as the published weights have them; TensorFlow has no gradients of grouped
    # convolutions on a CPU.
    parts = [
        real_conv(part, filters // groups, 3, f"{name}_{group}")
        for group, part in enumerate(tf.split(x, groups, axis=-1, name=f"{name}_split"), 1)
    ]
    return keras.layers.Concatenate(name=f"{name}_concat")(parts)


def _extended(x, name: str):
    return keras.layers.Concatenate(name=f"{name}_concat")([x, _signs(x, name)])


def _improved(x, name: str):
    y = _signs(x, name)
    zeros = [[0, 0], [0, 0], [0, 0], [x.shape[-1] - _GROWTH, 0]]
    return keras.layers.Add(name=f"{name}_add")([x, tf.pad(y, zeros, name=f"{name}_pad")])


def _signs(x, name: str):
    return binary_conv(
        norm(x, f"{name}_norm"),
        _GROWTH,
        3,
        name,
        input_quantizer=quantizers.SteSign(_CLIP),
        kernel_quantizer=quantizers.SteSign(_CLIP),
        kernel_constraint=constraints.WeightClip(_CLIP),
    )


def _halved(x, name: str):
    return keras.layers.MaxPool2D(2, padding="same", name=name)(x)
