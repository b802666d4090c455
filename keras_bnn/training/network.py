"""The network that is trained, from its name or the function that builds it."""

from collections.abc import Callable
from typing import Any

from keras_bnn import models
from keras_bnn._keras import keras
from keras_bnn.training import checks


def built(model: str | Callable, input_shape: tuple[int, int, int], num_classes: int) -> Any:
    """Builds a classifier.

    Args:
        model: A name of `keras_bnn.models.ZOO`, or a function of the other two.
        input_shape: Height, width and channels of an image.
        num_classes: The number of logits.

    Raises:
        InputError: If it does not take such images, or is no classifier for so many classes.
    """
    build = models.ZOO[model] if isinstance(model, str) else model
    network = build(input_shape, num_classes)
    if isinstance(network, keras.Model) and not network.built:
        network.build((None, *input_shape))
    checks.check_network(network, input_shape, num_classes)
    return network
