"""Bits, multiply-accumulates and bytes, worked out by hand."""

import json

import larq
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense

layers = tf.keras.layers


def _by_name(model):
    return {layer.name: layer for layer in kb.summary(model).layers}


def test_a_network_by_hand():
    model = tf.keras.Sequential(
        [
            layers.Conv2D(8, 3, input_shape=(10, 10, 3), name="stem"),
            BinaryConv2D(40, 3, padding="same", strides=2, name="first"),
            BinaryConv2D(16, 3, name="second"),
            layers.Flatten(),
            BinaryDense(5, name="third"),
            layers.Dense(4, name="head"),
        ]
    )
    found = _by_name(model)
    assert list(found) == ["stem", "first", "second", "third", "head"]
    rows = {
        name: (s.weight_bits, s.input_bits, s.binary_macs, s.float_macs, s.kernel_bytes)
        for name, s in found.items()
    }
    assert rows == {
        "stem": (32, 32, 0, 8 * 8 * 3 * 3 * 3 * 8, 4 * 3 * 3 * 3 * 8),
        # 8 input channels take one 32-bit word a tap, 40 take two.
        "first": (1, 1, 4 * 4 * 3 * 3 * 8 * 40, 0, 4 * 3 * 3 * 1 * 40),
        "second": (1, 1, 2 * 2 * 3 * 3 * 40 * 16, 0, 4 * 3 * 3 * 2 * 16),
        "third": (1, 1, 64 * 5, 0, 4 * 2 * 5),
        "head": (32, 32, 0, 5 * 4, 4 * 5 * 4),
    }
    total = kb.summary(model)
    assert total.parameters == model.count_params()
    assert total.float_kernel_bytes == 4 * (216 + 2880 + 5760 + 320 + 20)


def test_what_counts_as_binary_is_what_reaches_the_product():
    model = tf.keras.Sequential(
        [
            BinaryConv2D(32, 1, input_quantizer=None, input_shape=(4, 4, 3), name="real_input"),
            kb.quantizers.SteSign(),
            BinaryConv2D(32, 1, input_quantizer=None, name="sign_before"),
            BinaryConv2D(32, 1, kernel_quantizer=None, kernel_constraint=None, name="real_kernel"),
            BinaryConv2D(32, 1, kernel_quantizer="ste_tern", name="ternary"),
        ]
    )
    found = _by_name(model)
    assert {name: (s.weight_bits, s.input_bits) for name, s in found.items()} == {
        "real_input": (1, 32),
        "sign_before": (1, 1),
        "real_kernel": (32, 1),
        "ternary": (2, 1),
    }
    assert [s.binary_macs > 0 for s in found.values()] == [False, True, False, False]
    # A binary kernel with a real input is stored as float32.
    assert found["real_input"].kernel_bytes == 4 * 3 * 32


def test_other_layers_count_too():
    model = tf.keras.Sequential(
        [
            layers.TimeDistributed(BinaryConv2D(8, 3, name="framewise"), input_shape=(5, 6, 6, 2)),
            layers.Reshape((-1, 8)),
            BinaryConv1D(4, 3, padding="causal", name="causal"),
            layers.Reshape((8, 10, 4)),
            layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
            larq.layers.QuantConv2DTranspose(6, 2, strides=2, name="transposed"),
        ]
    )
    macs = {name: s.binary_macs + s.float_macs for name, s in _by_name(model).items()}
    assert macs == {
        "framewise": 5 * 4 * 4 * 3 * 3 * 2 * 8,
        "causal": 80 * 3 * 8 * 4,
        "depthwise": 8 * 10 * 3 * 3 * 4,
        "transposed": 8 * 10 * 2 * 2 * 4 * 6,
    }


def test_bytes_are_those_of_the_exported_file(tmp_path):
    model = kb.models.BinaryNet((8, 8, 1), 10)
    exported = kb.export.to_tflite(model, tmp_path / "m.tflite")
    summed = _by_name(model)
    assert all(summed[fate.name].kernel_bytes == fate.bytes for fate in exported.layers)


def test_text_and_json():
    summary = kb.summary(kb.models.BinaryNet((8, 8, 1), 10))
    assert "binary_1" in str(summary)
    assert json.loads(json.dumps(summary.to_dict()))["binary_macs"] == summary.binary_macs
