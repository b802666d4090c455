"""Every layer, in several configurations, keeps the same promises; one line a configuration."""

import larq
import numpy as np
import pytest

from keras_bnn import constraints, layers, load_model, quantizers
from keras_bnn._keras import keras, tf

IMAGE, STEPS, ROW = (7, 6, 4), (9, 4), (6,)
# Every option at once, in an order that only the documented one reproduces.
SCALED = {"weight_scale": "mean_abs", "use_bias": True, "activation": "tanh"}
ALL = {**SCALED, "input_scale": True, "strides": 2, "padding": "same", "groups": 2}

# Name: class, arguments, shape of one input.
CONFIGURATIONS = {
    "conv2d": (layers.BinaryConv2D, {}, IMAGE),
    "conv2d same": (layers.BinaryConv2D, {"padding": "same"}, IMAGE),
    "conv2d same 0": (layers.BinaryConv2D, {"padding": "same", "pad_values": 0.0}, IMAGE),
    "conv2d same stride": (layers.BinaryConv2D, {"padding": "same", "strides": (2, 3)}, IMAGE),
    "conv2d even kernel": (layers.BinaryConv2D, {"padding": "same", "kernel_size": (2, 4)}, IMAGE),
    "conv2d dilation": (layers.BinaryConv2D, {"padding": "same", "dilation_rate": (2, 3)}, IMAGE),
    "conv2d groups": (layers.BinaryConv2D, {"padding": "same", "groups": 2}, IMAGE),
    "conv2d mean_abs": (layers.BinaryConv2D, {"weight_scale": "mean_abs"}, IMAGE),
    "conv2d abs_mean": (layers.BinaryConv2D, {"weight_scale": "abs_mean"}, IMAGE),
    "conv2d input_scale": (layers.BinaryConv2D, {"padding": "same", "input_scale": True}, IMAGE),
    "conv2d K zeros": (layers.BinaryConv2D, {**ALL, "pad_values": 0.0, "groups": 1}, IMAGE),
    "conv2d bias relu": (layers.BinaryConv2D, {"use_bias": True, "activation": "relu"}, IMAGE),
    "conv2d all": (layers.BinaryConv2D, ALL, IMAGE),
    "conv1d": (layers.BinaryConv1D, {}, STEPS),
    "conv1d same": (layers.BinaryConv1D, {"padding": "same", "strides": 2}, STEPS),
    "conv1d same 0": (layers.BinaryConv1D, {"padding": "same", "pad_values": 0.0}, STEPS),
    "conv1d causal": (layers.BinaryConv1D, {"padding": "causal", "dilation_rate": 2}, STEPS),
    "conv1d causal K": (layers.BinaryConv1D, {**ALL, "padding": "causal", "groups": 1}, STEPS),
    "conv1d all": (layers.BinaryConv1D, ALL, STEPS),
    "dense": (layers.BinaryDense, {}, ROW),
    "dense rows": (layers.BinaryDense, {"weight_scale": "abs_mean"}, (5, *ROW)),
    "dense all": (layers.BinaryDense, SCALED, ROW),
}


every_layer = pytest.mark.parametrize(
    ("cls", "arguments", "shape"), CONFIGURATIONS.values(), ids=CONFIGURATIONS
)


def make(cls, arguments, **more):
    if "Conv" in cls.__name__:
        arguments = {"kernel_size": 3, **arguments}
    return cls(6, **arguments, **more)


def sixteenths(generator, shape, limit):
    """Random values, with zeros, of which float32 sums are exact."""
    return generator.integers(-16 * limit, 16 * limit + 1, shape).astype(np.float32) / 16


def built(cls, arguments, shape, generator, **more):
    """The layer with random latent weights, and a batch for it."""
    layer = make(cls, arguments, **more)
    layer.build((None, *shape))
    layer.set_weights([sixteenths(generator, w.shape, 1) for w in layer.weights])
    return layer, sixteenths(generator, (3, *shape), 2)


def sign(x):
    return np.where(x >= 0, np.float32(1), np.float32(-1))


