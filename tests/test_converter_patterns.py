"""What becomes of every row of the table in export/README.md: 1-bit, float with a reason, refused.

Each row is one test here, whose name starts with the row's number.
"""

import larq
import networks
import numpy as np
import pytest
import tensorflow as tf
from networks import QUIET, chain, conv, norm

import keras_bnn as kb
from keras_bnn.errors import InputError
from keras_bnn.export import ExportError
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense

layers = tf.keras.layers


def quantized_by(function, **options):
    """A convolution whose signs are made by `function`, in front of it."""
    return chain(function, conv(**QUIET, **options))


class Threshold(layers.Layer):
    """A sign with a learned threshold for every channel."""

    def build(self, shape):
        self.threshold = self.add_weight("t", (shape[-1],), initializer="random_normal")

    def call(self, x):
        return tf.where(x >= self.threshold, 1.0, -1.0)


@tf.custom_gradient
def custom_gradient(x):
    return tf.where(x >= 0, 1.0, -1.0), lambda d: d


def straight_through(clipped):
    return lambda x: clipped(x) + tf.stop_gradient(tf.where(x >= 0, 1.0, -1.0) - clipped(x))


def functional(body, shape=(8, 8, 32)):
    image = tf.keras.Input(shape)
    return networks.with_trained_statistics(tf.keras.Model(image, body(image)))


