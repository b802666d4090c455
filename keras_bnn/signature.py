"""What goes into a Keras model and what comes out of it: structure, order and names."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError
from keras_bnn.inputs import in_order, wrong_shape

# Stands in for a height, width or length that the model leaves open.
OPEN_DIMENSION = 32


@dataclass(frozen=True)
class Signature:
    """The inputs of one model.

    Attributes:
        structure: What the model is called with, a `tf.TensorSpec` at each leaf.
        input_names: One name a leaf, in the model's order.
    """

    structure: Any
    input_names: tuple[str, ...]

    @property
    def specs(self) -> list:
        """The leaves of `structure`, in the model's order."""
        return tf.nest.flatten(self.structure)

    def pack(self, arrays):
        """Puts flat `arrays`, in the model's order, into the model's own structure."""
        return tf.nest.pack_sequence_as(self.structure, arrays)

    def random_inputs(self, batch: int, seed: int, ties: bool = False) -> list[np.ndarray]:
        """Standard normal inputs, one array an input; for integers 0 and 1, for bytes any value.

        With `ties`, every second sample holds small integers only, -0.0 among them, so that many
        sums and differences of them are exactly 0.

        Raises:
            InputError: If an input holds no numbers.
        """
        generator = np.random.default_rng(seed)
        arrays = []
        for name, spec in zip(self.input_names, self.specs, strict=True):
            if np.dtype(spec.dtype.as_numpy_dtype) == object:  # Strings, and TensorFlow's own.
                raise InputError(
                    f"Input {name!r} is of type {spec.dtype.name}, expected numbers: leave the "
                    "layers that turn it into numbers outside the model."
                )
            shape = [batch if spec.shape[0] is None else spec.shape[0]]
            shape += [OPEN_DIMENSION if n is None else n for n in spec.shape[1:]]
            dtype = spec.dtype.as_numpy_dtype
            if np.issubdtype(dtype, np.floating):
                values = generator.standard_normal(shape)
                if ties:
                    values[1::2] = np.rint(values[1::2])
                arrays.append(values.astype(dtype))
            elif dtype in (np.uint8, np.int8):
                limits = np.iinfo(dtype)
                arrays.append(generator.integers(limits.min, limits.max + 1, shape, dtype))
            else:
                # Most are indices, of which nobody knows how many there are.
                arrays.append(generator.integers(0, 2, shape).astype(dtype))
        return arrays

    def as_inputs(self, inputs) -> list[np.ndarray]:
        """Checks what a user passed (an array, a list, a dict by name) and flattens it.

        Raises:
            InputError: If their number, names, shapes or types do not fit the model.
        """
        arrays = [
            _as_array(name, spec, array)
            for name, spec, array in zip(
                self.input_names, self.specs, in_order(inputs, self.input_names), strict=True
            )
        ]
        if 0 in map(len, arrays):
            raise InputError("The inputs hold no samples, expected one or more.")
        return arrays


def _as_array(name: str, spec, array) -> np.ndarray:
    array = np.asarray(array)
    if not spec.shape.is_compatible_with(array.shape):
        raise wrong_shape(name, array.shape, spec.shape.as_list())
    if not np.can_cast(array.dtype, spec.dtype.as_numpy_dtype, "same_kind"):
        raise InputError(f"Input {name!r} is {array.dtype}, expected {spec.dtype.name}.")
    return array.astype(spec.dtype.as_numpy_dtype)


def signature_of(model) -> Signature:
    """Reads the signature of a built Keras model.

    Raises:
        InputError: If `model` is no Keras 2 model, or is not built yet.
    """
    if not isinstance(model, keras.Model):
        raise InputError(
            f"Got a {type(model).__module__}.{type(model).__name__}, expected a Keras 2 model "
            "(tf.keras.Model with tf_keras)."
        )
    arguments = model.save_spec()
    if arguments is None or not model.built:
        raise InputError(
            f"The model {model.name!r} is not built, so its input shapes are unknown. Call it on "
            "data once, or give its first layer an input_shape."
        )
    if len(arguments[0]) != 1:
        raise InputError(
            f"The model {model.name!r} is called with {len(arguments[0])} arguments, expected one: "
            "pass several inputs as a list, a tuple or a dict."
        )
    structure = arguments[0][0]
    return Signature(structure, _names(structure))


def _names(structure) -> tuple[str, ...]:
    if isinstance(structure, dict):
        # tf.nest flattens a dict in the order of its sorted keys.
        return tuple(sorted(structure))
    specs = tf.nest.flatten(structure)
    names = [spec.name or f"input_{i}" for i, spec in enumerate(specs, 1)]
    return tuple(names)


def output_names(model, outputs) -> tuple[str, ...]:
    """Names of a model's `outputs` in the order in which `tf.nest` flattens them."""
    if isinstance(outputs, dict):
        return tuple(sorted(outputs))
    count = len(tf.nest.flatten(outputs))
    names = getattr(model, "output_names", None) or []
    if len(names) == count == len(set(names)):
        return tuple(names)
    return tuple(f"output_{i}" for i in range(1, count + 1))
