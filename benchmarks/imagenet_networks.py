"""The two networks for ImageNet that the benchmarks time, with random weights.

With `binary=False` the same graphs have real kernels and no signs: what a float engine would run.
"""

import keras_bnn as kb
import numpy as np
import tensorflow as tf

layers = tf.keras.layers
IMAGE = (224, 224, 3)


def binary_conv(x, filters, binary, **arguments):
    if not binary:
        arguments.pop("pad_values", None)
        return layers.Conv2D(filters, 3, padding="same", use_bias=False, **arguments)(x)
    return kb.layers.BinaryConv2D(filters, 3, padding="same", use_bias=False, **arguments)(x)


def quicknet(binary=True):
    """Binary convolutions with one-padding and a ReLU behind them, each with a shortcut around it.

    Between the stages are blurred max pools and 1×1 convolutions. Source: Bannink et al., Larq
    Compute Engine, 2021, https://arxiv.org/abs/2011.09398.
    """
    image = tf.keras.Input(IMAGE)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
    x = layers.Conv2D(64, 1, use_bias=False)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(x)
    for filters in (64, 128, 256, 512):
        if x.shape[-1] != filters:
            x = layers.MaxPooling2D(2, strides=1)(layers.ReLU()(x))
            x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(x))
        for _ in range(4):
            signs = binary_conv(x, filters, binary, pad_values=1, activation="relu")
            x = layers.add([x, layers.BatchNormalization()(signs)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return tf.keras.Model(image, layers.Softmax()(layers.Dense(1000)(x)))


def birealnet18(binary=True):
    """Binary convolutions padded with true zeros, each with a shortcut around it.

    Source: Liu et al., Bi-Real Net, 2018, https://arxiv.org/abs/1808.00278.
    """
    image = tf.keras.Input(IMAGE)
    x = layers.Conv2D(64, 7, strides=2, padding="same", use_bias=False)(image)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(layers.BatchNormalization()(x))
    for filters in (64, 128, 256, 512):
        for _ in range(4):
            shortcut, stride = x, 1
            if x.shape[-1] != filters:
                shortcut, stride = layers.AveragePooling2D(2)(x), 2
                shortcut = layers.Conv2D(filters, 1, use_bias=False)(shortcut)
                shortcut = layers.BatchNormalization()(shortcut)
            signs = binary_conv(x, filters, binary, strides=stride)
            x = layers.add([layers.BatchNormalization()(signs), shortcut])
    x = layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(image, layers.Softmax()(layers.Dense(1000)(x)))


NETWORKS = {"quicknet": quicknet, "birealnet18": birealnet18}


def export(folder):
    """Writes each network's 1-bit file and float file where they are not yet; returns both."""
    files = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in NETWORKS.items():
        files[name] = folder / f"{name}.tflite", folder / f"{name}_float.tflite"
        for path, binary in zip(files[name], (True, False), strict=True):
            if path.exists():
                continue
            tf.keras.utils.set_random_seed(0)
            model = build(binary)
            settle(model)
            kb.export.to_tflite(model, path)
    return files


def settle(model):
    """Gives batch normalizations statistics that no exporter can take for those of a fresh one."""
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(generator.normal(size=shape))
            layer.moving_variance.assign(generator.uniform(0.5, 2, shape))