def squeeze_and_excite(x):
    gate = layers.Dense(32, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    return conv()(x) * layers.Reshape((1, 1, 32))(gate)


def larq_layer(kernel_quantizer):
    return larq.layers.QuantConv2D(32, 3, **{**networks.LARQ, "kernel_quantizer": kernel_quantizer})


def scaled_over(axes):
    """A quantizer that scales ±1 by the mean magnitude over `axes`."""
    return lambda w: tf.sign(tf.sign(w) + 0.1) * tf.reduce_mean(tf.abs(w), axes, keepdims=True)


def with_dead_channel():
    layer = conv(kernel_quantizer="magnitude_aware_sign")
    model = chain(layer)
    latent = layer.kernel.latent_variable.numpy()
    latent[..., 3] = 0
    layer.kernel.latent_variable.assign(latent)
    return model


def ramp(shape):
    return tf.reshape(tf.linspace(-2.0, 2.0, int(np.prod(shape))), shape)


def bi_real_block(x):
    return conv()(layers.add([norm()(conv()(x)), x]))


def pooled_before_norm(gamma):
    model = chain(conv(), layers.MaxPool2D(), norm(), conv())
    model.layers[2].gamma.assign(gamma * np.ones(32, np.float32))
    return model


def with_sign_as_output():
    image = tf.keras.Input((8, 8, 32))
    return tf.keras.Model(image, kb.quantizers.SteSign()(conv()(image)))


ONE_BIT = {
    "1 larq's quantizers": lambda: [
        chain(conv(input_quantizer=name)) for name in ("ste_sign", "approx_sign", "swish_sign")
    ],
    "2 where": lambda: [
        quantized_by(lambda x: tf.where(x >= 0, 1.0, -1.0)),
        quantized_by(lambda x: tf.where(x < 0, -1.0, 1.0)),
        quantized_by(lambda x: tf.where(tf.less_equal(0.0, x), 1.0, -1.0)),
        quantized_by(lambda x: tf.sign(0.1 + tf.sign(x))),
        quantized_by(custom_gradient),
    ],
    "3 where, strictly": lambda: [
        quantized_by(lambda x: tf.where(x > 0, 1.0, -1.0)),
        quantized_by(lambda x: tf.where(x <= 0, -1.0, 1.0)),
    ],
    "4 learned thresholds": lambda: [
        chain(Threshold(), conv(**QUIET)),
        chain(conv(), norm(), Threshold(), conv(**QUIET)),
    ],
    "9 scaled kernels": lambda: [
        chain(conv(kernel_quantizer="magnitude_aware_sign")),
        chain(larq_layer(scaled_over([0, 1, 2]))),
        chain(larq_layer(scaled_over([0, 1, 2, 3]))),
        chain(larq_layer(lambda w: -0.5 * tf.sign(tf.sign(w) + 0.1))),
        chain(conv(weight_scale="mean_abs")),
    ],
    "11 dead channel": lambda: [with_dead_channel()],
    "17 scales after the convolution": lambda: [
        chain(conv(input_scale=True)),
        functional(squeeze_and_excite),
    ],
    "19 constants that are maps": lambda: [
        *(
            chain(conv(), lambda x, shape=shape: x * ramp(shape) + ramp(shape))
            for shape in ((1, 1, 1, 32), (8, 8, 32), (8, 8, 1), (1, 8, 32))
        ),
        # The converter finds the convolution behind a reshape, too.
        chain(
            BinaryConv1D(31, 3), lambda x: x + ramp((18, 31)), BinaryConv1D(8, 1), shape=(20, 32)
        ),
    ],
    "20 constant minus convolution": lambda: [chain(conv(), lambda x: 0.5 - x)],
    "23 activation, zero padding": lambda: [
        chain(conv(pad_values=0.0, activation="relu"), norm()),
        chain(conv(use_bias=True, bias_initializer="random_normal", activation="relu"), norm()),
        chain(conv(weight_scale="mean_abs", activation="relu"), norm()),
    ],
    "24 norm, then activation": lambda: [chain(conv(), norm(), layers.ReLU(), conv())],
    "25 PReLU": lambda: [
        chain(conv(), layers.PReLU("random_normal"), norm(), conv()),
        chain(conv(), layers.PReLU("random_normal", shared_axes=[1, 2]), norm(), conv()),
        chain(conv(), layers.LeakyReLU(), norm(), conv()),
    ],
    "27 packed output, zero padding": lambda: [chain(conv(pad_values=0.0), norm(), conv())],
    "28 residual": lambda: [functional(bi_real_block)],
    "29 sign as output": lambda: [with_sign_as_output()],
    "32 pool behind the sign": lambda: [
        chain(kb.quantizers.SteSign(), layers.MaxPool2D(), conv(**QUIET)),
        chain(conv(), norm(), kb.quantizers.SteSign(), layers.MaxPool2D(), conv(**QUIET)),
    ],
    "33 average pool": lambda: [chain(conv(), norm(), layers.AveragePooling2D(), conv())],
    "34 selections behind the sign": lambda: [
        chain(kb.quantizers.SteSign(), layers.Reshape((4, 16, 32)), conv(**QUIET)),
        chain(kb.quantizers.SteSign(), layers.UpSampling2D(2), conv(**QUIET)),
        chain(kb.quantizers.SteSign(), layers.Permute((2, 1, 3)), conv(**QUIET)),
        chain(kb.quantizers.SteSign(), layers.Cropping2D(1), conv(**QUIET)),
        functional(
            lambda x: conv(**QUIET)(
                layers.concatenate([kb.quantizers.SteSign()(x), kb.quantizers.SteSign()(-x)])
            )
        ),
        *(
            chain(
                kb.quantizers.SteSign(),
                layers.ZeroPadding2D(amounts),
                conv(padding="valid", **QUIET, **options),
            )
            for amounts, options in (
                (1, {}),
                (((0, 1), (0, 1)), {"strides": 2}),
                (2, {"dilation_rate": 2}),
                (((2, 0), (1, 1)), {}),
                (((3, 2), (0, 4)), {"strides": (1, 2)}),
            )
        ),
    ],
    "35 dropout behind the sign": lambda: [
        chain(kb.quantizers.SteSign(), layers.Dropout(0.5), conv(**QUIET)),
        chain(kb.quantizers.SteSign(), layers.SpatialDropout2D(0.5), conv(**QUIET)),
    ],
    "37 dense": lambda: [
        chain(BinaryDense(40), shape=(64,)),
        chain(BinaryDense(40), shape=(3, 64)),
        chain(BinaryDense(40), shape=(2, 3, 33)),
        chain(larq.layers.QuantDense(40, **networks.LARQ), shape=(64,)),
    ],
    "40 one-dimensional convolutions": lambda: [
        chain(layer, shape=(20, 33))
        for layer in (
            larq.layers.QuantConv1D(8, 3, padding="same", pad_values=1.0, **networks.LARQ),
            BinaryConv1D(8, 3, padding="same"),
            BinaryConv1D(8, 4, strides=2),
            BinaryConv1D(8, 3, dilation_rate=2),
            BinaryConv1D(8, 3, dilation_rate=3, padding="same"),
            BinaryConv1D(8, 3, padding="causal"),
            BinaryConv1D(8, 3, padding="causal", dilation_rate=2),
            BinaryConv1D(8, 3, padding="causal", strides=2),
        )
    ],
    "43 nested and distributed": lambda: [
        chain(layers.TimeDistributed(conv()), shape=(3, 8, 8, 32)),
        chain(tf.keras.Sequential([tf.keras.Sequential([conv(), norm()]), conv()])),
    ],
    "46 geometry": lambda: [
        chain(conv(5, size, strides=stride, dilation_rate=dilation, **padding), shape=(11, 13, 32))
        # Every padding with every step, and each of both with both sizes.
        for padding, sizes in (
            ({}, (2, 3, 2)),
            ({"pad_values": 0.0}, (3, 2, 3)),
            ({"padding": "valid"}, (2, 3, 3)),
        )
        for size, (stride, dilation) in zip(sizes, ((1, 1), (2, 1), (1, 2)), strict=True)
    ],
    "47 padding with other values": lambda: [chain(conv(pad_values=-1.0))],
    "50 open height and width": lambda: [
        chain(conv(padding="valid"), shape=(None, None, 32)),
        chain(conv(pad_values=0.0), shape=(None, None, 32)),
    ],
}
PACKED = {
    "21 norm": (lambda: [chain(conv(), norm())], {"LceQuantize": 1, "LceBconv2d": 1}),
    "22 activation, then norm": (
        lambda: [
            chain(conv(activation=activation, padding=padding), norm())
            for activation, padding in (
                ("relu", "same"),
                ("relu", "valid"),
                (tf.nn.relu6, "same"),
                ("hard_tanh", "valid"),
            )
        ],
        {"LceQuantize": 1, "LceBconv2d": 1},
    ),
    "18 constants of one axis": (
        lambda: [
            chain(conv(), lambda x: (x * tf.range(1.0, 33.0) - 0.5) / 3.0 + tf.range(32.0)),
            chain(conv(use_bias=True, bias_initializer="random_normal")),
        ],
        {"LceQuantize": 1, "LceBconv2d": 1},
    ),
    "26 packed output": (
        lambda: [
            chain(conv(activation=activation), norm(), conv()) for activation in (None, "relu")
        ],
        {"LceQuantize": 1, "LceBconv2d": 2},
    ),
    "30 norm, pool, sign": (
        lambda: [chain(conv(), norm(), layers.MaxPool2D(), conv())],
        {"LceQuantize": 1, "LceBconv2d": 2, "LceBMaxPool2d": 1},
    ),
    "31 pool, norm, sign": (
        lambda: [pooled_before_norm(1.0)],
        {"LceQuantize": 1, "LceBconv2d": 2, "LceBMaxPool2d": 1},
    ),
    "38 dense after dense": (
        lambda: [chain(BinaryDense(40), norm(), BinaryDense(10), shape=(64,))],
        {"RESHAPE": 2, "LceQuantize": 1, "LceBconv2d": 2},
    ),
    "39 dense on a flattened map": (
        lambda: [chain(conv(), norm(), layers.Flatten(), BinaryDense(40))],
        {"LceQuantize": 1, "LceBconv2d": 2, "RESHAPE": 1},
    ),
    "41 convolution over one axis after another": (
        lambda: [
            chain(BinaryConv1D(40, 3), norm(), BinaryConv1D(8, 3, padding="same"), shape=(20, 33))
        ],
        {"RESHAPE": 2, "LceQuantize": 1, "LceBconv2d": 2},
    ),
}


@pytest.mark.parametrize("row", ONE_BIT)
def test_is_1bit(row, tmp_path):
    for number, model in enumerate(ONE_BIT[row]()):
        is_1bit_and_right(model, tmp_path / f"{number}.tflite")


@pytest.mark.parametrize("row", PACKED)
def test_is_a_packed_chain(row, tmp_path):
    build, operators = PACKED[row]
    for number, model in enumerate(build()):
        graph = is_1bit_and_right(model, tmp_path / f"{number}.tflite")
        names = [operator.name for operator in graph.operators]
        assert {name: names.count(name) for name in names} == operators


def is_1bit_and_right(model, path, **options):
    exported, graph = networks.exported(model, path, **options)
    assert {fate.fate for fate in exported.layers} == {"1-bit"}, exported
    assert exported.notes == (), exported
    if None in model.input_shape[1:]:
        return graph
    verification = kb.export.verify(model, path)
    assert verification.ok, verification
    assert verification.signs > 0
    return graph


def larq_conv(**options):
    return larq.layers.QuantConv2D(32, 3, **{**networks.LARQ, **options})


def with_one_channel_scale():
    return larq_conv(
        kernel_quantizer=lambda w: tf.sign(tf.sign(w) + 0.1) * tf.range(1.0, 33.0)[:, None]
    )


def fake_quantized(pad_values):
    def limited(x):
        return tf.quantization.fake_quant_with_min_max_args(x, -3.0, 3.0)

    return chain(limited, conv(pad_values=pad_values), norm(), limited)


def channels_first():
    return conv(data_format="channels_first")


def mixed_precision():
    return chain(BinaryConv2D(8, 3, dtype="mixed_float16", name="half"))


def without_1bit_form():
    """Layers for which LCE has no operator, each with the shape of its input."""
    signs = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign"}
    depthwise = {"input_quantizer": "ste_sign", "depthwise_quantizer": "ste_sign"}
    return [
        (larq.layers.QuantDepthwiseConv2D(3, **depthwise), (8, 8, 32)),
        (
            larq.layers.QuantSeparableConv2D(8, 3, pointwise_quantizer="ste_sign", **depthwise),
            (8, 8, 32),
        ),
        (larq.layers.QuantConv2DTranspose(8, 3, **signs), (8, 8, 32)),
        (larq.layers.QuantConv3D(8, 3, **signs), (4, 8, 8, 32)),
        (larq.layers.QuantLocallyConnected2D(8, 3, **signs), (8, 8, 32)),
    ]


FLOAT = {
    "6 where with halves": (
        lambda: [quantized_by(lambda x: tf.where(x >= 0, 0.5, -0.5))],
        "its input has the values -0.5 and 0.5",
    ),
    "7 quantizers with other values": (
        lambda: [
            chain(larq_conv(kernel_quantizer="ste_tern")),
            chain(larq_conv(kernel_quantizer=larq.quantizers.DoReFa(2, "weights"))),
        ],
        "more than two values per channel",
    ),
    "10 scale per input channel": (
        lambda: [chain(with_one_channel_scale())],
        "more than two values per channel",
    ),
    "15 scale before the convolution": (
        lambda: [quantized_by(lambda x: 0.7 * tf.where(x >= 0, 1.0, -1.0))],
        "its input has the values -0.7 and 0.7",
    ),
    "16 input scale before the convolution": (
        lambda: [
            quantized_by(
                lambda x: tf.where(x >= 0, 1.0, -1.0) * tf.reduce_mean(abs(x), -1, keepdims=True)
            )
        ],
        "its input is real",
    ),
    "13 one side quantized": (
        lambda: [chain(larq_conv(kernel_quantizer=None, kernel_constraint=None))],
        "its kernel is real",
    ),
}
REFUSED = {
    "8 ternary input": (
        lambda: [chain(conv(input_quantizer="ste_tern"))],
        "has the values -1, 0 and 1",
    ),
    "36 channels_first": (lambda: [chain(channels_first())], "channels_first"),
    "42 layers without a 1-bit form": (
        lambda: [chain(layer, shape=shape) for layer, shape in without_1bit_form()],
        "LCE has no 1-bit form of Quant",
    ),
    "45 groups of other sizes": (lambda: [chain(conv(groups=2))], "groups have 16 channels each"),
    "51 open height and width, padding with ones": (
        lambda: [chain(conv(), shape=(None, None, 32))],
        "height and width",
    ),
    "54 int8 output, zero padding": (lambda: [fake_quantized(0.0)], "int8"),
    "56 mixed precision": (lambda: [mixed_precision()], "half"),
}
NOTED = {
    "5 straight-through estimators": (
        lambda: [
            quantized_by(straight_through(lambda x: tf.clip_by_value(x, -1.0, 1.0))),
            quantized_by(straight_through(lambda x: x)),
        ],
        "up to rounding",
    ),
    "44 groups": (lambda: [chain(conv(groups=2), shape=(8, 8, 64))], "groups"),
    "48 map smaller than its kernel": (
        lambda: [chain(conv(size=5, pad_values=0.0), shape=(3, 3, 32))],
        "smaller than",
    ),
    "49 zeros around an odd number of channels": (
        lambda: [chain(conv(pad_values=0.0), shape=(8, 8, 33))],
        "odd",
    ),
}


@pytest.mark.parametrize("row", FLOAT)
def test_is_float_and_says_why(row, tmp_path):
    build, reason = FLOAT[row]
    for model in build():
        exported, graph = networks.exported(model, tmp_path / "m.tflite")
        assert [reason in fate.reason for fate in exported.layers] == [True], exported
        assert "LceBconv2d" not in [operator.name for operator in graph.operators]
        verification = kb.export.verify(model, tmp_path / "m.tflite")
        assert verification.ok, verification
        assert verification.unproven == []


@pytest.mark.parametrize("row", REFUSED)
def test_is_refused(row, tmp_path):
    build, reason = REFUSED[row]
    for model in build():
        with pytest.raises((ExportError, InputError), match=reason) as caught:
            kb.export.to_tflite(model, tmp_path / "m.tflite")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "m.tflite").exists()


