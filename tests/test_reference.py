"""The reference: worked by hand, against plain loops, and bit for bit against LCE."""

import numpy as np
import pytest
import single_operator
from hypothesis import given, settings
from hypothesis import strategies as st
from single_operator import ACTIVATIONS, PADDINGS, depths, geometries, pairs, scales, seeds

from keras_bnn import bits, reference

quick = settings(deadline=None)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)


def test_quantization_by_hand():
    # int8 with zero point 3: 2 is −1, 3 is +1. 1 / 0.3 rounds to 3.
    words = reference.quantize(np.array([[2, 3, -128, 127]], np.int8), zero_point=3)
    assert words.tolist() == [[0b0101]]
    assert reference.dequantize(words, 4).tolist() == [[-1, 1, -1, 1]]
    assert reference.dequantize(words, 4, "bool").tolist() == [[False, True, False, True]]
    assert reference.dequantize(words, 4, "int8", 0.3, 126).tolist() == [[123, 127, 123, 127]]


def test_bconv2d_by_hand():
    """One row of three pixels, one channel, + − −, seen through the kernel + + −."""
    image = bits.pack(np.array([1.0, -1, -1]).reshape(1, 1, 3, 1))
    kernel = bits.pack(np.array([1.0, 1, -1]).reshape(1, 1, 3, 1))

    def run(**options):
        return reference.bconv2d(image, kernel, channels_in=1, **options).ravel().tolist()

    # The windows are [p + −], [+ − −] and [− − p]; p is the padding.
    assert run() == [1]
    assert run(padding="same") == [3, 1, -3]
    assert run(padding="same", pad_values=0) == [2, 1, -2]
    assert run(padding="same", strides=2) == [3, -3]
    scaled = {"padding": "same", "multiplier": [-2.0], "bias": [0.5]}
    assert run(**scaled) == [-5.5, -1.5, 6.5]
    assert run(**scaled, activation="RELU") == [-5.5, -1.5, 0.5]
    assert run(**scaled, activation="RELU_N1_TO_1") == [-1.5, -1.5, 2.5]
    assert run(**scaled, scale=0.25, zero_point=-3) == [-25, -9, 23]
    # 0, 1 and 3 signs are different.
    assert run(padding="same", threshold=[0]) == [0, 1, 1]
    assert run(padding="same", threshold=[1]) == [0, 0, 1]
    assert run(padding="same", pad_values=0, activation="RELU") == [2, 1, 0]


def test_groups_see_their_own_channels_by_hand():
    image = np.ones((1, 1, 1, 64))
    image[..., 32:] = -1
    kernel = np.ones((4, 1, 1, 32))
    kernel[1] = -1
    result = reference.bconv2d(bits.pack(image), bits.pack(kernel), channels_in=64)
    assert result.ravel().tolist() == [32, -32, -32, -32]


def test_bmaxpool2d_by_hand():
    """Three pixels of two channels: −− +− −−. "same" pads the last window alone."""
    words = np.array([0b11, 0b10, 0b11], np.int32).reshape(1, 1, 3, 1)
    assert reference.bmaxpool2d(words, (1, 2), 2).ravel().tolist() == [0b10]
    assert reference.bmaxpool2d(words, (1, 2), 2, "same").ravel().tolist() == [0b10, 0b11]


def test_thresholds_by_hand():
    minus, plus = -(2**31), 2**31 - 1  # always −1, always +1
    # 2a − 1 < 0 where a < 0.5, so where more than 4 of 9 differ. 2a + 2 is 0 at a = −1, hence +1.
    limits = reference.thresholds([2, 2, 2, 0, 0], [-1, 2, -19, 0, -1], 9)
    assert limits.tolist() == [4, 5, minus, plus, minus]
    assert reference.thresholds([1, -1], [0, -1], 9, "RELU").tolist() == [plus, minus]
    assert reference.thresholds([1, -1], [-3, 3], 9, "RELU6").tolist() == [3, 6]


