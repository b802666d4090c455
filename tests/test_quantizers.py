"""Every quantizer: its values, its pseudo-gradient, and what is taken in its place."""

import functools

import larq
import numpy as np
import pytest

from keras_bnn import layers, quantizers
from keras_bnn._keras import keras, tf

EDGES = np.array([0.5, 1.0, 1.5], np.float32)
GRID = np.unique(
    np.concatenate(
        [
            np.linspace(-2, 2, 33, dtype=np.float32),
            *(sign * np.nextafter(EDGES, to) for sign in (-1, 1) for to in np.float32([0, 9])),
            np.float32([-1e-30, 1e-30, -40, 40]),
        ]
    )
)
BINARY_NAMES = ("approx_sign", "magnitude_aware_sign", "ste_sign", "swish_sign")


def straight_through(clip_value):
    return lambda x: (np.abs(x) <= clip_value).astype(np.float32)


def approx(x):
    return np.where(np.abs(x) <= 1, 2 - 2 * np.abs(x), 0)


def swish(beta):
    def gradient(x):
        x = beta * x.astype(np.float64)
        return beta * (2 - x * np.tanh(x / 2)) / (1 + np.cosh(x))

    return gradient


# One line a quantizer: the object and dq/dx.
ELEMENTWISE = {
    "ste": (quantizers.SteSign(), straight_through(1.0)),
    "ste 0.5": (quantizers.SteSign(clip_value=0.5), straight_through(0.5)),
    "ste 1.5": (quantizers.SteSign(clip_value=1.5), straight_through(1.5)),
    "ste never cut": (quantizers.SteSign(clip_value=None), straight_through(np.inf)),
    "approx": (quantizers.ApproxSign(), approx),
    "swish": (quantizers.SwishSign(), swish(5.0)),
    "swish 2": (quantizers.SwishSign(beta=2.0), swish(2.0)),
}
every_elementwise = pytest.mark.parametrize(
    ("quantizer", "gradient"), ELEMENTWISE.values(), ids=ELEMENTWISE
)
every_quantizer = pytest.mark.parametrize(
    "quantizer",
    [*(quantizer for quantizer, _ in ELEMENTWISE.values()), quantizers.MagnitudeAwareSign(0.5)],
    ids=[*ELEMENTWISE, "magnitude aware"],
)


def gradient_of(quantizer, x, upstream):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = quantizer(x)
    return tape.gradient(outputs, x, tf.constant(upstream)).numpy()


@every_elementwise
def test_values_are_the_sign_and_zero_is_plus_one(quantizer, gradient):
    x = np.append(GRID, np.float32([0.0, -0.0]))
    assert np.signbit(x[-1])
    np.testing.assert_array_equal(quantizer(x).numpy(), np.where(x >= 0, 1, -1))


@every_elementwise
def test_gradient_is_the_stated_one(quantizer, gradient):
    upstream = np.linspace(-3, 3, len(GRID), dtype=np.float32)
    found = gradient_of(quantizer, GRID, upstream)
    np.testing.assert_allclose(found, upstream * gradient(GRID), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("clip_value", [0.5, 1.0, 1.5])
def test_gradient_is_cut_beyond_the_edge_and_not_at_it(clip_value):
    edge = np.float32(clip_value)
    x = np.array([np.nextafter(edge, np.float32(0)), edge, np.nextafter(edge, np.float32(9))])
    quantizer = quantizers.SteSign(clip_value=clip_value)
    np.testing.assert_array_equal(gradient_of(quantizer, x, np.ones_like(x)), [1, 1, 0])
    np.testing.assert_array_equal(gradient_of(quantizer, -x, np.ones_like(x)), [1, 1, 0])


@pytest.mark.parametrize("beta", [2.0, 5.0])
def test_swish_gradient_is_the_derivative_of_sign_swish(beta):
    def sign_swish(x):
        sigmoid = 1 / (1 + np.exp(-beta * x))
        return 2 * sigmoid * (1 + beta * x * (1 - sigmoid)) - 1

    x, step = np.linspace(-2, 2, 41), 1e-5
    difference = (sign_swish(x + step) - sign_swish(x - step)) / (2 * step)
    np.testing.assert_allclose(swish(beta)(x), difference, atol=1e-8)


@pytest.mark.parametrize("clip_value", [1.0, 0.5, None])
def test_magnitude_aware_sign(clip_value):
    # The channels' means of |w| are 0.75 and 0.625, all exact in binary.
    weights = np.array([[0.5, -0.0], [-1.0, 1.25], [0.5, -0.25], [-1.0, 1.0]], np.float32)
    means = np.float32([0.75, 0.625])
    quantizer = quantizers.MagnitudeAwareSign(clip_value)
    signs = np.where(weights >= 0, 1, -1)
    np.testing.assert_array_equal(quantizer(weights).numpy(), signs * means)
    upstream = np.arange(8, dtype=np.float32).reshape(4, 2)
    passes = np.abs(weights) <= (np.inf if clip_value is None else clip_value)
    found = gradient_of(quantizer, weights, upstream)
    np.testing.assert_array_equal(found, upstream * passes * means)


def test_magnitude_aware_sign_has_one_scale_per_output_channel(generator):
    kernel = generator.standard_normal((3, 3, 4, 5)).astype(np.float32)
    values = quantizers.MagnitudeAwareSign()(kernel).numpy()
    means = np.abs(kernel).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(values, np.where(kernel >= 0, means, -means), rtol=1e-6)


@every_quantizer
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_and_shape_stay(quantizer, dtype):
    x = tf.constant([[[-0.5, 0.25]], [[0.5, 0.25]]], dtype)
    outputs = quantizer(x)
    assert (outputs.dtype, outputs.shape) == (x.dtype, x.shape)


@every_quantizer
def test_configuration_round_trips(quantizer):
    configuration = keras.utils.serialize_keras_object(quantizer)
    assert configuration["registered_name"] == f"keras_bnn>{type(quantizer).__name__}"
    for again in (
        quantizers.get(configuration),
        type(quantizer).from_config(quantizer.get_config()),
    ):
        assert type(again) is type(quantizer)
        assert again.get_config() == quantizer.get_config()


@pytest.mark.parametrize("name", BINARY_NAMES)
@pytest.mark.parametrize("argument", ["input_quantizer", "kernel_quantizer"])
@pytest.mark.parametrize(
    "make",
    [
        functools.partial(layers.BinaryConv2D, 2, 3),
        functools.partial(layers.BinaryConv1D, 2, 3),
        functools.partial(layers.BinaryDense, 2),
    ],
    ids=["conv2d", "conv1d", "dense"],
)
def test_names_are_taken_everywhere(make, argument, name):
    class_name = name.title().replace("_", "")
    for written in (name, class_name):
        quantizer = getattr(make(**{argument: written}), argument)
        assert type(quantizer) is getattr(quantizers, class_name)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("ste_tern", larq.quantizers.SteTern),
        ("ste_heaviside", larq.quantizers.SteHeaviside),
        ("dorefa_quantizer", larq.quantizers.DoReFa),
    ],
)
def test_names_of_larqs_other_quantizers_are_taken(name, cls):
    assert type(layers.BinaryDense(2, input_quantizer=name).input_quantizer) is cls


