"""Writes the files that tests/fuzz/files.py begins with: python tests/fuzz/make_corpus.py

They are in Git so that fuzzing needs no TensorFlow and begins with the same files everywhere.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

# Chooses Keras 2, which has to come before TensorFlow is imported.
import keras_bnn as kb  # isort: skip

import larq
import larq_compute_engine
import numpy as np
import single_operator
import tensorflow as tf

from keras_bnn import bits, reference

FOLDER = Path(__file__).parent / "corpus" / "files"
layers = tf.keras.layers


def signs(rng, *shape):
    return rng.choice(np.float32([-1, 1]), shape)


def convolution(rng, dtype, channels=40, groups=1, **options):
    """One LceBconv2d of 2×2 taps over a 5×6 image."""
    images = bits.pack(signs(rng, 1, 5, 6, channels))
    filters = bits.pack(signs(rng, 8, 2, 2, channels // groups))
    options = {"channels_in": channels, "padding": "same", "pad_values": 1} | options
    if dtype == "packed":
        options["threshold"] = rng.integers(0, 4 * channels // groups, 8, np.int32)
    else:
        options["multiplier"] = rng.normal(size=8).astype(np.float32)
        options["bias"] = rng.normal(size=8).astype(np.float32)
    if dtype == "int8":
        options |= {"scale": 0.5, "zero_point": 3}
    result = reference.bconv2d(images, filters, **options)
    return single_operator.bconv2d(images, filters, result, **options)


def single_operators(rng):
    """By name, files of one 1-bit operator each."""
    words = bits.pack(signs(rng, 1, 5, 6, 40))
    pool = {"pool_size": (2, 3), "strides": (2, 1), "padding": "same"}
    whole = rng.integers(-3, 3, (2, 4, 33))
    yield "bconv2d_float32_padded_with_ones", convolution(rng, "float32")
    yield "bconv2d_int8_true_zeros", convolution(rng, "int8", pad_values=0, activation="RELU")
    yield "bconv2d_packed_strided", convolution(rng, "packed", strides=(2, 1), padding="valid")
    yield "bconv2d_groups", convolution(rng, "float32", 64, 2, dilations=(1, 2), pad_values=0)
    yield (
        "bmaxpool2d",
        single_operator.bmaxpool2d(words, reference.bmaxpool2d(words, **pool), **pool),
    )
    for dtype in ("float32", "int8", "bool"):
        values = whole.astype(dtype)
        packed = reference.quantize(values, 1 if dtype == "int8" else 0)
        quantization = {"scale": 0.5, "zero_point": 1} if dtype == "int8" else {}
        yield f"quantize_{dtype}", single_operator.quantize(values, packed, **quantization)
        yield f"dequantize_{dtype}", single_operator.dequantize(packed, values, **quantization)


def network():
    """Float and 1-bit operators in turn, with a residual sum and a packed chain."""
    image = tf.keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(32, 3, padding="same")(image)
    y = kb.layers.BinaryConv2D(32, 3, padding="same", name="one")(x)
    x = layers.add([x, layers.BatchNormalization()(y)])
    x = layers.MaxPool2D()(layers.BatchNormalization()(kb.layers.BinaryConv2D(33, 2)(x)))
    x = kb.layers.BinaryConv2D(8, 1, name="two")(x)
    x = layers.Dense(3)(layers.Flatten()(layers.ReLU()(x)))
    return tf.keras.Model(image, layers.Softmax(name="scores")(x))


def two_inputs():
    """Two inputs, two outputs, and a dense binary layer."""
    a, b = tf.keras.Input((5,), name="a"), tf.keras.Input((3,), name="b")
    x = layers.concatenate([layers.Dense(16)(a), b])
    y = kb.layers.BinaryDense(8, name="binary")(x)
    return tf.keras.Model([a, b], [layers.Dense(2, name="p")(y), layers.Activation("tanh")(x)])


def exported(model):
    path = FOLDER / "exported.tmp"
    kb.export.to_tflite(model, path)
    data = path.read_bytes()
    path.unlink()
    return data


def written_by_lce():
    """A network of larq's layers, as LCE's own converter writes it."""
    model = tf.keras.Sequential(
        [
            larq.layers.QuantConv2D(
                8, 3, input_shape=(7, 7, 3), kernel_quantizer="ste_sign", use_bias=False
            ),
            layers.BatchNormalization(),
            larq.layers.QuantConv2D(
                33, 2, input_quantizer="ste_sign", kernel_quantizer="ste_sign", padding="same"
            ),
            layers.AveragePooling2D(2),
        ]
    )
    return larq_compute_engine.convert_keras_model(model)


def fixed_batch():
    """TensorFlow's own converter, with a batch of 2 that is part of the file."""
    traced = tf.function(
        lambda x: tf.nn.softmax(tf.transpose(tf.pad(x, [[0, 0], [1, 1], [0, 0]]), (0, 2, 1)) - 1.0),
        input_signature=[tf.TensorSpec((2, 3, 4), name="x")],
    ).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([traced]).convert()


def main():
    tf.keras.utils.set_random_seed(0)
    files = dict(single_operators(np.random.default_rng(0)))
    files["network"] = exported(network())
    files["two_inputs"] = exported(two_inputs())
    files["written_by_lce"] = written_by_lce()
    files["fixed_batch"] = fixed_batch()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (FOLDER / f"{name}.tflite").write_bytes(data)
        print(f"{len(data):6} {name}")


if __name__ == "__main__":
    main()
