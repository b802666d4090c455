"""A network for boards that hears keywords."""

from keras_bnn._keras import keras
from keras_bnn.layers import BinaryConv2D
from keras_bnn.models.assembly import (
    mean_classifier,
    network,
    network_input,
    norm,
    real_conv,
)


def KeywordNet(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """A chain of binary convolutions over a log-mel spectrogram, which stays packed in the file.

    Between two binary layers there are only packed words: of a second of speech (49 frames of 40
    mels) 2,080 bytes at most. All binary kernels take 36,864 bytes.

    | layer                              | output of 49×40×1 |
    |------------------------------------|-------------------|
    | 3×3 convolution, max pool          | 13×10×64          |
    | two 3×3 binary convolutions        | 13×10×64          |
    | two 3×3 binary convolutions, pool  | 6×5×128           |
    | mean over the map, dense layer     | classes           |

    The arrangement is ours and has no published accuracy; the size of its input is that of Zhang
    et al.'s networks for the same task.

    Args: those of every network, see `keras_bnn.models`; `input_shape` is (frames, mels, 1), each 8
        or more.

    >>> KeywordNet((49, 40, 1), 12).output_shape
    (None, 12)

    References:
        Zhang et al., Hello Edge: Keyword Spotting on Microcontrollers, 2017.
        https://arxiv.org/abs/1711.07128
    """
    frames = network_input(input_shape, num_classes, 8, name="log_mel")
    x = norm(real_conv(frames, 64, 3, "stem", strides=2), "stem_norm")
    x = keras.layers.MaxPool2D(2, padding="same", name="stem_pool")(x)
    for number, filters in enumerate((64, 64, 128, 128), 1):
        x = BinaryConv2D(filters, 3, padding="same", name=f"binary_{number}")(x)
        x = norm(x, f"norm_{number}")
        # Behind the norm, the pool of signs is one of packed words.
        if number == 3:
            x = keras.layers.MaxPool2D(2, name="pool")(x)
    if include_top:
        x = mean_classifier(x, num_classes)
    return network(frames, x, "keyword_net", weights)