@settings(deadline=None, max_examples=150)
@given(single_operator.convolutions())
def test_bconv2d_is_lce_bit_for_bit(case):
    words, filters, options = case
    result = reference.bconv2d(words, filters, **options)
    data = single_operator.bconv2d(words, filters, result, **options)
    assert same_bits(single_operator.File(data).evaluate(words), result)
    for kernel in single_operator.exact_lce_kernels(*case):
        assert same_bits(single_operator.run_on_lce(data, words, kernel=kernel), result), kernel


@quick
@given(geometries(depth=st.integers(1, 60).map(lambda half: 2 * half)), seeds)
def test_true_zeros_are_lces_and_its_reference_kernel_rounds_otherwise(case, seed):
    image, kernel, options = case
    options |= {"padding": "same", "pad_values": 0, "channels_in": image.shape[-1]}
    m, b = np.random.default_rng(seed).normal(size=(2, len(kernel))).astype(np.float32)
    words, filters = bits.pack(image), bits.pack(kernel)
    options |= {"multiplier": m, "bias": b, "activation": "NONE"}
    result = reference.bconv2d(words, filters, **options)
    data = single_operator.bconv2d(words, filters, result, **options)
    for kernel_name in single_operator.exact_lce_kernels(words, filters, options):
        assert same_bits(single_operator.run_on_lce(data, words, kernel=kernel_name), result)
    other = single_operator.run_on_lce(data, words, kernel="reference")
    # At most 7 roundings, each off by 2^-24 of a number no larger than |b| + 4·k·|m|.
    bound = 7 * 2.0**-24 * (abs(b) + 4 * kernel[0].size * abs(m)).astype(np.float64)
    assert (abs(result.astype(np.float64) - other) <= bound).all()


@quick
@given(geometries(depth=st.integers(1, 5), most=2))
def test_dot_products_are_plain_loops(case):
    image, kernel, options = case
    result = reference.dot_products(image, kernel, **options)
    (_, height, width, channels), (count, rows, columns, depth) = image.shape, kernel.shape
    (down, right), (row_step, column_step) = options["strides"], options["dilations"]
    above = max((result.shape[1] - 1) * down + (rows - 1) * row_step + 1 - height, 0) // 2
    before = max((result.shape[2] - 1) * right + (columns - 1) * column_step + 1 - width, 0) // 2
    for n, y, x, o in np.ndindex(result.shape):
        first, total = o // (count * depth // channels) * depth, 0
        for i, j in np.ndindex(rows, columns):
            row = y * down + i * row_step - above
            column = x * right + j * column_step - before
            inside = 0 <= row < height and 0 <= column < width
            pixel = image[n, row, column] if inside else np.full(channels, options["pad_values"])
            total += sum(pixel[first : first + depth] * kernel[o, i, j])
        assert result[n, y, x, o] == total


quarters = st.integers(-40, 40).map(lambda number: number / 4)


@quick
@given(
    st.lists(st.tuples(quarters, quarters), min_size=1, max_size=9),
    depths,
    st.sampled_from(ACTIVATIONS),
)
def test_thresholds_are_the_exact_sign(channels, k, activation):
    m, b = np.array(channels).T
    limits = reference.thresholds(m, b, k, activation)
    low, high = dict(zip(ACTIVATIONS, [(-k, k), (0, k), (-1, 1), (0, 6)], strict=True))[activation]
    different = np.arange(k + 1)[:, None]
    # Products and sums of quarters are exact.
    negative = np.clip(k - 2 * different, low, high) * m + b < 0
    assert limits.dtype == np.int32
    assert np.array_equal(np.where(m < 0, k - different, different) > limits, negative)


@quick
@given(depths, pairs, pairs, st.sampled_from(PADDINGS), st.integers(0, 4), st.integers(0, 4), seeds)
def test_bmaxpool2d_is_lce(channels, size, strides, padding, more_rows, more_columns, seed):
    least = size if padding == "valid" else (1, 1)
    shape = (2, least[0] + more_rows, least[1] + more_columns, channels)
    # Mostly −1, so that windows of nothing but −1 happen.
    values = np.where(np.random.default_rng(seed).random(shape) < 0.8, -1.0, 1.0)
    words = bits.pack(values)
    options = {"pool_size": size, "strides": strides, "padding": padding}
    result = reference.bmaxpool2d(words, **options)
    data = single_operator.bmaxpool2d(words, result, **options)
    assert same_bits(single_operator.File(data).evaluate(words), result)
    assert same_bits(single_operator.run_on_lce(data, words), result)