@pytest.mark.parametrize("row", NOTED)
def test_is_1bit_with_a_note(row, tmp_path):
    build, note = NOTED[row]
    for model in build():
        exported, _ = networks.exported(model, tmp_path / "m.tflite")
        assert [fate.fate for fate in exported.layers] == ["1-bit"]
        assert [note in text for text in exported.notes] == [True], exported
        assert kb.export.verify(model, tmp_path / "m.tflite").ok


# The rows of the table that are about something else than one layer.


@pytest.mark.slow
def test_12_large_kernels_are_not_quantized_again_at_every_inference(tmp_path):
    """128 MiB in float32, behind a quantizer of several operations, is more than LCE folds."""
    layer = larq.layers.QuantDense(
        4096, **{**networks.LARQ, "kernel_quantizer": scaled_over([0])}, name="large"
    )
    model = tf.keras.Sequential([tf.keras.Input((8448,)), layer])
    exported, _ = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"]
    assert 8448 * 4096 / 8 < exported.bytes < 8448 * 4096 / 8 + 50_000


def test_14_a_scaled_kernel_keeps_exact_ties(tmp_path):
    layer = conv(kernel_quantizer="magnitude_aware_sign", padding="valid")
    model = chain(layer)
    networks.exported(model, tmp_path / "m.tflite")
    x = np.sign(np.random.default_rng(0).normal(size=(16, 8, 8, 32))).astype(np.float32)
    signs = np.where(layer.kernel.latent_variable.numpy() >= 0, np.float32(1), np.float32(-1))
    integers = tf.nn.conv2d(x, signs, 1, "VALID").numpy()
    assert (integers == 0).any()
    file = kb.runtime.Interpreter(tmp_path / "m.tflite").predict(x)
    assert ((file == 0) == (integers == 0)).all()


