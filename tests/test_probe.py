"""What counts as a kernel, and that no quantized kernel goes unseen."""

import larq
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryDense
from keras_bnn.probe import layers_with_kernels, probe, quantized_kernels

layers = tf.keras.layers


class _BinaryLSTMCell(larq.layers_base.BaseLayer, layers.LSTMCell):
    """As one writes it on larq, which has no recurrent layers of its own."""

    def _get_quantizer(self, name):
        return kb.quantizers.SteSign() if name.endswith("kernel") else None

    def call(self, inputs, states, training=None):
        with larq.context.quantized_scope(True):
            return layers.LSTMCell.call(self, inputs, states, training)


class _BinaryGRUCell(larq.layers_base.BaseLayer, layers.GRUCell):
    def _get_quantizer(self, name):
        return kb.quantizers.SteSign() if name.endswith("kernel") else None


class _Scaled(layers.Layer):
    """Has a weight that is no kernel, although its name says so."""

    def build(self, input_shape):
        self.kernel_scale = self.add_weight(name="kernel_scale", shape=input_shape[-1:])

    def call(self, inputs):
        return inputs * self.kernel_scale


def test_layers_are_named_as_one_likes():
    model = tf.keras.Sequential(
        [
            tf.keras.Input((4,)),
            layers.BatchNormalization(name="kernel_norm"),
            _Scaled(name="kernel"),
            BinaryDense(3, use_bias=True, name="kernel_layer"),
        ]
    )
    assert [layer.name for layer in layers_with_kernels(model)] == ["kernel_layer"]
    (use,) = probe(model)
    # The bias is no kernel, although "kernel_layer/bias" holds the word.
    assert use.kernel_shape == (4, 3)


def test_the_largest_kernel_is_not_a_bias():
    model = tf.keras.Sequential(
        [tf.keras.Input((1,)), BinaryDense(5, use_bias=True, name="kernel")]
    )
    assert probe(model)[0].kernel_shape == (1, 5)


def test_both_kernels_of_a_cell_that_is_called_are_seen():
    model = tf.keras.Sequential([tf.keras.Input((5, 8)), layers.RNN(_BinaryLSTMCell(4))])
    (use,) = probe(model)
    assert use.is_quantized
    assert not use.binary_input
    assert list(quantized_kernels(use.layer)) == ["kernel", "recurrent_kernel"]
    assert kb.summary(model).layers == []


class _Own(layers.Layer):
    """Has a kernel of its own, and a layer inside that has another."""

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], 5))
        self.inner = BinaryDense(2, name="inner")
        self.norm = layers.BatchNormalization()

    def call(self, inputs):
        return self.norm(self.inner(inputs @ self.kernel))


def test_a_kernel_beside_inner_layers_is_seen():
    model = tf.keras.Sequential([tf.keras.Input((4,)), _Own(name="own")])
    own, inner = kb.summary(model).layers
    assert (own.name, own.float_macs, own.kernel_bytes, own.parameters) == ("own", 20, 80, 20)
    assert (inner.name, inner.binary_macs, inner.parameters) == ("inner", 10, 10)


def test_a_call_of_the_users_own_is_put_back():
    model = tf.keras.Sequential([tf.keras.Input((4,)), BinaryDense(3)])
    (layer,) = model.layers
    original, calls = layer.call, []

    def counting(inputs):
        calls.append(inputs)
        return original(inputs)

    layer.call = counting
    probe(model)
    model(tf.ones((1, 4)))
    assert len(calls) == 2
    assert layer.call is counting


@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="a GPU computes channels first"
)
@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, data_format="channels_first", name="first"),
        layers.MaxPool2D(data_format="channels_first", name="first"),
    ],
    ids=["conv", "pool"],
)
def test_channels_first_is_counted_where_tensorflow_computes_it_and_else_one_line(layer):
    model = tf.keras.Sequential([tf.keras.Input((2, 6, 6)), layer])
    try:
        model(tf.zeros((1, 2, 6, 6)))
    except tf.errors.OpError:
        pass  # a processor for which TensorFlow has no such kernels
    else:
        assert kb.summary(model).name == model.name
        return
    with pytest.raises(InputError, match=r"first .*channels_first.*'channels_last'") as error:
        kb.summary(model)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("recurrent", "cell"),
    [(layers.LSTM, _BinaryLSTMCell), (layers.GRU, _BinaryGRUCell)],
    ids=["lstm", "gru"],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_quantized_cell_that_is_bypassed_is_refused(recurrent, cell, wrapped, tmp_path):
    layer = recurrent(4, name="memory", return_sequences=True)
    layer.cell = cell(4, name="binary_cell")
    inner = tf.keras.Sequential([tf.keras.Input((5, 8)), layer])
    model = tf.keras.Sequential([tf.keras.Input((5, 8)), inner]) if wrapped else inner
    for call in (
        probe,
        kb.summary,
        lambda model: kb.export.to_tflite(model, tmp_path / "m.tflite"),
    ):
        with pytest.raises(InputError) as error:
            call(model)
        message = str(error.value)
        assert "\n" not in message
        for word in (recurrent.__name__, "'memory'", "'binary_cell'", "tf.keras.layers.RNN"):
            assert word in message


def test_real_recurrent_layers_are_let_through():
    model = tf.keras.Sequential(
        [
            tf.keras.Input((5, 8)),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.GRU(4),
            BinaryDense(2, name="head"),
        ]
    )
    assert [use.label for use in probe(model)] == ["head"]