@quick
@given(depths, st.integers(-128, 127), scales, seeds)
def test_quantize_and_dequantize_are_lce(channels, zero_point, scale, seed):
    rng = np.random.default_rng(seed)
    near = rng.integers(zero_point - 3, zero_point + 4, (2, channels))
    integers = np.clip(near, -128, 127).astype(np.int8)
    floats = rng.choice(np.array([0, -0.0, np.nan, np.inf, -np.inf, -1, 1], np.float32), channels)
    quantization = {"scale": scale, "zero_point": zero_point}
    for values, given_ in ((integers, quantization), (floats[None], {}), (integers > 0, {})):
        words = reference.quantize(values, given_.get("zero_point", 0))
        data = single_operator.quantize(values, words, **given_)
        assert same_bits(single_operator.run_on_lce(data, values), words)
    for dtype, given_ in (("float32", {}), ("bool", {}), ("int8", quantization)):
        result = reference.dequantize(words, channels, dtype, **given_)
        data = single_operator.dequantize(words, result, **given_)
        assert same_bits(single_operator.File(data).evaluate(words), result)
        assert same_bits(single_operator.run_on_lce(data, words), result)


@pytest.mark.parametrize(
    ("m", "b", "expected"),
    [
        # With a = 1, y = m + b: these are ties.
        (0.5, [0.0, 1.0, 2.0], [1, 2, 3]),
        (-0.5, [0.0, -1.0, -2.0], [-1, -2, -3]),
        # The float32 below one half is none, though adding 0.5 in float32 gives 1.
        (0.0, [0.49999997, -0.49999997], [0, 0]),
        (100.0, [0.0, 27.4, 28.0], [100, 127, 127]),
        (-100.0, [0.0, -28.4, -29.0], [-100, -128, -128]),
    ],
)
def test_int8_rounds_halves_away_from_zero_and_saturates(m, b, expected):
    one = bits.pack(np.ones((1, 1, 1, 1)))
    filters = np.repeat(one, len(b), axis=0)
    options = {"channels_in": 1, "multiplier": [m] * len(b), "bias": b, "scale": 1.0}
    result = reference.bconv2d(one, filters, **options)
    assert result.ravel().tolist() == expected
    data = single_operator.bconv2d(one, filters, result, **options)
    assert same_bits(single_operator.run_on_lce(data, one), result)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_thresholds_are_the_converters(activation, tmp_path):
    import larq as lq
    import tensorflow as tf
    from larq_compute_engine import convert_saved_model

    clamp = {
        "NONE": tf.identity,
        "RELU": tf.nn.relu,
        "RELU_N1_TO_1": lambda x: tf.clip_by_value(x, -1.0, 1.0),
        "RELU6": tf.nn.relu6,
    }[activation]
    rng = np.random.default_rng(7)
    count, k = 600, 2 * 3 * 45
    m, b = (rng.normal(size=(2, count)) * [[1], [60]]).astype(np.float32)
    m[:20], b[10:40], b[40:80] = 0, 0, -m[40:80] * rng.integers(-k, k, 40).astype(np.float32)
    kernels = [
        rng.choice(np.float32([-1, 1]), shape) for shape in ((2, 3, 45, count), (1, 1, count, 1))
    ]

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 45))])
    def run(x):
        x = clamp(tf.nn.conv2d(lq.math.sign(x), kernels[0], 1, "VALID")) * m + b
        return tf.nn.conv2d(lq.math.sign(x), kernels[1], 1, "VALID")

    module = tf.Module()
    module.run = run
    tf.saved_model.save(module, str(tmp_path), signatures=run)
    file = single_operator.File(convert_saved_model(str(tmp_path)))
    codes, operators, options = zip(*file.operators, strict=True)
    assert codes == ("LceQuantize", "LceBconv2d", "LceBconv2d")
    assert options[1]["fused_activation_function"] == ACTIVATIONS.index(activation)
    limits = reference.thresholds(m, b, k, activation)
    assert same_bits(file.constant(operators[1].inputs[4]), limits)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_files_that_lce_wrote_are_lce_bit_for_bit(dtype):
    import tensorflow as tf
    from larq.layers import QuantConv2D
    from larq_compute_engine import convert_keras_model
    from tf_keras import Model, layers

    rng = np.random.default_rng(3)
    binary = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}
    x = image = layers.Input((13, 11, 5))
    if dtype == "int8":
        x = tf.quantization.fake_quant_with_min_max_vars(x, -3.0, 2.0)
    x = QuantConv2D(40, 3, padding="same", pad_values=1.0, activation="relu", **binary)(x)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPool2D(2, padding="same")(x)
    x = layers.BatchNormalization()(QuantConv2D(96, (3, 2), **binary)(x))
    x = QuantConv2D(9, (2, 1), groups=3, dilation_rate=2, **binary)(x)
    if dtype == "int8":
        x = tf.quantization.fake_quant_with_min_max_vars(layers.BatchNormalization()(x), -9.0, 8.0)
    else:
        x = layers.BatchNormalization()(QuantConv2D(7, 2, padding="same", **binary)(x))
    model = Model(image, x)
    for norm in (x for x in model.layers if isinstance(x, layers.BatchNormalization)):
        shape = norm.gamma.shape
        norm.set_weights([*rng.normal(0, 9, (3, *shape)), rng.uniform(1, 9, shape)])
    kind = tf.as_dtype(dtype)
    data = convert_keras_model(model, inference_input_type=kind, inference_output_type=kind)
    file = single_operator.File(data)
    assert {"LceQuantize", "LceBconv2d", "LceBMaxPool2d"} == {code for code, *_ in file.operators}
    for _ in range(20):
        values = rng.integers(-2, 3, (1, 13, 11, 5)).astype(dtype)
        result = file.evaluate(values)
        assert result.dtype == dtype
        assert same_bits(single_operator.run_on_lce(data, values, kernel="indirect"), result)


