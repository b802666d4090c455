"""What the networks are put together from: their input, their top, the weights they start with."""

import os
from pathlib import Path

from keras_bnn._keras import keras
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv2D

_AXES = {2: "(steps, channels)", 3: "(height, width, channels)"}


def network_input(input_shape, num_classes: int, smallest: int, rank: int = 3, name="image"):
    """The input of a network that takes maps of `smallest` or more values along each axis.

    Raises:
        InputError: If the shape has another rank, an open size or a smaller one, or there are fewer
            than 2 classes.
    """
    sizes = [size or 0 for size in input_shape]  # None leaves one open.
    if len(sizes) != rank or min(sizes[:-1]) < smallest or sizes[-1] < 1:
        measured = "height and width" if rank == 3 else "length"
        raise InputError(
            f"input_shape is {tuple(input_shape)}, expected {_AXES[rank]} with a {measured} of "
            f"{smallest} or more, none of them open."
        )
    if num_classes < 2:
        raise InputError(f"num_classes is {num_classes}, expected 2 or more.")
    return keras.Input(input_shape, name=name)


def norm(x, name: str, momentum: float = 0.9, epsilon: float = 1e-5, **options):
    """Batch normalization."""
    options = {"momentum": momentum, "epsilon": epsilon, "name": name, **options}
    return keras.layers.BatchNormalization(**options)(x)


def real_conv(x, filters: int, size: int, name: str, **options):
    """A convolution of real values, without bias, padded with zeros so that no position is lost."""
    given = {"padding": "same", "use_bias": False, "kernel_initializer": "glorot_normal"}
    return keras.layers.Conv2D(filters, size, name=name, **{**given, **options})(x)


def binary_conv(x, filters: int, size: int, name: str, **options):
    """A binary convolution that is padded with zeros, as in most papers."""
    given = {"padding": "same", "pad_values": 0.0, "kernel_initializer": "glorot_normal"}
    return BinaryConv2D(filters, size, name=name, **{**given, **options})(x)


def relu(x, name: str):
    return keras.layers.ReLU(name=name)(x)


def mean_classifier(x, num_classes: int, initializer: str = "glorot_normal"):
    """Logits from the mean over the map."""
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.layers.Dense(num_classes, kernel_initializer=initializer, name="logits")(x)


def network(inputs, outputs, name: str, weights: str | os.PathLike | None):
    """The model from `inputs` to `outputs`, with the weights of the file `weights`, if any.

    Raises:
        InputError: If there is no such file, or it holds other weights than the network has.
    """
    model = keras.Model(inputs, outputs, name=name)
    if weights is None:
        return model
    if not Path(weights).is_file():
        raise InputError(f"There is no file {weights} with weights for {name}.")
    try:
        model.load_weights(os.fspath(weights))
    # Keras' several readers raise exceptions of their own.
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{weights} does not fit {name} with inputs {model.input_shape[1:]} and outputs "
            f"{model.output_shape[1:]}: {reason} Expected a file of save_weights for the same "
            "network, num_classes and include_top."
        ) from error
    return model
