"""BinaryNet for small images."""

from keras_bnn._keras import keras
from keras_bnn.layers import BinaryConv2D
from keras_bnn.models.assembly import mean_classifier, network, network_input

# Images at least this high and wide are halved by the first convolution.
_LARGE = 16
_SMALLEST = 4


def BinaryNet(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """A VGG-like network whose convolutions are binary, all but the first.

    A real convolution, three binary ones of 64, 64 and 128 channels, and a real output layer on
    the mean over the map. Convolution, batch normalization, max pool, sign: in this order, the
    binary part is exported as a chain that stays packed.

    Images from 16×16 on are halved by the first convolution, and again behind the first binary
    one; smaller ones are halved once, behind the second binary one.

    | layer                          | output of 8×8×1 | output of 28×28×1 |
    |--------------------------------|-----------------|-------------------|
    | 3×3 convolution                | 8×8×32          | 14×14×64          |
    | 3×3 binary convolution         | 8×8×64          | 7×7×64            |
    | 3×3 binary convolution         | 4×4×64          | 7×7×64            |
    | 3×3 binary convolution         | 4×4×128         | 7×7×128           |
    | mean over the map, dense layer | classes         | classes           |

    Args: those of every network, see `keras_bnn.models`; images of 4×4 or more.

    >>> BinaryNet((28, 28, 1), 10).output_shape
    (None, 10)

    References:
        Hubara et al., Binarized Neural Networks, 2016. https://arxiv.org/abs/1602.02830
    """
    image = network_input(input_shape, num_classes, _SMALLEST)
    is_large = min(input_shape[:2]) >= _LARGE
    x = keras.layers.Conv2D(
        64 if is_large else 32,
        3,
        strides=2 if is_large else 1,
        padding="same",
        use_bias=False,
        name="stem",
    )(image)
    x = keras.layers.BatchNormalization(name="stem_norm")(x)
    for number, channels in enumerate((64, 64, 128), 1):
        x = BinaryConv2D(channels, 3, padding="same", name=f"binary_{number}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{number}")(x)
        if number == (1 if is_large else 2):
            x = keras.layers.MaxPool2D(name="pool")(x)
    if include_top:
        x = mean_classifier(x, num_classes, "glorot_uniform")
    return network(image, x, "binary_net", weights)
