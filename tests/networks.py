"""Small networks of every kind that the export has to carry, with weights as after training."""

import larq
import numpy as np
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.layers import BinaryConv2D, BinaryDense

layers = tf.keras.layers
LARQ = {
    "input_quantizer": "ste_sign",
    "kernel_quantizer": "ste_sign",
    "kernel_constraint": "weight_clip",
    "use_bias": False,
}
# Of a layer that reads what is a sign already.
QUIET = {"input_quantizer": None}


def plain_larq():
    """A network of larq's own layers, as its tutorial writes them."""
    first = {name: value for name, value in LARQ.items() if name != "input_quantizer"}
    return tf.keras.Sequential(
        [
            larq.layers.QuantConv2D(32, 3, input_shape=(28, 28, 1), **first),
            layers.MaxPool2D(),
            layers.BatchNormalization(),
            larq.layers.QuantConv2D(64, 3, **LARQ),
            layers.BatchNormalization(),
            layers.MaxPool2D(),
            larq.layers.QuantConv2D(64, 3, **LARQ),
            layers.BatchNormalization(),
            layers.Flatten(),
            larq.layers.QuantDense(64, **LARQ),
            layers.BatchNormalization(),
            larq.layers.QuantDense(10, **LARQ),
            layers.BatchNormalization(),
            layers.Activation("softmax"),
        ]
    )


def bi_real():
    """Residual, with a real shortcut around every binary convolution."""
    image = tf.keras.Input((16, 16, 3))
    x = layers.BatchNormalization()(layers.Conv2D(32, 3, padding="same")(image))
    for filters, stride in ((32, 1), (64, 2), (64, 1)):
        shortcut = x
        if stride == 2:
            shortcut = layers.Conv2D(filters, 1)(layers.AveragePooling2D()(shortcut))
        x = larq.layers.QuantConv2D(
            filters,
            3,
            strides=stride,
            padding="same",
            input_quantizer="approx_sign",
            kernel_quantizer="magnitude_aware_sign",
            kernel_constraint="weight_clip",
            use_bias=False,
        )(x)
        x = layers.add([layers.BatchNormalization()(x), shortcut])
    return tf.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def binary_net_with_dense():
    """Convolutions, then dense layers, all binary but the first and the last."""
    return tf.keras.Sequential(
        [
            layers.Conv2D(32, 3, padding="same", input_shape=(8, 8, 1)),
            layers.BatchNormalization(),
            BinaryConv2D(64, 3, padding="same"),
            layers.BatchNormalization(),
            layers.MaxPool2D(),
            BinaryConv2D(64, 3, padding="same", weight_scale="mean_abs"),
            layers.BatchNormalization(),
            layers.Flatten(),
            BinaryDense(64),
            layers.BatchNormalization(),
            BinaryDense(32),
            layers.BatchNormalization(),
            layers.Dense(10),
        ]
    )


class Subclassed(tf.keras.Model):
    """A model without a graph of layers, some of them in a list."""

    def __init__(self):
        super().__init__()
        self.stem = layers.Conv2D(16, 3)
        self.norm = layers.BatchNormalization()
        self.blocks = [BinaryConv2D(32, 3, padding="same"), BinaryConv2D(33, 3, strides=2)]
        self.head = layers.Dense(5)

    def call(self, inputs, training=False):
        x = self.norm(self.stem(inputs), training=training)
        for block in self.blocks:
            x = block(x) / 8
        return self.head(tf.reduce_mean(x, [1, 2]))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 10, 10, 3), np.float32))
    return model


def two_in_two_out():
    """Two inputs and two outputs of equal shapes, their names in the opposite of their order."""
    z, a = tf.keras.Input((8, 8, 2), name="zeta"), tf.keras.Input((8, 8, 2), name="alpha")
    x = layers.BatchNormalization()(BinaryConv2D(16, 3)(layers.concatenate([z, a])))
    outputs = [BinaryConv2D(4, 3, name="omega")(x), BinaryConv2D(4, 3, name="beta")(-x)]
    return tf.keras.Model([z, a], outputs)


MAIN = (plain_larq, bi_real, binary_net_with_dense, subclassed, two_in_two_out)


def with_trained_statistics(model, seed: int = 0):
    """Gives batch normalization and biases values as after training, so that nothing is a tie."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if any(name in weight.name for name in ("moving_mean", "beta", "bias")):
            weight.assign(generator.normal(size=weight.shape))
        elif any(name in weight.name for name in ("moving_variance", "gamma")):
            weight.assign(generator.uniform(0.5, 2.0, size=weight.shape))
    return model


def chain(*parts, shape=(8, 8, 32)):
    """A network of these layers; functions among them become Lambda layers."""
    made = [part if isinstance(part, layers.Layer) else layers.Lambda(part) for part in parts]
    return with_trained_statistics(tf.keras.Sequential([tf.keras.Input(shape), *made]))


def conv(filters=32, size=3, **options):
    return BinaryConv2D(filters, size, **{"padding": "same", **options})


def norm():
    return layers.BatchNormalization()


def exported(model, path, **options):
    """Exports `model` and returns what was written, and the file as a graph."""
    written = kb.export.to_tflite(model, path, **options)
    return written, kb.tflite.Graph(kb.tflite.read(path))
