"""Bits, multiply-accumulates and bytes, worked out by hand."""

import json

import larq
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn._summary import _layer
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense
from keras_bnn.probe import LayerUse

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


def test_separable_layers_multiply_a_real_value_with_their_second_kernel():
    depthwise = {
        "input_quantizer": "ste_sign",
        "depthwise_quantizer": "ste_sign",
        "depthwise_constraint": "weight_clip",
    }
    pointwise = {"pointwise_quantizer": "ste_sign", "pointwise_constraint": "weight_clip"}
    model = tf.keras.Sequential(
        [
            larq.layers.QuantSeparableConv2D(
                6, 3, **depthwise, **pointwise, input_shape=(9, 9, 4), name="both"
            ),
            larq.layers.QuantSeparableConv2D(
                5, 3, input_quantizer="ste_sign", **pointwise, name="pointwise"
            ),
            layers.SeparableConv2D(7, 3, depth_multiplier=2, name="real"),
        ]
    )
    found = _by_name(model)
    assert {name: (s.binary_macs, s.float_macs) for name, s in found.items()} == {
        "both": (7 * 7 * 3 * 3 * 4, 7 * 7 * 4 * 6),
        "pointwise": (0, 5 * 5 * (3 * 3 * 6 + 6 * 5)),
        "real": (0, 3 * 3 * (3 * 3 * 5 * 2 + 10 * 7)),
    }
    assert [s.kernel_bytes for s in found.values()] == [4 * 60, 4 * 84, 4 * 160]


def test_groups_of_whole_words_become_1bit_and_others_stay_float():
    model = tf.keras.Sequential(
        [
            BinaryConv2D(128, 3, groups=2, input_shape=(5, 5, 64), name="words"),
            BinaryConv2D(8, 1, groups=8, name="parts"),
        ]
    )
    found = _by_name(model)
    assert found["words"].kernel_bytes == 4 * 3 * 3 * 1 * 128
    assert found["words"].binary_macs == 3 * 3 * 3 * 3 * 32 * 128
    assert found["parts"].kernel_bytes == 4 * 16 * 8
    assert found["parts"].binary_macs == 3 * 3 * 16 * 8


def test_layers_with_unusual_positions():
    model = tf.keras.Sequential(
        [
            layers.Conv1DTranspose(6, 4, strides=2, input_shape=(10, 3), name="transposed"),
            layers.LocallyConnected1D(2, 3, name="local"),
            layers.Dense(4, name="rows"),
        ]
    )
    macs = {name: s.float_macs for name, s in _by_name(model).items()}
    assert macs == {
        "transposed": 10 * 4 * 6 * 3,
        # 22 steps, of which 20 windows each have 3 × 6 × 2 weights of their own.
        "local": 20 * 3 * 6 * 2,
        "rows": 20 * 2 * 4,
    }


def test_heads_of_attention_are_no_positions():
    inputs = tf.keras.Input((10, 32))
    attention = layers.MultiHeadAttention(4, 8)(inputs, inputs)
    model = tf.keras.Model(inputs, layers.EinsumDense("...x,xy->...y", 6)(attention))
    macs = [s.float_macs for s in kb.summary(model).layers]
    # Query, key and value from 32 channels to 4 heads of 8, and back.
    assert macs == [*[10 * 32 * 4 * 8] * 4, 10 * 32 * 6]


def test_channels_first_counts_the_same():
    # As a GPU would have it called: a CPU has no kernels for it.
    layer = BinaryConv2D(8, 3, groups=2, data_format="channels_first")
    layer.build((None, 4, 7, 6))
    summed = _layer(LayerUse(layer, "c", [(2, 4, 7, 6)], [(2, 8, 5, 4)], (-1.0, 1.0)), 2)
    assert summed.binary_macs == 5 * 4 * 3 * 3 * 2 * 8
    assert summed.kernel_bytes == 4 * 3 * 3 * 2 * 8


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.ConvLSTM2D(8, 3), (5, 6, 6, 2)),
        (layers.TimeDistributed(layers.LSTM(3)), (5, 6, 2)),
        (layers.RNN(layers.GRUCell(3)), (5, 6)),
    ],
    ids=["convolutional", "wrapped", "cell"],
)
def test_recurrent_layers_are_not_listed(layer, shape):
    inputs = tf.keras.Input(shape)
    assert kb.summary(tf.keras.Model(inputs, layer(inputs))).layers == []


def test_shared_layers_count_each_call_and_names_only_kernels():
    inputs = tf.keras.Input((16,))
    shared = BinaryDense(16, use_bias=True, name="kernel_of_two")
    normalized = layers.BatchNormalization(name="kernel_norm")(shared(shared(inputs)))
    model = tf.keras.Model(inputs, normalized)
    (layer,) = kb.summary(model).layers
    assert layer.binary_macs == 2 * 16 * 16
    assert layer.parameters == 16 * 16 + 16
    assert layer.kernel_bytes == 4 * 16


def test_a_kernel_that_is_only_marked_is_real():
    marked = larq.quantizers.NoOp(precision=1)
    (layer,) = kb.summary(
        tf.keras.Sequential([BinaryDense(16, kernel_quantizer=marked, input_shape=(16,))])
    ).layers
    assert (layer.weight_bits, layer.input_bits, layer.binary_macs) == (32, 1, 0)


def test_open_sizes_count_as_32_and_fixed_batches_as_one_sample():
    opened = tf.keras.Sequential([BinaryConv2D(4, 1, input_shape=(None, None, 2))])
    assert kb.summary(opened).binary_macs == 32 * 32 * 2 * 4
    fixed = tf.keras.Sequential([tf.keras.Input((3,), batch_size=5), BinaryDense(4)])
    assert kb.summary(fixed).binary_macs == 3 * 4


def test_unbuilt_models_are_refused_in_one_line():
    with pytest.raises(InputError) as error:
        kb.summary(tf.keras.Sequential([BinaryDense(4)]))
    assert "\n" not in str(error.value)


def test_bytes_are_those_of_the_exported_file(tmp_path):
    model = kb.models.BinaryNet((8, 8, 1), 10)
    exported = kb.export.to_tflite(model, tmp_path / "m.tflite")
    summed = _by_name(model)
    assert all(summed[fate.name].kernel_bytes == fate.bytes for fate in exported.layers)


def test_text_and_json():
    summary = kb.summary(kb.models.BinaryNet((8, 8, 1), 10))
    assert "binary_1" in str(summary)
    assert json.loads(json.dumps(summary.to_dict()))["binary_macs"] == summary.binary_macs


def test_an_input_that_holds_no_numbers_is_named(tmp_path):
    text = tf.keras.Input((), dtype=tf.string, name="text")
    lengths = layers.Lambda(lambda x: tf.cast(tf.strings.length(x), tf.float32)[:, None])(text)
    model = tf.keras.Model(text, BinaryDense(4)(lengths))
    for ask in (kb.summary, lambda model: kb.export.to_tflite(model, tmp_path / "m.tflite")):
        with pytest.raises(InputError, match="Input 'text' is of type string, expected numbers"):
            ask(model)
