"""Each rule of the export, on a network that needs it: with the rule, and with it switched off."""

import networks
import pytest
import tensorflow as tf
from networks import QUIET, chain, conv, norm

import keras_bnn as kb
from keras_bnn.errors import InputError
from keras_bnn.export import ExportError, rules
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense

layers = tf.keras.layers


class Doubled(BinaryConv2D):
    """Overrides the call, so that its kernel is not split when it is baked."""

    def call(self, inputs):
        return super().call(inputs)


def not_baked():
    return chain(Doubled(32, 3, kernel_quantizer="magnitude_aware_sign"))


NEEDED = {
    rules.kernels: (not_baked, {"LceQuantize": 1, "LceBconv2d": 1}),
    rules.signs: (
        lambda: chain(lambda x: 2.0 * tf.cast(x >= 0, tf.float32) - 1.0, conv(**QUIET)),
        {"LceQuantize": 1, "LceBconv2d": 1},
    ),
    rules.dilations: (
        lambda: chain(BinaryConv1D(32, 3, dilation_rate=2), shape=(20, 32)),
        {"RESHAPE": 2, "LceQuantize": 1, "LceBconv2d": 1},
    ),
    rules.squeezes: (
        lambda: chain(
            BinaryConv1D(32, 3), norm(), BinaryConv1D(8, 3, padding="same"), shape=(20, 32)
        ),
        {"RESHAPE": 2, "LceQuantize": 1, "LceBconv2d": 2},
    ),
    rules.dense: (
        lambda: chain(BinaryDense(32), shape=(64,)),
        {"RESHAPE": 2, "LceQuantize": 1, "LceBconv2d": 1},
    ),
    rules.selections: (
        lambda: chain(kb.quantizers.SteSign(), layers.UpSampling2D(), conv(**QUIET)),
        {"RESIZE_NEAREST_NEIGHBOR": 1, "LceQuantize": 1, "LceBconv2d": 1},
    ),
    rules.flatten: (
        lambda: chain(conv(), norm(), layers.Flatten(), BinaryDense(32)),
        {"LceQuantize": 1, "LceBconv2d": 2, "RESHAPE": 1},
    ),
    rules.pooling: (
        lambda: chain(conv(), layers.MaxPool2D(), layers.BatchNormalization(), conv()),
        {"LceQuantize": 1, "LceBconv2d": 2, "LceBMaxPool2d": 1},
    ),
    rules.uneven_padding: (
        lambda: chain(layers.ZeroPadding2D(3), layers.Conv2D(8, 7, strides=2), layers.ReLU()),
        {"PAD": 2, "CONV_2D": 1},
    ),
    rules.zero_padding: (
        lambda: chain(
            kb.quantizers.SteSign(), layers.ZeroPadding2D(), conv(padding="valid", **QUIET)
        ),
        {"LceQuantize": 1, "LceBconv2d": 1},
    ),
    rules.constants: (
        lambda: chain(conv(), lambda x: x * tf.fill((1, 1, 1, 32), 0.7)),
        {"LceQuantize": 1, "LceBconv2d": 1},
    ),
}


def test_every_rule_has_its_network():
    assert set(NEEDED) == set(rules.RULES)


@pytest.mark.parametrize("rule", NEEDED, ids=lambda rule: rule.__name__.split(".")[-1])
def test_the_rule_is_right_and_needed(rule, tmp_path, monkeypatch):
    build, operators = NEEDED[rule]
    model = build()
    assert _operators(model, tmp_path / "m.tflite") == operators
    verification = kb.export.verify(model, tmp_path / "m.tflite")
    assert verification.ok, verification

    monkeypatch.setattr(rules, "RULES", [other for other in rules.RULES if other is not rule])
    try:
        without = _operators(model, tmp_path / "without.tflite")
        runs = kb.export.verify(model, tmp_path / "without.tflite").ok
    except (ExportError, InputError):
        return
    assert without != operators or not runs


def _operators(model, path) -> dict[str, int]:
    _, graph = networks.exported(model, path)
    names = [operator.name for operator in graph.operators]
    return {name: names.count(name) for name in names}


def test_a_negative_factor_keeps_pool_and_norm_in_their_order(tmp_path):
    model = chain(conv(), layers.MaxPool2D(), layers.BatchNormalization(), conv())
    gamma = [1.0] * 31 + [-1.0]
    model.layers[2].gamma.assign(gamma)
    operators = _operators(model, tmp_path / "m.tflite")
    assert operators["MAX_POOL_2D"] == 1
    assert "LceBMaxPool2d" not in operators
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


@pytest.mark.parametrize(
    ("amounts", "is_same"), [(1, True), (((0, 2), (1, 1)), False), (((2, 2), (2, 2)), False)]
)
def test_zeros_around_a_sign_stay_zeros(amounts, is_same, tmp_path):
    model = chain(
        kb.quantizers.SteSign(), layers.ZeroPadding2D(amounts), conv(padding="valid", **QUIET)
    )
    _, graph = networks.exported(model, tmp_path / "m.tflite")
    (binary,) = [op for op in graph.operators if op.name == "LceBconv2d"]
    # Where the amounts are others than those of SAME, ones stand in, and are subtracted again.
    assert (binary.options["padding"] == 0) == is_same
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


def test_no_two_rules_undo_each_other(monkeypatch):
    """A chain that two rules once moved to and fro for ever."""
    model = chain(
        BinaryConv1D(3, 3, padding="same"),
        kb.quantizers.SteSign(),
        layers.Cropping1D(1),
        BinaryConv1D(3, 2, **QUIET),
        shape=(12, 16),
    )
    monkeypatch.setattr(rules, "_MOST_PASSES", 50)
    graph = kb.export.bake.bake(model).graph
    rules.rewrite(graph)
    assert {node.op for node in graph.of("Squeeze", "BinarySign")} == {"Squeeze", "BinarySign"}


@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D"])
@pytest.mark.parametrize(
    ("zeros", "size", "strides"), [(3, 7, 2), (1, 3, 2), (((0, 0), (3, 3)), (1, 7), 2)]
)
def test_as_many_zeros_before_as_behind_a_strided_real_convolution(
    kind, zeros, size, strides, tmp_path
):
    """The converter alone writes SAME padding, which has fewer before: all is off by one pixel."""
    filters = (8,) if kind == "Conv2D" else ()
    model = tf.keras.Sequential(
        [
            layers.ZeroPadding2D(zeros, input_shape=(16, 16, 3)),
            getattr(layers, kind)(*filters, size, strides=strides),
            layers.ReLU(),
        ]
    )
    kb.export.to_tflite(model, tmp_path / "m.tflite")
    assert kb.export.verify(model, tmp_path / "m.tflite").ok
