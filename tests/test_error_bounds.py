"""Error bounds: wide enough for what rounding does, and narrow where little of it is handed on."""

import numpy as np
import pytest
import tensorflow as tf

from keras_bnn.export.bake import bake
from keras_bnn.export.error_bounds import ErrorBounds
from keras_bnn.export.propagation import FUNCTIONS

layers = tf.keras.layers


def compute(name, x):
    argument = "x" if name in ("Abs", "Erf", "Neg", "Sigmoid", "Tanh") else "features"
    return getattr(tf.raw_ops, name)(**{argument: tf.constant(x)}).numpy()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_slope_within_reach_is_steeper(name, generator):
    slope, _ = FUNCTIONS[name]
    x = generator.normal(scale=5, size=(2000, 1))
    reach = 10.0 ** generator.uniform(-3, 1, size=(2000, 1))
    change = np.abs(compute(name, x + reach * np.linspace(-1, 1, 101)) - compute(name, x))
    allowed = slope(tf.constant(x), tf.constant(reach)) * reach
    assert (change <= np.asarray(allowed) * (1 + 1e-6) + 1e-12).all()


def test_open_and_shut_gates_hand_on_no_errors(generator):
    """Were their slopes taken for the steepest of a sigmoid, the errors would double at each."""
    image = x = tf.keras.Input((64,))
    kernel, bias = tf.keras.initializers.Orthogonal(3, seed=0), tf.keras.initializers.Constant
    for number in range(20):
        gate = layers.Dense(64, "sigmoid", kernel_initializer=kernel, bias_initializer=bias(30))(x)
        x = layers.multiply([image, gate]) if number % 2 else layers.add([image, gate])
    model = tf.keras.Model(image, x)
    samples = generator.normal(size=(8, 64)).astype(np.float32)
    (found,), (bound,) = ErrorBounds(bake(model).graph, []).of([samples])
    exact = in_float64(model, samples)
    assert (np.abs(found - exact) <= bound).all()
    assert bound.max() < 1e-4 * np.abs(exact).max()


def in_float64(model, samples):
    with np.errstate(over="ignore"):
        x = samples = samples.astype(np.float64)
        for number, dense in enumerate(
            layer for layer in model.layers if isinstance(layer, layers.Dense)
        ):
            kernel, bias = (weight.numpy().astype(np.float64) for weight in dense.weights)
            gate = 1 / (1 + np.exp(-(x @ kernel + bias)))
            x = samples * gate if number % 2 else samples + gate
    return x


def test_errors_of_two_factors_multiply_too():
    """Both factors are 0 within rounding: their product can be as far off as its bound says."""
    image = tf.keras.Input((3,))
    model = tf.keras.Model(image, layers.multiply([layers.Dense(1)(image), layers.Dense(1)(image)]))
    for dense in model.layers[1:3]:
        dense.set_weights([np.float32([[1], [1], [-1]]), np.zeros(1, np.float32)])
    large = np.float32([[1e8, 1, 1e8]])
    (found,), (bound,) = ErrorBounds(bake(model).graph, []).of([large])
    assert found in (0, 1)
    assert bound >= 1
