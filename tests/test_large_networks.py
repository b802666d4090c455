"""Networks of the size that people train on ImageNet."""

import larq
import networks
import pytest
import tensorflow as tf

layers = tf.keras.layers
pytestmark = pytest.mark.slow


@tf.keras.utils.register_keras_serializable("tests")
def xnor_scaled(kernel):
    """XNOR-Net's kernel: the signs times the mean magnitude of each output channel."""
    signs = tf.where(kernel >= 0, 1.0, -1.0)
    return signs * tf.reduce_mean(tf.abs(kernel), [0, 1, 2], keepdims=True)


def xnor_net():
    """AlexNet with scaled binary kernels, one of them of 144 MiB in float32."""
    binary = {**networks.LARQ, "kernel_quantizer": xnor_scaled}
    return tf.keras.Sequential(
        [
            tf.keras.Input((227, 227, 3)),
            layers.Conv2D(96, 11, strides=4, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPool2D(3, 2),
            layers.BatchNormalization(),
            larq.layers.QuantConv2D(256, 5, padding="same", **binary),
            layers.MaxPool2D(3, 2),
            layers.BatchNormalization(),
            larq.layers.QuantConv2D(384, 3, padding="same", **binary),
            layers.BatchNormalization(),
            larq.layers.QuantConv2D(384, 3, padding="same", **binary),
            layers.BatchNormalization(),
            larq.layers.QuantConv2D(256, 3, padding="same", **binary),
            layers.MaxPool2D(3, 2),
            layers.BatchNormalization(),
            larq.layers.QuantConv2D(4096, 6, **binary),
            layers.BatchNormalization(),
            larq.layers.QuantConv2D(4096, 1, **binary),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(1000, use_bias=False),
        ]
    )


def test_xnor_net_is_1bit_and_small(tmp_path):
    """LCE alone writes 170 MB, whose largest kernel is quantized anew at every inference."""
    exported, graph = networks.exported(xnor_net(), tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"] * 6
    assert exported.bytes < 25e6
    assert [op.name for op in graph.operators].count("LceBconv2d") == 6
