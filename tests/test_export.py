"""The main job: a Keras model becomes a 1-bit file, or an error says which layer and why."""

import json

import larq
import networks
import numpy as np
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn import bits
from keras_bnn.errors import InputError
from keras_bnn.export import ExportError
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense
from keras_bnn.runtime.lce import most_exact_kernel


@pytest.mark.parametrize(
    "layer",
    [
        BinaryConv2D(40, 3, padding="same"),
        BinaryConv2D(40, 3, padding="same", pad_values=0.0),
        BinaryConv2D(40, 3, padding="same", pad_values=-1.0),
        BinaryConv2D(40, (2, 3), strides=(2, 1), padding="same"),
        BinaryConv2D(40, 3, dilation_rate=2),
        BinaryConv2D(64, 3, padding="same", groups=2),
        BinaryConv2D(40, 3, use_bias=True, activation="relu", bias_initializer="ones"),
    ],
    ids=["one", "zero", "minus one", "strides", "dilation", "groups", "bias and relu"],
)
def test_one_convolution_has_equal_integers(layer, tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((9, 7, 64)), layer])
    exported, _ = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"]
    x = _with_zeros((4, 9, 7, 64))
    file = kb.runtime.Interpreter(tmp_path / "m.tflite").predict(x)
    assert (file == model(x).numpy()).all()


@pytest.mark.parametrize("shape", [(64,), (5, 64), (2, 3, 64), (2, 2, 2, 33)])
def test_dense_of_any_rank_has_equal_integers(shape, tmp_path):
    model = tf.keras.Sequential([tf.keras.Input(shape), BinaryDense(40)])
    exported, graph = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"]
    assert "FULLY_CONNECTED" not in [operator.name for operator in graph.operators]
    x = _with_zeros((4, *shape))
    file = kb.runtime.Interpreter(tmp_path / "m.tflite").predict(x)
    assert (file == model(x).numpy()).all()


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_conv1d_has_equal_integers(padding, tmp_path):
    model = tf.keras.Sequential(
        [tf.keras.Input((20, 33)), BinaryConv1D(40, 3, padding=padding, strides=2)]
    )
    networks.exported(model, tmp_path / "m.tflite")
    x = _with_zeros((4, 20, 33))
    file = kb.runtime.Interpreter(tmp_path / "m.tflite").predict(x)
    assert (file == model(x).numpy()).all()


def test_filters_in_the_file_are_the_signs_of_the_latent_weights(tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((6, 6, 33)), BinaryConv2D(5, 3)])
    _, graph = networks.exported(model, tmp_path / "m.tflite")
    (operator,) = [op for op in graph.operators if op.name == "LceBconv2d"]
    latent = model.layers[0].kernel.latent_variable.numpy()
    expected = np.where(latent >= 0, 1, -1).transpose(3, 0, 1, 2)
    assert (bits.unpack(graph.constant(operator.inputs[1]), 33) == expected).all()


def test_scales_are_exported(tmp_path):
    image = tf.keras.Input((8, 8, 32))
    x = BinaryConv2D(32, 3, padding="same", weight_scale="mean_abs", input_scale=True)(image)
    x = BinaryConv2D(32, 3, weight_scale="abs_mean")(x)
    model = tf.keras.Model(image, x)
    exported, _ = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit", "1-bit"]
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


def test_a_dead_channel_stays_1bit_and_gives_zero(tmp_path):
    layer = BinaryConv2D(8, 3, kernel_quantizer="magnitude_aware_sign")
    model = tf.keras.Sequential([tf.keras.Input((6, 6, 32)), layer])
    latent = layer.kernel.latent_variable.numpy()
    latent[..., 3] = 0
    layer.kernel.latent_variable.assign(latent)
    exported, _ = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"]
    file = kb.runtime.Interpreter(tmp_path / "m.tflite").predict(_with_zeros((2, 6, 6, 32)))
    assert (file[..., 3] == 0).all()
    assert (file[..., 2] != 0).any()


def test_inputs_and_outputs_keep_order_and_names(tmp_path):
    model = networks.two_in_two_out()
    _, graph = networks.exported(model, tmp_path / "m.tflite")
    assert [port.name for port in graph.inputs] == ["zeta", "alpha"]
    assert [port.name for port in graph.outputs] == ["omega", "beta"]
    names = [graph.tensor(port.tensor).name for port in (*graph.inputs, *graph.outputs)]
    assert names == ["zeta", "alpha", "omega", "beta"]


def test_every_reshape_leaves_the_batch_open(tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((5, 64)), BinaryDense(40), BinaryDense(40)])
    _, graph = networks.exported(model, tmp_path / "m.tflite")
    shapes = [
        graph.constant(operator.inputs[1])
        for operator in graph.operators
        if operator.name == "RESHAPE"
    ]
    assert shapes
    assert all(shape[0] == -1 and (shape[1:] > 0).all() for shape in shapes)