def test_52_a_fixed_batch_is_kept(tmp_path):
    image = tf.keras.Input((8, 8, 32), batch_size=4)
    model = tf.keras.Model(image, conv()(image))
    _, graph = networks.exported(model, tmp_path / "m.tflite")
    assert [graph.tensor(port.tensor).shape[0] for port in (*graph.inputs, *graph.outputs)] == [
        4,
        4,
    ]
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 32)).astype(np.float32)
    assert (kb.runtime.Interpreter(tmp_path / "m.tflite").predict(x) == model(x).numpy()).all()


def test_53_int8_outputs_stay_within_one_level(tmp_path):
    model = fake_quantized(1.0)
    exported, graph = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"]
    (binary,) = [op for op in graph.operators if op.name == "LceBconv2d"]
    assert graph.tensor(binary.outputs[0]).type == "int8"
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


def test_55_there_is_no_option_that_the_converter_would_ignore(tmp_path):
    with pytest.raises(TypeError, match="inference_input_type"):
        kb.export.to_tflite(chain(conv()), tmp_path / "m.tflite", inference_input_type="int8")


def test_57_inputs_and_outputs_keep_their_order(tmp_path):
    b, a = tf.keras.Input((4, 4, 32), name="b"), tf.keras.Input((4, 4, 32), name="a")
    model = tf.keras.Model([b, a], [conv(name="y")(b), conv(name="x")(a)])
    _, graph = networks.exported(model, tmp_path / "m.tflite")
    assert [port.name for port in graph.inputs] == ["b", "a"]
    assert [port.name for port in graph.outputs] == ["y", "x"]
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


def test_every_row_is_named_in_exactly_one_test():
    tables = [row for table in (ONE_BIT, PACKED, FLOAT, REFUSED, NOTED) for row in table]
    numbers = [int(row.split()[0]) for row in tables]
    numbers += [
        int(name.split("_")[1]) for name in globals() if name[:5] == "test_" and name[5].isdigit()
    ]
    assert sorted(numbers) == list(range(1, 58))
