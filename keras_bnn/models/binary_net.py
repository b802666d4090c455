"""BinaryNet for small images."""

from keras_bnn._keras import keras
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv2D

# Images at least this high and wide are halved by the first convolution.
_LARGE = 16
_SMALLEST = 4


def BinaryNet(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
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

    Args:
        input_shape: Height, width and channels of an image; 4 or more high and wide.
        num_classes: The number of classes, 2 or more.

    Returns:
        A functional Keras model from (batch, height, width, channels), real, to logits of shape
        (batch, num_classes). It is not compiled.

    Raises:
        InputError: If the images are too small, a size is open, or there are fewer than 2 classes.

    >>> BinaryNet((28, 28, 1), 10).output_shape
    (None, 10)

    References:
        Hubara et al., Binarized Neural Networks, 2016. https://arxiv.org/abs/1602.02830
    """
    sizes = [size or 0 for size in input_shape]  # None leaves one open.
    if len(sizes) != 3 or min(sizes[:2]) < _SMALLEST or sizes[2] < 1:
        raise InputError(
            f"input_shape is {tuple(input_shape)}, expected (height, width, channels) with a "
            f"height and width of {_SMALLEST} or more, none of them open."
        )
    if num_classes < 2:
        raise InputError(f"num_classes is {num_classes}, expected 2 or more.")
    is_large = min(input_shape[:2]) >= _LARGE
    image = keras.Input(input_shape, name="image")
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
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    logits = keras.layers.Dense(num_classes, name="logits")(x)
    return keras.Model(image, logits, name="binary_net")
