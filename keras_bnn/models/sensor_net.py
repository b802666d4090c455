"""A network for boards that classifies windows of sensor values."""

from keras_bnn._keras import keras
from keras_bnn.layers import BinaryConv1D
from keras_bnn.models.assembly import network, network_input, norm


def SensorNet(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """A chain of binary 1-D convolutions over a window of sensor values, packed in the file.

    | layer                          | output of 128×9 |
    |--------------------------------|-----------------|
    | convolution of 7 steps         | 64×64           |
    | binary convolution of 5 steps  | 64×64           |
    | binary convolution of 5 steps  | 32×64           |
    | binary convolution of 5 steps  | 16×128          |
    | mean over the steps, dense     | classes         |

    The arrangement is ours and has no published accuracy; 128 steps of 9 channels are the windows
    of Anguita et al.'s data set of human activities.

    Args: those of every network, see `keras_bnn.models`; `input_shape` is (steps, channels), with 8
        steps or more.

    >>> SensorNet((128, 9), 6).output_shape
    (None, 6)

    References:
        Anguita et al., A Public Domain Dataset for Human Activity Recognition Using Smartphones,
        2013.
    """
    window = network_input(input_shape, num_classes, 8, rank=2, name="window")
    x = keras.layers.Conv1D(64, 7, strides=2, padding="same", use_bias=False, name="stem")(window)
    x = norm(x, "stem_norm")
    for number, (filters, strides) in enumerate(((64, 1), (64, 2), (128, 2)), 1):
        x = BinaryConv1D(filters, 5, strides, padding="same", name=f"binary_{number}")(x)
        x = norm(x, f"norm_{number}")
    if include_top:
        x = keras.layers.GlobalAveragePooling1D(name="mean")(x)
        x = keras.layers.Dense(num_classes, name="logits")(x)
    return network(window, x, "sensor_net", weights)