def test_a_float_model_runs_at_every_batch_on_litert(tmp_path):
    model = kb.models.float_twin(networks.binary_net_with_dense())
    networks.exported(model, tmp_path / "m.tflite")
    interpreter = kb.runtime.Interpreter(tmp_path / "m.tflite")
    for batch in (1, 16, 3):
        x = np.random.default_rng(batch).normal(size=(batch, 8, 8, 1)).astype(np.float32)
        np.testing.assert_allclose(interpreter.predict(x), model(x), atol=1e-4)


def test_export_leaves_the_model_as_it_was(tmp_path):
    layers = [BinaryConv2D(8, 3, weight_scale="mean_abs"), tf.keras.layers.BatchNormalization()]
    model = tf.keras.Sequential([tf.keras.Input((6, 6, 32)), *layers])
    x, before = _with_zeros((4, 6, 6, 32)), [weight.numpy() for weight in model.weights]
    expected = model(x).numpy()
    networks.exported(model, tmp_path / "m.tflite")
    assert all((a == b.numpy()).all() for a, b in zip(before, model.weights, strict=True))
    assert (model(x).numpy() == expected).all()
    model.compile("sgd", "mse", run_eagerly=True)
    model.train_on_batch(x, np.ones((4, 4, 4, 8)))
    assert any((a != b.numpy()).any() for a, b in zip(before, model.weights, strict=True))


def test_two_layers_that_share_a_kernel_are_both_1bit(tmp_path):
    shared = BinaryConv2D(32, 3, padding="same")
    image = tf.keras.Input((6, 6, 32))
    model = tf.keras.Model(image, shared(shared(image) - 0.5))
    exported, graph = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"]
    assert sum(operator.name == "LceBconv2d" for operator in graph.operators) == 2


def _with_zeros(shape):
    """Samples with exact zeros, whose sign is +1, among them -0.0."""
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    x[np.abs(x) < 0.1] = 0.0
    x[x > 2] = -0.0
    return x


# What cannot be 1-bit.


def _refused(model, path, **options) -> str:
    with pytest.raises(ExportError) as caught:
        kb.export.to_tflite(model, path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_binary_layer_that_would_stay_float_is_refused_and_nothing_written(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"earlier")
    model = tf.keras.Sequential(
        [tf.keras.Input((6, 6, 32)), BinaryConv2D(8, 3, groups=2, name="c")]
    )
    message = _refused(model, path)
    assert "c (BinaryConv2D)" in message
    assert "groups have 16 channels each" in message
    assert path.read_bytes() == b"earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["m.tflite"]


def test_allow_float_names_layers_that_may_stay_float(tmp_path):
    model = tf.keras.Sequential(
        [tf.keras.Input((6, 6, 32)), BinaryConv2D(8, 3, groups=2, name="c")]
    )
    exported, _ = networks.exported(model, tmp_path / "m.tflite", allow_float=["c"])
    assert [(fate.fate, fate.reason is None) for fate in exported.layers] == [("float", False)]
    with pytest.raises(InputError, match=r"allow_float names \['d'\]"):
        kb.export.to_tflite(model, tmp_path / "m.tflite", allow_float=["d"])
    with pytest.raises(InputError, match="expected a list"):
        kb.export.to_tflite(model, tmp_path / "m.tflite", allow_float="c")


def test_a_ternary_input_is_refused_and_right_where_it_may_be_float(tmp_path):
    layer = BinaryConv2D(8, 3, input_quantizer="ste_tern", name="c")
    model = tf.keras.Sequential([tf.keras.Input((6, 6, 32)), layer])
    assert "the values -1, 0 and 1" in _refused(model, tmp_path / "m.tflite")
    networks.exported(model, tmp_path / "m.tflite", allow_float=["c"])
    x = _with_zeros((4, 6, 6, 32))
    file = kb.runtime.Interpreter(tmp_path / "m.tflite").predict(x)
    assert (file == model(x).numpy()).all()


def test_layers_without_a_1bit_form_say_so(tmp_path):
    layer = larq.layers.QuantDepthwiseConv2D(
        3,
        input_quantizer="ste_sign",
        depthwise_quantizer="ste_sign",
        depthwise_constraint="weight_clip",
        name="d",
    )
    model = tf.keras.Sequential([tf.keras.Input((6, 6, 32)), layer])
    assert "no 1-bit form of QuantDepthwiseConv2D" in _refused(model, tmp_path / "m.tflite")


def test_ternary_and_real_kernels_are_float_with_a_reason(tmp_path):
    model = tf.keras.Sequential(
        [
            tf.keras.Input((6, 6, 32)),
            BinaryConv2D(8, 3, kernel_quantizer="ste_tern", name="ternary"),
            BinaryConv2D(8, 3, kernel_quantizer=None, kernel_constraint=None, name="real"),
        ]
    )
    exported, _ = networks.exported(model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["float", "float"]
    assert "more than two values" in exported.layers[0].reason
    assert "its kernel is real" in exported.layers[1].reason


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (tf.keras.Sequential([BinaryDense(3)]), "is not built"),
        ("model.keras", "expected a Keras 2 model"),
    ],
)
def test_unusable_models_are_refused(model, message, tmp_path):
    with pytest.raises(InputError, match=message):
        kb.export.to_tflite(model, tmp_path / "m.tflite")