def padded(layer, x, value):
    """`x` with `value` around it, as much as `padding` asks for."""
    amounts = [(0, 0)]
    for size, k, stride, dilation in zip(
        x.shape[1:-1], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        reach = (k - 1) * dilation
        total = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
        same = (total // 2, total - total // 2)
        amounts.append({"valid": (0, 0), "same": same, "causal": (reach, 0)}[layer.padding])
    return np.pad(x, [*amounts, (0, 0)], constant_values=value)


def taps(layer, x):
    """Yields each tap of the kernel and what of the padded `x` lies under it."""
    steps = list(zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True))
    lengths = [
        ((n - (k - 1) * dilation - 1) // stride) * stride + 1
        for n, (k, stride, dilation) in zip(x.shape[1:-1], steps, strict=True)
    ]
    for tap in np.ndindex(*layer.kernel_size):
        window = [
            slice(i * dilation, i * dilation + length, stride)
            for i, length, (_, stride, dilation) in zip(tap, lengths, steps, strict=True)
        ]
        yield tap, x[(slice(None), *window)]


def convolved(layer, x, kernel):
    """Convolution of the padded `x`, group by group."""
    outputs = 0.0
    for tap, window in taps(layer, x):
        inputs = np.split(window, layer.groups, axis=-1)
        kernels = np.split(kernel[tap], layer.groups, axis=-1)
        parts = [a @ b for a, b in zip(inputs, kernels, strict=True)]
        outputs = outputs + np.concatenate(parts, axis=-1)
    return outputs


def input_scale(layer, x):
    """K by brute force: the mean of |x| over every value under the kernel, the border included."""
    windows = [window for _, window in taps(layer, np.abs(padded(layer, x, layer.pad_values)))]
    groups = np.split(np.stack(windows), layer.groups, axis=-1)
    scales = [group.mean(axis=(0, -1)) for group in groups]
    return np.repeat(np.stack(scales, axis=-1), layer.filters // layer.groups, axis=-1)


def expected_output(layer, x):
    """The layer in NumPy: ±1 products, then the scales, then the bias, then the activation."""
    kernel = layer.get_weights()[0]
    if isinstance(layer, layers.BinaryDense):
        y = sign(x) @ sign(kernel)
    else:
        y = convolved(layer, padded(layer, sign(x), layer.pad_values), sign(kernel))
        y = y * input_scale(layer, x) if layer.input_scale else y
    rows = kernel.reshape(-1, kernel.shape[-1])
    if layer.weight_scale:
        mean_abs = layer.weight_scale == "mean_abs"
        y = y * (np.abs(rows).mean(axis=0) if mean_abs else np.abs(rows.mean(axis=0)))
    y = y + layer.get_weights()[1] if layer.use_bias else y
    return {"linear": lambda v: v, "relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}[
        layer.activation.__name__
    ](y)


def targets(outputs):
    return sixteenths(np.random.default_rng(1), outputs.shape, 3)


@pytest.mark.parametrize(("cls", "arguments", "shape"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
class TestEveryLayer:
    def test_output_is_the_numpy_computation(self, cls, arguments, shape, generator):
        layer, x = built(cls, arguments, shape, generator)
        found, expected = layer(x).numpy(), expected_output(layer, x)
        if {"weight_scale", "input_scale"} & arguments.keys():
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(found, expected)

    def test_graph_and_quantized_scope_change_nothing(self, cls, arguments, shape, generator):
        layer, x = built(cls, arguments, shape, generator)
        symbolic = layer(keras.Input(shape))
        assert symbolic.shape == layer.compute_output_shape((None, *shape))
        np.testing.assert_allclose(tf.function(layer)(x), layer(x), rtol=1e-6, atol=1e-6)
        # There the kernel itself reads ±1, of which every scale is 1.
        with larq.context.quantized_scope(True):
            inside = layer(x)
        np.testing.assert_array_equal(inside, layer(x))

    def test_configuration_round_trips(self, cls, arguments, shape, generator):
        layer = make(cls, arguments)
        again = cls.from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        assert again.get_config().keys() >= arguments.keys()

    def test_without_quantizers_it_is_the_keras_layer(self, cls, arguments, shape, generator):
        ours = {"weight_scale", "input_scale", "pad_values"}
        plain = {name: value for name, value in arguments.items() if name not in ours}
        none = dict.fromkeys(("input_quantizer", "kernel_quantizer", "kernel_constraint"))
        if cls is not layers.BinaryDense:
            none["pad_values"] = 0.0
        layer, x = built(cls, plain, shape, generator, **none)
        keras_cls = getattr(keras.layers, cls.__name__.removeprefix("Binary"))
        twin = make(keras_cls, {"use_bias": False, **plain})
        twin.build(x.shape)
        twin.set_weights(layer.get_weights())
        # Not to the bit: TensorFlow fuses the bias where the processor has kernels for that.
        np.testing.assert_allclose(layer(x), tf.function(twin)(x), rtol=1e-6)

    @pytest.mark.parametrize("dtype", ["float64", "float16", "mixed_float16"])
    def test_dtype_is_the_policys(self, cls, arguments, shape, dtype, generator):
        layer, x = built(cls, arguments, shape, generator, dtype=dtype)
        outputs = layer(x)
        assert outputs.dtype == layer.compute_dtype
        assert layer.kernel.dtype == layer.variable_dtype
        np.testing.assert_allclose(outputs, expected_output(layer, x), rtol=1e-2, atol=1e-2)

    def test_training_moves_latent_weights_within_the_clip(self, cls, arguments, shape, generator):
        layer, x = built(cls, arguments, shape, generator)
        optimizer, before = keras.optimizers.Adam(1.0), layer.get_weights()[0]
        for _ in range(3):
            with tf.GradientTape() as tape:
                outputs = layer(x)
                loss = tf.reduce_mean((outputs - targets(outputs)) ** 2)
            variables = layer.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        after = layer.get_weights()[0]
        assert (after != before).any()
        assert np.abs(after).max() <= 1


@pytest.mark.parametrize(
    "suffix",
    [
        ".keras",
        # test_saving has a layer of each class in these formats.
        pytest.param(".h5", marks=pytest.mark.slow),
        pytest.param("", id="saved_model", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("shape", [IMAGE, STEPS, ROW], ids=["conv2d", "conv1d", "dense"])
def test_saved_layers_predict_and_train_on(shape, suffix, generator, tmp_path):
    inputs, outputs = keras.Input(shape), []
    for name, (cls, arguments, own_shape) in CONFIGURATIONS.items():
        if own_shape == shape:
            outputs.append(make(cls, arguments, name=name.replace(" ", "_"))(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse", run_eagerly=True)
    x = sixteenths(generator, (3, *shape), 2)
    y = [targets(output) for output in model(x)]
    model.train_on_batch(x, y)
    path = tmp_path / f"model{suffix}"
    model.save(path)
    loaded = load_model(path)
    loaded.run_eagerly = True
    for layer, again in zip(model.layers[1:], loaded.layers[1:], strict=True):
        assert type(again) is type(layer)
        assert again.get_config() == layer.get_config()
        assert again.get_weights()[0].tobytes() == layer.get_weights()[0].tobytes()
    for _ in range(2):
        losses = [each.train_on_batch(x, y, return_dict=True) for each in (loaded, model)]
        assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", ["mean_abs", "abs_mean"])
@pytest.mark.parametrize(
    ("cls", "arguments", "shape"),
    [
        (layers.BinaryDense, {}, (6,)),
        (layers.BinaryConv1D, {"kernel_size": 3}, (3, 2)),
        (layers.BinaryConv2D, {"kernel_size": (3, 2)}, (3, 2, 4)),
    ],
    ids=["dense", "conv1d", "conv2d"],
)
def test_gradient_reaches_the_latent_weights_through_the_scale(
    cls, arguments, shape, kind, generator
):
    """With one window, y_o = α_o Σ s_i B_io, so dL/dW = [|W| <= 1] α_o Σ g s + dα_o/dW Σ g y/α."""
    layer, x = built(cls, {**arguments, "weight_scale": kind}, shape, generator)
    latent = layer.get_weights()[0].reshape(-1, 6)
    latent[0] = 1.25
    layer.set_weights([latent.reshape(layer.kernel.shape)])
    upstream = sixteenths(generator, (3, 6), 2)
    with tf.GradientTape() as tape:
        outputs = tf.reshape(layer(x), (3, 6))
    found = tape.gradient(outputs, layer.trainable_variables[0], upstream).numpy()
    signs = sign(x).reshape(3, -1)
    if kind == "mean_abs":
        scale, slope = np.abs(latent).mean(axis=0), np.sign(latent)
    else:
        scale, slope = np.abs(latent.mean(axis=0)), np.sign(latent.mean(axis=0))
    through_sign = (np.abs(latent) <= 1) * scale * (signs.T @ upstream)
    through_scale = slope / len(latent) * (upstream * (signs @ sign(latent))).sum(axis=0)
    expected = through_sign + through_scale
    np.testing.assert_allclose(found.reshape(-1, 6), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("cls", "shape"), [(layers.BinaryConv2D, IMAGE), (layers.BinaryConv1D, STEPS)]
)
def test_xnor_approximation_is_exact_where_magnitudes_are_constant(cls, shape, generator):
    layer = make(cls, {"weight_scale": "mean_abs", "input_scale": True})
    layer.build((None, *shape))
    kernel = 0.375 * sign(generator.standard_normal(layer.kernel.shape))
    layer.set_weights([kernel])
    x = 2.5 * sign(generator.standard_normal((2, *shape)))
    np.testing.assert_allclose(layer(x), convolved(layer, x, kernel), rtol=1e-5, atol=1e-5)


def test_input_scale_counts_the_border_as_the_padding_does():
    ones = {"kernel_initializer": "ones", "padding": "same", "input_scale": True}
    x = np.full((1, 1, 3, 1), 4.0, np.float32)
    # Rows of padding above and below; of the window's 9 values 2 or 3 are 4 and the rest 1 or 0.
    ones_around = layers.BinaryConv2D(1, 3, **ones)(x).numpy().ravel()
    np.testing.assert_allclose(ones_around, np.array([15, 18, 15]) / 9 * 9, rtol=1e-6)
    zeros_around = layers.BinaryConv2D(1, 3, pad_values=0.0, **ones)(x).numpy().ravel()
    np.testing.assert_allclose(zeros_around, np.array([8 * 2, 12 * 3, 8 * 2]) / 9, rtol=1e-6)


def test_defaults_are_those_of_a_binary_layer():
    layer = layers.BinaryConv2D(4, 3)
    assert type(layer.input_quantizer) is type(layer.kernel_quantizer) is quantizers.SteSign
    assert type(layer.kernel_constraint) is constraints.WeightClip
    assert (layer.use_bias, layer.weight_scale, layer.input_scale) == (False, None, False)
    assert layer.pad_values == layers.BinaryConv1D(4, 3, padding="same").pad_values == 1
    assert layers.BinaryConv1D(4, 3, padding="causal").pad_values == 0
    assert layers.BinaryConv1D(4, 3, 1, "causal").pad_values == 0
    assert layers.BinaryConv1D(4, 3, 1, "same").pad_values == 1


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (layers.BinaryDense, {"weight_scale": "mean"}, "expected None, 'mean_abs' or 'abs_mean'"),
        (
            layers.BinaryDense,
            {"weight_scale": "mean_abs", "kernel_quantizer": "magnitude_aware_sign"},
            "would scale twice",
        ),
        (
            layers.BinaryConv2D,
            {"weight_scale": "abs_mean", "kernel_quantizer": None},
            "kernel_quantizer is None",
        ),
        (
            layers.BinaryConv2D,
            {"input_scale": True, "input_quantizer": None},
            "input_quantizer is None",
        ),
        (
            layers.BinaryDense,
            {"weight_scale": "mean_abs", "kernel_quantizer": larq.quantizers.NoOp(precision=1)},
            "kernel_quantizer is <.*NoOp",
        ),
        (
            layers.BinaryConv2D,
            {"input_scale": True, "input_quantizer": larq.quantizers.NoOp(precision=1)},
            "input_quantizer is <.*NoOp",
        ),
        (layers.BinaryConv1D, {"padding": "causal", "pad_values": 1.0}, "zeros only"),
        (layers.BinaryConv1D, {"padding": "CAUSAL", "pad_values": -1}, "zeros only"),
    ],
)
def test_contradictions_are_refused_in_one_line(cls, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        make(cls, arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("arguments", [{}, {"padding": "same", "strides": 2}])
def test_open_heights_and_widths_are_taken(arguments, generator):
    layer, x = built(layers.BinaryConv2D, arguments, IMAGE, generator)
    open_layer = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 4])])
    np.testing.assert_array_equal(open_layer(x), expected_output(layer, x))


@pytest.mark.parametrize("arguments", [{"padding": "same"}, ALL], ids=["same", "all"])
def test_channels_first_is_the_same_layer(arguments, generator):
    layer, x = built(layers.BinaryConv2D, arguments, IMAGE, generator)
    first = make(layers.BinaryConv2D, arguments, data_format="channels_first")
    first.build((None, IMAGE[2], *IMAGE[:2]))
    first.set_weights(layer.get_weights())
    # On a CPU only compiled convolutions take channels first.
    outputs = tf.function(first, jit_compile=True)(np.moveaxis(x, -1, 1))
    np.testing.assert_allclose(np.moveaxis(outputs, 1, -1), layer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.BinaryDense(0),
        lambda: layers.BinaryConv1D(0, 3),
        lambda: layers.BinaryConv2D(0, 3),
    ],
    ids=["dense", "conv1d", "conv2d"],
)
def test_a_layer_without_outputs_is_refused(make):
    with pytest.raises(ValueError, match="positive"):
        make()
