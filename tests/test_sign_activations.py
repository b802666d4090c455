"""Quantizers named as activations, as larq's documentation writes them."""

import larq
import numpy as np
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.layers import BinaryDense
from keras_bnn.quantizers import activations

BINARY = ("approx_sign", "ste_sign", "swish_sign")


def _class(name):
    return type(larq.quantizers.get(name))


@pytest.mark.parametrize("name", activations.NAMES)
def test_names_are_activations(name, generator):
    x = generator.standard_normal((4, 6)).astype(np.float32)
    found = tf.keras.layers.Activation(name)(x)
    assert (found == _class(name)()(x)).numpy().all()


def test_the_gradient_is_the_quantizers():
    x = tf.constant([-2.0, -0.5, 0.5, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.keras.layers.Activation("ste_sign")(x)
    assert tape.gradient(y, x).numpy().tolist() == [0, 1, 1, 0]


def _model(name):
    return tf.keras.Sequential(
        [
            tf.keras.Input((6,)),
            tf.keras.layers.Activation(name),
            larq.layers.QuantDense(
                5, kernel_quantizer="ste_sign", kernel_constraint="weight_clip", activation=name
            ),
            BinaryDense(4, activation=name),
        ]
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, "model.keras") for name in BINARY),
        ("ste_sign", "model.h5"),
        ("ste_sign", "model"),
    ],
)
def test_models_with_them_are_saved_and_loaded(name, path, generator, tmp_path):
    model = _model(name)
    model.save(tmp_path / path)
    loaded = kb.load_model(tmp_path / path)
    x = generator.standard_normal((8, 6)).astype(np.float32)
    assert (loaded(x) == model(x)).numpy().all()
    for layer in loaded.layers:
        assert type(layer.activation) is _class(name)


def test_they_are_signs_for_the_export(tmp_path):
    model = tf.keras.Sequential(
        [
            tf.keras.Input((8, 8, 32)),
            tf.keras.layers.Activation("ste_sign"),
            kb.layers.BinaryConv2D(32, 3, input_quantizer=None),
        ]
    )
    exported = kb.export.to_tflite(model, tmp_path / "model.tflite")
    assert [layer.fate for layer in exported.layers] == ["1-bit"]


def test_larqs_layers_get_a_new_object_of_larqs_class_by_name():
    first, second = (larq.quantizers.get("ste_sign") for _ in range(2))
    assert first is not second
    assert type(first) is type(second) is larq.quantizers.SteSign
    first.clip_value = 0.5
    assert tf.keras.layers.Activation("ste_sign").activation.clip_value == 1


def test_registering_again_changes_nothing():
    before = tf.keras.layers.Activation("ste_sign").activation
    activations.register()
    assert tf.keras.layers.Activation("ste_sign").activation is before
