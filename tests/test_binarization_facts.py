"""The field's basic facts, each worked by hand on numbers small enough to follow."""

import itertools

import numpy as np
import pytest

from keras_bnn import layers, quantizers
from keras_bnn._keras import keras, tf
from keras_bnn.layers.scales import weight_scale


def dense(weights, **arguments):
    weights = np.float32(weights)
    layer = layers.BinaryDense(weights.shape[1], **arguments)
    layer.build((None, weights.shape[0]))
    layer.set_weights([weights])
    return layer


def test_sign_of_a_matrix():
    matrix = np.float32([[0.7, -0.1, 0.0], [-2.5, -0.0, 1e-9]])
    signs = [[1, -1, 1], [-1, 1, 1]]
    assert quantizers.SteSign()(matrix).numpy().tolist() == signs


def test_straight_through_gradient_is_one_inside_and_nothing_outside():
    # The sign's own derivative is 0 everywhere: no weight would ever move.
    x = tf.constant([-1.2, -1.0, -0.3, 0.0, 0.9, 1.0, 1.1])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        hard, straight_through = tf.sign(x), quantizers.SteSign()(x)
    assert tape.gradient(hard, x).numpy().tolist() == [0, 0, 0, 0, 0, 0, 0]
    assert tape.gradient(straight_through, x).numpy().tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_gradient_at_the_binary_weight_updates_the_latent_weight():
    layer = dense([[0.05]])
    x, optimizer = tf.constant([[1.0]]), keras.optimizers.SGD(0.1)
    assert layer(x).numpy() == 1
    with tf.GradientTape() as tape:
        # dL/d(binary weight) is 3, whatever the latent weight is.
        loss = 3 * tf.reduce_sum(layer(x))
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert float(gradients[0][0, 0]) == 3
    optimizer.apply_gradients(zip(gradients, layer.trainable_variables, strict=True))
    # 0.05 - 0.1 · 3
    assert layer.get_weights()[0] == pytest.approx(-0.25)
    assert layer(x).numpy() == -1


def test_updating_the_binary_weight_instead_would_never_flip_it():
    binary_weight = 1.0
    for _ in range(100):
        updated = binary_weight - 0.1 * 3
        assert updated == pytest.approx(0.7)
        binary_weight = 1.0 if updated >= 0 else -1.0
    assert binary_weight == 1


def test_latent_weights_are_clipped_to_one_and_so_can_come_back():
    layer = dense([[0.9, -0.9]])
    x, optimizer = tf.constant([[1.0]]), keras.optimizers.SGD(0.1)
    latent = []
    for direction in (3.0, -3.0):
        with tf.GradientTape() as tape:
            loss = direction * tf.reduce_sum(layer(x) * [-1.0, 1.0])
        variables = layer.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        latent.append(layer.get_weights()[0].ravel())
    # 0.9 + 0.3 is cut to 1. Without the clip it would stay at 1.2, where the gradient is 0.
    assert latent[0].tolist() == [1, -1]
    assert latent[1] == pytest.approx([0.7, -0.7])


def test_scale_of_a_matrix():
    # As one output channel: mean of |W| is (0.2 + 0.2 + 0.6 + 0.6)/4, |mean of W| is |-0.8|/4.
    matrix = np.float32([[0.2, 0.2], [-0.6, -0.6]])
    column = matrix.reshape(4, 1)
    scales = {kind: float(weight_scale(column, kind)[0]) for kind in ("mean_abs", "abs_mean")}
    assert scales["mean_abs"] == pytest.approx(0.4)
    assert scales["abs_mean"] == pytest.approx(0.2)
    signs = quantizers.SteSign()(matrix).numpy()
    assert signs.tolist() == [[1, 1], [-1, -1]]
    errors = {kind: ((matrix - scale * signs) ** 2).sum() for kind, scale in scales.items()}
    # 0.4: four times 0.2² = 0.16.  0.2: twice 0² and twice 0.4² = 0.32.
    assert errors["mean_abs"] == pytest.approx(0.16)
    assert errors["abs_mean"] == pytest.approx(0.32)
    others = [((matrix - scale * signs) ** 2).sum() for scale in np.linspace(0, 1, 101)]
    assert min(others) >= errors["mean_abs"] - 1e-7


def test_layers_scale_that_matrix_as_one_channel():
    x = np.float32([[0.5, 0.1, -3.0, 0.0]])
    column = [[0.2], [0.2], [-0.6], [-0.6]]
    # (+1·+1) + (+1·+1) + (-1·-1) + (+1·-1) = 2
    for kind, scale in ((None, 1), ("mean_abs", 0.4), ("abs_mean", 0.2)):
        assert dense(column, weight_scale=kind)(x).numpy() == pytest.approx(2 * scale)


def test_xnor_and_popcount_are_multiply_and_accumulate():
    # ±1 as bits: 1 for +1. Equal signs multiply to +1, so k values sum to 2·popcount(xnor) - k.
    inputs, weights = [1, -1, -1, 1, 1], [1, 1, -1, -1, 1]
    assert sum(a * b for a, b in zip(inputs, weights, strict=True)) == 1 - 1 + 1 - 1 + 1 == 1
    a, b = 0b10011, 0b11001
    xnor = ~(a ^ b) & 0b11111
    assert xnor == 0b10101
    assert 2 * xnor.bit_count() - 5 == 1


def test_xnor_and_popcount_give_what_the_layer_gives():
    k = 4
    signs = list(itertools.product([1, -1], repeat=k))
    words = [sum((value > 0) << i for i, value in enumerate(row)) for row in signs]
    products = dense(np.float32(signs).T)(np.float32(signs)).numpy()
    for row, a in enumerate(words):
        for column, b in enumerate(words):
            equal = ~(a ^ b) & (2**k - 1)
            assert products[row, column] == 2 * equal.bit_count() - k
            # The form that kernels compute: a different sign costs 2.
            assert products[row, column] == k - 2 * (a ^ b).bit_count()


def test_values_of_the_output_layer_stay_real():
    layer = dense([[0.3, -0.2], [0.8, 0.1], [-0.5, 0.4]], weight_scale="mean_abs", use_bias=False)
    logits = layer(np.float32([[0.2, -0.7, 1.5]])).numpy()
    # Signs (+1, -1, +1): 1 - 1 - 1 = -1 and -1 - 1 + 1 = -1, times 1.6/3 and 0.7/3.
    assert logits.ravel() == pytest.approx([-1.6 / 3, -0.7 / 3])
    probabilities = tf.nn.softmax(logits).numpy().ravel()
    assert 0 < probabilities[0] < 0.5 < probabilities[1] < 1
