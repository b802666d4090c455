"""The networks that `keras-bnn train` knows by name."""

from collections.abc import Callable

from keras_bnn._keras import keras
from keras_bnn.errors import InputError
from keras_bnn.models.binary_net import BinaryNet
from keras_bnn.models.twin import float_twin


def binarynet_float(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """The float twin of `BinaryNet`."""
    return float_twin(BinaryNet(input_shape, num_classes))


ZOO: dict[str, Callable[..., keras.Model]] = {
    "binarynet": BinaryNet,
    "binarynet_float": binarynet_float,
}
"""By name, functions from an input shape and a number of classes to a fresh model."""


def build(name: str, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds the network `name` of the zoo.

    Args:
        name: A key of `ZOO`.
        input_shape: Height, width and channels of an image.
        num_classes: The number of classes.

    Raises:
        InputError: If there is no such network, or it does not take such images.

    >>> build("binarynet", (8, 8, 1), 10).output_shape
    (None, 10)
    """
    if name not in ZOO:
        raise InputError(f"Unknown model {name!r}. Expected one of {', '.join(ZOO)}.")
    return ZOO[name](input_shape, num_classes)