def test_unusable_paths_are_refused_before_any_work(tmp_path):
    model = networks.two_in_two_out()
    with pytest.raises(InputError, match="is a directory"):
        kb.export.to_tflite(model, tmp_path)
    with pytest.raises(InputError, match="no folder"):
        kb.export.to_tflite(model, tmp_path / "missing" / "m.tflite")


# Verification.


def test_verify_sees_a_wrong_file(tmp_path):
    one, other = (networks.with_trained_statistics(networks.two_in_two_out(), i) for i in (0, 1))
    kb.export.to_tflite(other, tmp_path / "m.tflite")
    verification = kb.export.verify(one, tmp_path / "m.tflite")
    assert not verification.ok
    assert verification.problems
    assert json.loads(json.dumps(verification.to_dict()))["ok"] is False


def test_verify_refuses_inputs_and_files_that_do_not_fit(tmp_path):
    model = networks.two_in_two_out()
    kb.export.to_tflite(model, tmp_path / "m.tflite")
    with pytest.raises(InputError, match="Got 1 inputs, expected 2"):
        kb.export.verify(model, tmp_path / "m.tflite", np.zeros((1, 8, 8, 2)))
    with pytest.raises(InputError, match=r"has shape \(1, 8, 8, 3\)"):
        kb.export.verify(model, tmp_path / "m.tflite", [np.zeros((1, 8, 8, 3))] * 2)
    with pytest.raises(InputError, match="another model's file"):
        kb.export.verify(networks.subclassed(), tmp_path / "m.tflite")


def test_the_file_names_what_a_layer_computes_after_it(tmp_path):
    model = networks.binary_net_with_dense()
    networks.exported(model, tmp_path / "m.tflite")
    binary = [layer.name for layer in model.layers if "Binary" in type(layer).__name__]
    layers = kb.tflite.describe(tmp_path / "m.tflite").layers
    assert [layer.name for layer in layers if layer.kind == "1-bit"] == binary


def test_a_plain_sign_is_exported_with_a_note_that_says_what_became_of_zero(tmp_path):
    layers = [tf.keras.layers.Lambda(tf.sign), BinaryConv2D(8, 3, input_quantizer=None)]
    model = tf.keras.Sequential([tf.keras.Input((6, 6, 32)), *layers])
    exported, _ = networks.exported(model, tmp_path / "m.tflite")
    (note,) = exported.notes
    assert "0 at 0" in note
    assert note in str(exported)
    assert exported.to_dict()["notes"] == [note]


def test_a_file_that_the_reference_kernel_refuses_runs_on_another(tmp_path):
    layer = BinaryConv2D(8, 3, padding="same", pad_values=0.0)
    model = tf.keras.Sequential([tf.keras.Input((6, 6, 33)), layer])
    _, graph = networks.exported(model, tmp_path / "m.tflite")
    assert most_exact_kernel(graph) == "LCE (default)"
    x = _with_zeros((2, 6, 6, 33))
    for engine in (None, "LCE (default)"):
        interpreter = kb.runtime.Interpreter(tmp_path / "m.tflite", engine=engine)
        assert (interpreter.predict(x) == model(x).numpy()).all()


def test_gates_meet_their_own_sample_at_any_batch(tmp_path):
    """The converter leaves (batch, 1, 1, channels) to broadcasting, which is right at batch 1.

    At a batch of the image's width the file would run, and be wrong.
    """
    image = tf.keras.Input((6, 6, 32))
    x = kb.layers.BinaryConv2D(32, 3, padding="same")(image)
    gate = tf.keras.layers.Dense(32, "sigmoid")(tf.keras.layers.GlobalAveragePooling2D()(x))
    x = tf.keras.layers.multiply([x, tf.keras.layers.Reshape((1, 1, 32))(gate)])
    model = tf.keras.Model(image, x)
    kb.export.to_tflite(model, tmp_path / "m.tflite")
    for batch in (1, 6, 7):
        inputs = _with_zeros((batch, 6, 6, 32))
        file = kb.runtime.Interpreter(tmp_path / "m.tflite").predict(inputs)
        np.testing.assert_allclose(file, model(inputs), atol=1e-4)
    assert kb.export.verify(model, tmp_path / "m.tflite", _with_zeros((6, 6, 6, 32))).ok
