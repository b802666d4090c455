"""Saving and loading a model's weights with one bit for each weight of a binary kernel."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from keras_bnn import files, weights_file
from keras_bnn._keras import keras
from keras_bnn.errors import InputError
from keras_bnn.latents import KernelReader, latent_kernel
from keras_bnn.probe import BinaryKernel, is_quantized, last_name, own_weights
from keras_bnn.tables import aligned
from keras_bnn.weights_file import StoredWeight


@dataclass(frozen=True)
class SavedKernel:
    """How one quantized kernel is stored.

    Attributes:
        name: The name of its variable.
        packed: Whether it takes one bit a weight.
        bytes: What it takes before the archive is compressed.
        latent_bytes: What its latent weights take in the model.
        reason: Why it is not packed; `None` where it is.
    """

    name: str
    packed: bool
    bytes: int
    latent_bytes: int
    reason: str | None


@dataclass(frozen=True)
class SavedWeights:
    """A file of binary weights.

    Attributes:
        path: Where it is.
        bytes: Its size.
        latent_bytes: What all weights take in the model.
        kernels: Its quantized kernels.
    """

    path: Path
    bytes: int
    latent_bytes: int
    kernels: list[SavedKernel]

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return {**asdict(self), "path": str(self.path)}

    def __str__(self) -> str:
        rows = [
            (
                f"  {kernel.name}",
                "packed" if kernel.packed else "float",
                f"{kernel.bytes:,} bytes of {kernel.latent_bytes:,}",
                kernel.reason or "",
            )
            for kernel in self.kernels
        ]
        title = f"{self.path}: {self.bytes:,} bytes of {self.latent_bytes:,}"
        return "\n".join([title, *([aligned(rows, right=[2])] if rows else [])])


@dataclass(frozen=True)
class _Weight:
    """A variable of the model and, where it is quantized, how its layers read it."""

    variable: object
    readers: list[KernelReader]

    @property
    def name(self) -> str:
        return self.variable.name.split(":")[0]

    @property
    def dtype(self) -> str:
        return self.variable.dtype.name

    @property
    def values(self) -> np.ndarray:
        # In a quantized scope the variable itself reads as its signs.
        return np.asarray(getattr(self.variable, "latent_variable", self.variable).numpy())


def save_binary_weights(model, path: str | os.PathLike) -> SavedWeights:
    """Writes the weights of `model` in one file, one bit for each weight of a binary kernel.

    Binary kernels take about 1/32 of what they take as float32. Every other weight (float kernels,
    biases, batch normalization with its moving statistics, counters) is stored as it is. The model
    that `load_binary_weights` gives predicts exactly the same.

    **The latent weights of packed kernels are lost.** What comes back in their place has their
    signs, and the scales that `magnitude_aware_sign` and `weight_scale` take from them. One can
    predict with it, export it, and fine-tune it, but not continue the training as if nothing had
    happened; nor does the file hold an optimizer's state. For that, use `model.save`.

    A quantized kernel is packed if each channel (of the last axis) reads as ±s and its layer
    takes nothing else from the latent weights. Otherwise its latent weights are stored as they
    are, and the result says why: more than two values (`ste_tern`, `dorefa_quantizer`, quantizers
    of one's own), or a `call` of one's own. Code outside of the layer that reads latent weights, a
    regularizer for example, sees those that came back.

    Args:
        model: A built Keras 2 model of any kind.
        path: The file to write, by custom with the suffix .npz; `keras_bnn.weights_file`
            documents the format. It is replaced as a whole, or left as it was.

    Returns:
        The file's size, and how each quantized kernel is stored; a table with `print`.

    Raises:
        InputError: If the model is not built or has weights that are no numbers, or the path
            cannot be written.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> saved = keras_bnn.save_binary_weights(model, "weights.npz")
    >>> all(32 * kernel.bytes == kernel.latent_bytes for kernel in saved.kernels)
    True
    >>> again = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> keras_bnn.load_binary_weights(again, "weights.npz")
    >>> bool((again(np.ones((1, 8, 8, 1))) == model(np.ones((1, 8, 8, 1)))).numpy().all())
    True
    """
    files.check_writable(path)
    weights = _weights_of(model)
    stored, kernels = [], []
    for weight in weights:
        entry, reason = _stored(weight)
        stored.append(entry)
        if is_quantized(weight.variable):
            size = weight.values.nbytes
            kernels.append(SavedKernel(weight.name, reason is None, entry.bytes, size, reason))
    weights_file.write(path, stored)
    size = sum(weight.values.nbytes for weight in weights)
    return SavedWeights(Path(path), Path(path).stat().st_size, size, kernels)


def load_binary_weights(model, path: str | os.PathLike) -> None:
    """Gives `model` the weights that `save_binary_weights` wrote.

    The model predicts exactly what the saved one did. Packed kernels come back as latent weights of
    the same signs: ±m, with m the mean of the kernel's |W|, or, where a scale depends on them, such
    weights that it is the same float; see `save_binary_weights` for what is lost.

    Args:
        model: A built Keras 2 model of the same architecture. Names of layers may differ, and so
            may what is trainable.
        path: A file that `save_binary_weights` wrote.

    Raises:
        InputError: If the model is not built, the file is missing, damaged or another one, or its
            weights do not fit the model. The model is then as it was.

    >>> model = tf.keras.Sequential([keras_bnn.layers.BinaryDense(2, input_shape=(3,))])
    >>> saved = keras_bnn.save_binary_weights(model, "weights.npz")
    >>> signs = np.sign(model.get_weights()[0])
    >>> keras_bnn.load_binary_weights(model, "weights.npz")
    >>> bool((np.sign(model.get_weights()[0]) == signs).all())
    True
    """
    weights = _weights_of(model)
    stored = weights_file.read(path)
    if len(stored) != len(weights):
        raise InputError(
            f"{path} holds {len(stored)} weights and the model {model.name!r} has {len(weights)}: "
            "build the model whose weights were saved."
        )
    pairs = list(zip(weights, stored, strict=True))
    for weight, entry in pairs:
        _check_fits(path, weight, entry)
    values = [_value(path, weight, entry) for weight, entry in pairs]
    _assign_all([weight.variable for weight in weights], values)


def _weights_of(model) -> list[_Weight]:
    """All weights, in an order that does not depend on which of them are trainable."""
    if not isinstance(model, keras.Model):
        raise InputError(
            f"Got a {type(model).__module__}.{type(model).__name__}, expected a Keras 2 model "
            "(tf.keras.Model with tf_keras)."
        )
    if not model.built:
        raise InputError(
            f"The model {model.name!r} is not built, so it has no weights yet. Call it on data "
            "once, or give its first layer an input_shape."
        )
    found: dict[int, _Weight] = {}
    for layer in model._flatten_layers():
        for variable in own_weights(layer):
            weight = found.setdefault(id(variable), _Weight(variable, []))
            if is_quantized(variable):
                weight.readers.append(KernelReader(layer, variable.quantizer))
    return list(found.values())


def _stored(weight: _Weight) -> tuple[StoredWeight, str | None]:
    """How a weight is stored, and why it is not packed."""
    values = weight.values
    if values.dtype.hasobject:
        raise InputError(f"The weight {weight.name!r} is {weight.dtype}, expected numbers.")
    as_it_is = StoredWeight(weight.name, weight.dtype, values)
    if not weight.readers:
        return as_it_is, None
    for reader in weight.readers:
        if reader.reads_latents:
            return as_it_is, (
                f"{type(reader.layer).__name__} has a call of its own, which may read latent "
                "weights"
            )
    kernel = weight.readers[0].split(values) if values.size else None
    if kernel is None:
        return as_it_is, "its channels have other values than one ±s each"
    for magnitude in (_magnitude(values), 1.0):
        if latent_kernel(kernel, magnitude, values.dtype, weight.readers) is not None:
            packed = (kernel.signs, True, kernel.scale, magnitude)
            return StoredWeight(weight.name, weight.dtype, *packed), None
    return as_it_is, "no latent weights that could be made from its signs and scale read the same"


def _magnitude(values: np.ndarray) -> float:
    """The mean of |W|, by which fine-tuning starts where signs change about as easily as before."""
    mean = float(np.abs(values.astype(np.float64)).mean().astype(values.dtype))
    return mean if 0 < mean < np.inf else 1.0


def _check_fits(path, weight: _Weight, entry: StoredWeight) -> None:
    expected = last_name(weight.variable), tuple(weight.variable.shape), weight.dtype
    found = entry.name.split("/")[-1], entry.shape, entry.dtype
    if found != expected:
        raise InputError(
            f"{path} holds {entry.name} of shape {entry.shape}, {entry.dtype}, where the model has "
            f"{weight.name} of shape {expected[1]}, {weight.dtype}: build the model whose weights "
            "were saved."
        )


def _value(path, weight: _Weight, entry: StoredWeight) -> np.ndarray:
    """The value for a weight of the model, checked to read as what was saved."""
    if not entry.packed:
        return entry.values
    latent = None
    if weight.readers and not any(reader.reads_latents for reader in weight.readers):
        kernel = BinaryKernel(entry.values, entry.scale)
        dtype = np.dtype(weight.variable.dtype.as_numpy_dtype)
        latent = latent_kernel(kernel, entry.magnitude, dtype, weight.readers)
    if latent is None:
        raise InputError(
            f"{path} holds {entry.name} as {'signs' if entry.scale is None else 'signs and scales'}"
            f", and the model reads {weight.name} otherwise: give its layer the quantizer and the "
            "weight_scale of the saved one."
        )
    return latent


def _assign_all(variables: list, values: list[np.ndarray]) -> None:
    """Assigns all `values`, or none: an interrupt would otherwise leave half of each model."""
    before = [getattr(variable, "latent_variable", variable).numpy() for variable in variables]
    try:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    except BaseException:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        raise
