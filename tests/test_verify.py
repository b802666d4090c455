"""What `verify` says of networks whose values are multiplied with each other."""

import math

import networks
import numpy as np
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.layers import BinaryConv2D, SqueezeExcitation

layers = tf.keras.layers


def gated(blocks):
    """Shortcuts around gated binary convolutions, multiplied with what they read, as in BNext."""
    tf.keras.utils.set_random_seed(0)
    image = x = tf.keras.Input((8, 8, 32))
    for _ in range(blocks):
        y = layers.BatchNormalization()(BinaryConv2D(32, 3, padding="same")(x))
        y = SqueezeExcitation(4, use_bias=True, mixes=True)([y, x])
        x = layers.add([x, layers.BatchNormalization()(layers.multiply([x, y]))])
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    model = networks.with_trained_statistics(tf.keras.Model(image, outputs))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(0).normal(size=(64, 8, 8, 32)), training=True)
    return model


@pytest.fixture(scope="module")
def gated_model(tmp_path_factory):
    """Such a network, and its file."""
    model, path = gated(16), tmp_path_factory.mktemp("gated") / "m.tflite"
    kb.export.to_tflite(model, path)
    return model, path


def test_bounds_of_gated_networks_do_not_grow_until_they_allow_anything(gated_model):
    verification = kb.export.verify(*gated_model)
    assert verification.ok, str(verification)
    assert verification.undecided == 0, str(verification)


@pytest.mark.parametrize(
    ("weight", "block"), [("squeeze/kernel", 0), ("excitation/kernel", -1), ("mixture", 0)]
)
def test_another_weight_of_a_gated_network_is_seen(gated_model, weight, block):
    model, path = gated_model
    found = [variable for variable in model.weights if weight in variable.name][block]
    before = found.numpy()
    found.assign(before * 1.5)
    verification = kb.export.verify(model, path)
    found.assign(before)
    assert not verification.ok, str(verification)


def test_what_a_binary_product_rounds_is_not_lost_where_its_activation_gives_0(tmp_path):
    """LCE adds and subtracts the factor, times the length of the sum, behind the activation."""
    norm = layers.BatchNormalization(epsilon=1e-5)
    model = networks.chain(BinaryConv2D(32, 3, activation="relu"), norm, shape=(8, 8, 512))
    norm.moving_mean.assign(tf.zeros(32))
    norm.moving_variance.assign(tf.zeros(32))
    kb.export.to_tflite(model, tmp_path / "m.tflite")
    verification = kb.export.verify(model, tmp_path / "m.tflite")
    assert verification.ok, str(verification)
    assert verification.max_abs_difference > 0


def squares(times):
    """A binary layer whose output is squared again and again."""
    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input((8, 8, 32))
    x = BinaryConv2D(32, 3)(image)
    for _ in range(times):
        x = layers.multiply([x, x])
    return networks.with_trained_statistics(tf.keras.Model(image, layers.BatchNormalization()(x)))


def test_values_that_leave_float32_are_said_to(tmp_path):
    """The model's become infinite, LiteRT's do not."""
    kb.export.to_tflite(squares(6), tmp_path / "m.tflite")
    verification = kb.export.verify(squares(6), tmp_path / "m.tflite")
    assert not verification.ok
    assert verification.wrong_outputs > 0
    assert verification.not_finite > 0
    assert verification.largest_excess == verification.max_abs_difference == math.inf
    assert str(verification).count("not finite") == 1


def test_large_values_that_stay_in_float32_are_compared(tmp_path):
    kb.export.to_tflite(squares(3), tmp_path / "m.tflite")
    verification = kb.export.verify(squares(3), tmp_path / "m.tflite")
    assert verification.ok, str(verification)
    assert verification.not_finite == verification.undecided == 0
    assert not kb.export.verify(squares(2), tmp_path / "m.tflite").ok


def test_what_rounding_could_make_anything_is_counted(tmp_path):
    """A difference that is all rounding, made large."""
    model = networks.chain(lambda x: 1e6 * ((x + 1e6) - 1e6 - x), BinaryConv2D(32, 3))
    kb.export.to_tflite(model, tmp_path / "m.tflite")
    verification = kb.export.verify(model, tmp_path / "m.tflite")
    assert verification.undecided > 0
    assert "undecided" in str(verification)