@pytest.mark.parametrize("name", ["approx_sign", "ste_sign", "swish_sign"])
def test_larqs_bare_functions_become_classes(name):
    function = getattr(larq.quantizers, name)
    layer = layers.BinaryDense(2, input_quantizer=function, kernel_quantizer=function)
    expected = type(quantizers.get(name))
    assert type(layer.input_quantizer) is type(layer.kernel_quantizer) is expected
    np.testing.assert_array_equal(
        gradient_of(layer.input_quantizer, GRID, np.ones_like(GRID)),
        gradient_of(function, GRID, np.ones_like(GRID)),
    )


def unregistered(x):
    return tf.sign(x)


@keras.utils.register_keras_serializable("test_quantizers")
def registered(x):
    return tf.where(x >= 0.0, 1.0, -1.0)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (unregistered, "register_keras_serializable"),
        (lambda x: x, "register_keras_serializable"),
        (functools.partial(unregistered), "register_keras_serializable"),
        (tf.sign, "register_keras_serializable"),
        (quantizers.SteSign, "SteSign()"),
        (larq.quantizers.SteSign, "SteSign()"),
        ("ste_sing", "ste_sign"),
        ("", "ste_sign"),
        (1, "ste_sign"),
    ],
    ids=[
        "unregistered",
        "lambda",
        "partial",
        "sign",
        "class",
        "class of larq",
        "unknown name",
        "no name",
        "number",
    ],
)
@pytest.mark.parametrize("argument", ["input_quantizer", "kernel_quantizer"])
def test_others_are_refused_in_one_line_with_the_remedy(argument, wrong, named):
    with pytest.raises(ValueError, match=named.replace("(", r"\(").replace(")", r"\)")) as error:
        layers.BinaryDense(2, **{argument: wrong})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(
    "quantizer", [registered, "test_quantizers>registered"], ids=["function", "name"]
)
def test_registered_function_is_taken_and_round_trips(quantizer, suffix, tmp_path, generator):
    layer = layers.BinaryDense(
        3, input_quantizer=quantizer, kernel_quantizer=quantizer, input_shape=(5,)
    )
    model = keras.Sequential([layer])
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert loaded.layers[0].input_quantizer is loaded.layers[0].kernel_quantizer is registered
    x = generator.standard_normal((4, 5)).astype(np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))


def test_none_keeps_real_values():
    assert quantizers.get(None) is None


@pytest.mark.parametrize("clip_value", [0, -1.0, float("nan")])
@pytest.mark.parametrize("cls", [quantizers.SteSign, quantizers.MagnitudeAwareSign])
def test_clip_value_that_stops_every_gradient_is_refused(cls, clip_value):
    with pytest.raises(ValueError, match=r"clip_value is .*, expected a number above 0"):
        cls(clip_value=clip_value)


@pytest.mark.parametrize("beta", [0, -5.0])
def test_beta_must_be_positive(beta):
    with pytest.raises(ValueError, match=r"beta is .*, expected a number above 0"):
        quantizers.SwishSign(beta=beta)
