"""A float network as a .tflite file that computes in int8 from its inputs to its outputs."""

import contextlib
import os
import warnings
from collections.abc import Iterator

import numpy as np

from keras_bnn import files
from keras_bnn._keras import tf
from keras_bnn.errors import InputError
from keras_bnn.models.rewrite import batch_norms
from keras_bnn.tflite import Graph, read

# As many as TensorFlow's guide to post-training quantization has, and some more.
_EXAMPLES = 256


def to_int8_tflite(model, path: str | os.PathLike, images: np.ndarray) -> None:
    """Writes `model` with int8 weights (a scale a channel), activations, inputs and outputs.

    TensorFlow's own post-training quantization: the ranges of activations are those that it sees
    while the model runs on examples.

    Args:
        model: A built Keras 2 model of float layers, with one input.
        path: The file to write. It is replaced as a whole, or left as it was.
        images: Training examples, float32 of the model's input shape: 256 of them, evenly spread,
            or all if there are fewer.

    Raises:
        InputError: If there are no images, the model cannot be converted, or the path not written.

    >>> twin = keras_bnn.models.float_twin(keras_bnn.models.BinaryNet((8, 8, 1), 10))
    >>> images = keras_bnn.data.load("digits").train.images
    >>> to_int8_tflite(twin, "int8.tflite", images)
    >>> sorted(keras_bnn.tflite.describe("int8.tflite").macs.items())
    [('1-bit', 0), ('float', 0), ('int8', 4738304)]
    """
    files.check_writable(path)
    if not len(images):
        raise InputError("Got no images, expected at least one example to see ranges with.")
    examples = images[:: max(1, len(images) // _EXAMPLES)][:_EXAMPLES]
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in examples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        with warnings.catch_warnings(), _without_dead_scales(model):
            # The statistics that it misses are those of training with simulated quantization.
            warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
            data = converter.convert()
    # The converter raises exceptions of several kinds, ValueError and RuntimeError among them.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{model.name} cannot be converted to int8: {reason}") from error
    files.write_atomically(path, data)


@contextlib.contextmanager
def _without_dead_scales(model) -> Iterator[None]:
    """Sets the scales of batch norms to 0, for a while, in channels that never vary.

    Such a channel is its mean, so its scale multiplies 0 and changes nothing. But it is 1/√ε,
    hundreds of times the others', with which it shares one step of int8 where the converter cannot
    fold it into a kernel: theirs would be rounded away.
    """
    norms = [norm for norm in batch_norms(model) if norm.scale]
    scales = [layer.gamma.numpy() for layer in norms]
    for layer, scale in zip(norms, scales, strict=True):
        layer.gamma.assign(np.where(layer.moving_variance.numpy() > 0, scale, 0))
    try:
        yield
    finally:
        for layer, scale in zip(norms, scales, strict=True):
            layer.gamma.assign(scale)


def quantized(images: np.ndarray, path: str | os.PathLike) -> np.ndarray:
    """`images` as the input of the file takes them: int8 where it is quantized, else as they are.

    A real number r is stored as r / scale + zero point, rounded, and cut off at -128 and 127.
    """
    graph = Graph(read(path))
    (port,) = graph.inputs
    if graph.tensor(port.tensor).type != "int8":
        return images
    (scale,), (zero_point,) = graph.scales(port.tensor), graph.zero_points(port.tensor)
    return np.clip(np.round(images / scale) + zero_point, -128, 127).astype(np.int8)