convolve = {"words": np.zeros((1, 3, 3, 2), np.int32), "filters": np.zeros((4, 2, 2, 2), np.int32)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels_in": 65}, "65 channels take 3"),
        ({"channels_in": 40, "filters": np.zeros((4, 2, 2, 1), np.int32)}, "40 channels, 2 groups"),
        ({"filters": np.zeros((3, 2, 2, 1), np.int32)}, "equal groups"),
        ({"filters": np.zeros((4, 2, 2), np.int32)}, "4 axes"),
        ({"filters": np.zeros((4, 4, 4, 2), np.int32)}, "window of 4"),
        ({"words": np.zeros((1, 3, 3, 2))}, "float64"),
        ({"multiplier": [1.0]}, r"multiplier of shape \(1,\)"),
        ({"bias": np.ones((4, 1))}, "bias of shape"),
        ({"threshold": np.zeros(4, np.int32), "scale": 1.0}, "only one"),
        ({"threshold": [5.0] * 4}, "threshold of float64; expected integers"),
        ({"threshold": [2**31] * 4}, "threshold of int64; expected integers from -2147483648"),
        ({"zero_point": 7}, "zero_point=7 without scale"),
        ({"scale": 0.0}, "scale"),
        ({"strides": (1, 0)}, "strides"),
        ({"padding": "SAME"}, "'SAME'"),
        ({"pad_values": -1}, "pad_values=-1"),
        ({"activation": "TANH"}, "TANH"),
    ],
)
def test_errors_say_what_was_got(changes, message):
    with pytest.raises(ValueError, match=message) as raised:
        reference.bconv2d(**{"channels_in": 64, **convolve, **changes})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("wrong", [0.5, 0, np.nan, 2])
def test_values_that_are_no_signs_are_refused(wrong):
    signs, others = np.ones((1, 2, 2, 3)), np.full((1, 2, 2, 3), wrong)
    for name, arguments in (("values", (others, signs)), ("kernel", (signs, others))):
        with pytest.raises(ValueError, match=rf"Got {name} with .*; expected -1 and \+1"):
            reference.dot_products(*arguments)
