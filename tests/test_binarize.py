"""From ordinary float models to binary ones."""

import networks
import numpy as np
import pytest
import tensorflow as tf
from conftest import SEED

import keras_bnn as kb
from keras_bnn.errors import InputError
from keras_bnn.training import binarize

layers = tf.keras.layers


def vgg():
    """Biases, activations inside and outside of layers, pools, dropout, no batch norm at all."""
    return tf.keras.Sequential(
        [
            layers.Conv2D(16, 3, activation="relu", input_shape=(12, 12, 1), name="conv_1"),
            layers.Conv2D(32, 3, padding="same", name="conv_2"),
            layers.ReLU(name="relu_2"),
            layers.MaxPool2D(name="pool"),
            layers.Dropout(0.2, name="dropout_2"),
            layers.Conv2D(32, 3, activation="relu", kernel_regularizer="l2", name="conv_3"),
            layers.Flatten(name="flatten"),
            layers.Dense(24, activation="relu", name="dense_1"),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(10, activation="softmax", name="dense_2"),
        ],
        name="vgg",
    )


def conv_norm(x, filters, size, name, strides=1, relu=True, kind=layers.Conv2D):
    options = {} if kind is layers.DepthwiseConv2D else {"filters": filters}
    conv = kind(
        kernel_size=size, strides=strides, padding="same", use_bias=False, name=name, **options
    )
    x = layers.BatchNormalization(name=f"{name}_norm")(conv(x))
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def res_net():
    """Convolution, batch norm and ReLU; a ReLU behind each sum."""
    image = tf.keras.Input((8, 8, 3))
    x = conv_norm(image, 16, 3, "stem")
    for block, (filters, strides) in enumerate(((16, 1), (32, 2)), 1):
        y = conv_norm(x, filters, 3, f"{block}_1", strides)
        y = conv_norm(y, filters, 3, f"{block}_2", relu=False)
        if strides > 1:
            x = conv_norm(x, filters, 1, f"{block}_shortcut", strides, relu=False)
        x = layers.ReLU(name=f"{block}_relu")(layers.Add()([y, x]))
    x = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    return tf.keras.Model(image, x, name="res_net")


def pre_activation():
    """Batch norm and ReLU in front of each convolution, and sums by `+`."""
    image = tf.keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 3, padding="same", name="stem")(image)
    for block in (1, 2):
        y = x
        for part in (1, 2):
            y = layers.ReLU(name=f"{block}_{part}_relu")(layers.BatchNormalization()(y))
            y = layers.Conv2D(16, 3, padding="same", name=f"{block}_{part}")(y)
        x = x + y
    x = layers.ReLU(name="top_relu")(layers.BatchNormalization()(x))
    x = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    return tf.keras.Model(image, x, name="pre_activation")


def over_time():
    return tf.keras.Sequential(
        [
            layers.Conv1D(32, 5, activation="relu", input_shape=(24, 6), name="conv_1"),
            layers.Conv1D(32, 3, padding="causal", activation="relu", name="conv_2"),
            layers.MaxPool1D(),
            layers.Conv1D(32, 3, padding="same", name="conv_3"),
            layers.BatchNormalization(),
            layers.LeakyReLU(name="leaky"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(16, activation="tanh", name="dense_1"),
            layers.Dense(5, name="dense_2"),
        ]
    )


def mobile_net():
    """Depthwise convolutions, a bottleneck, and a squeeze-and-excitation gate."""
    image = tf.keras.Input((8, 8, 3))
    x = conv_norm(image, 16, 3, "stem", relu=False)
    y = conv_norm(x, 32, 1, "expand")
    y = conv_norm(y, 32, 3, "depthwise", kind=layers.DepthwiseConv2D)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(8, 1, activation="relu", name="squeeze")(gate)
    gate = layers.Conv2D(32, 1, activation="sigmoid", name="excite")(gate)
    y = conv_norm(layers.Multiply()([y, gate]), 16, 1, "project", relu=False)
    x = layers.Dropout(0.1, name="branch_dropout")(y) + x
    x = conv_norm(x, 48, 1, "top")
    x = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    return tf.keras.Model(image, x, name="mobile_net")


def nested():
    """A frozen model inside, called twice."""
    base = tf.keras.Sequential(
        [
            layers.Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1), name="conv_1"),
            layers.Conv2D(32, 3, name="conv_2"),
            layers.ReLU(name="relu_2"),
        ],
        name="base",
    )
    base.trainable = False
    pair = [tf.keras.Input((8, 8, 1), name=name) for name in ("left", "right")]
    x = layers.Concatenate()([base(image) for image in pair])
    x = layers.Conv2D(32, 3, activation="relu", name="conv_3")(x)
    return tf.keras.Model(pair, layers.Dense(3, name="dense")(layers.Flatten()(x)), name="nested")


MODELS = (vgg, res_net, pre_activation, over_time, mobile_net, nested)


def what_became(binarized) -> dict:
    return {each.layer: each.change for each in binarized.changes}


def of_kind(binarized, change: str) -> list[str]:
    return [each.layer for each in binarized.changes if each.change == change]


def reason(binarized, layer: str) -> str:
    (found,) = [each.reason for each in binarized.changes if each.layer == layer]
    return found


def examples_for(model, count: int = 32):
    generator = np.random.default_rng(SEED)
    arrays = [generator.normal(size=(count, *x.shape[1:])) for x in model.inputs]
    return arrays if len(arrays) > 1 else arrays[0]


def all_layers(model):
    return [part for part in model.submodules if isinstance(part, layers.Layer)]


@pytest.mark.parametrize("build", MODELS)
def test_every_binary_layer_is_1_bit_in_the_file_and_the_file_is_right(build, tmp_path):
    model = networks.with_trained_statistics(build(), SEED)
    binarized = binarize(model, examples=examples_for(model))
    exported = kb.export.to_tflite(binarized.model, tmp_path / "m.tflite")
    names = {name.rpartition("/")[2] for name in of_kind(binarized, "binary")}
    assert {fate.name: fate.fate for fate in exported.layers} == dict.fromkeys(names, "1-bit")
    assert kb.export.verify(binarized.model, tmp_path / "m.tflite").ok


@pytest.mark.parametrize("build", MODELS)
def test_no_sign_is_constant_over_all_channels(build):
    """A ReLU that was left in front of a sign would make all of them +1."""
    model = networks.with_trained_statistics(build(), SEED)
    binary = binarize(model, examples=examples_for(model)).model
    uses = [use for use in kb.probe.probe(binary, batch=8) if use.is_quantized]
    assert uses
    for use in uses:
        assert use.input_values == (-1.0, 1.0), f"{use.label}, KERAS_BNN_TEST_SEED={SEED}"


@pytest.mark.parametrize("build", MODELS)
def test_the_model_stays_as_it_is(build):
    model = build()
    before, weights = model.to_json(), model.get_weights()
    binary = binarize(model, examples=examples_for(model)).model
    assert model.to_json() == before
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))
    assert not {*map(id, all_layers(model))} & {*map(id, all_layers(binary))}
    assert binary.name == f"{model.name}_binary"
    assert binary.output_shape == model.output_shape
    assert binary.output_names == model.output_names


def test_a_chain_without_batch_norms():
    binarized = binarize(vgg())
    assert [(type(layer).__name__, layer.name) for layer in binarized.model.layers] == [
        ("Conv2D", "conv_1"),
        ("BatchNormalization", "conv_1_norm"),
        ("BinaryConv2D", "conv_2"),
        ("BatchNormalization", "conv_2_norm"),
        ("MaxPooling2D", "pool"),
        ("BinaryConv2D", "conv_3"),
        ("BatchNormalization", "conv_3_norm"),
        ("Flatten", "flatten"),
        ("BinaryDense", "dense_1"),
        ("BatchNormalization", "dense_1_norm"),
        ("Activation", "dense_1_activation"),
        ("Dropout", "dropout"),
        ("Dense", "dense_2"),
    ]
    assert what_became(binarized) == {
        "conv_1": "kept real",
        "conv_1_norm": "inserted",
        "conv_2": "binary",
        "conv_2_norm": "inserted",
        "relu_2": "removed",
        "dropout_2": "removed",
        "conv_3": "binary",
        "conv_3_norm": "inserted",
        "dense_1": "binary",
        "dense_1_norm": "inserted",
        "dense_1_activation": "moved",
        "dense_2": "kept real",
    }
    assert reason(binarized, "conv_1") == "first layer; its relu is gone, since a sign follows"
    assert "no kernel_regularizer" in reason(binarized, "conv_3")
    assert str(binarized).startswith("vgg_binary: 3 of 5 layers with kernels are binary\n  conv_1 ")


def test_shortcuts_stay_real():
    binarized = binarize(res_net())
    assert of_kind(binarized, "binary") == ["1_1", "1_2", "2_1", "2_2"]
    assert reason(binarized, "2_shortcut") == "projection of a shortcut"
    assert sorted(of_kind(binarized, "removed")) == ["1_1_relu", "1_relu", "2_1_relu", "stem_relu"]
    assert of_kind(binarized, "inserted") == []
    added = binarized.model.get_layer("2_relu").input
    assert added._keras_history.layer.name.startswith("add")


def test_a_batch_norm_ends_each_binary_layer_in_front_of_a_sum():
    binarized = binarize(pre_activation())
    assert of_kind(binarized, "inserted") == ["1_2_norm", "2_2_norm"]
    assert len(of_kind(binarized, "removed")) == 4
    assert binarized.model.get_layer("top_relu")


def test_depthwise_convolutions_and_gates_stay_real():
    binarized = binarize(mobile_net())
    assert of_kind(binarized, "binary") == ["expand", "project", "top"]
    assert reason(binarized, "depthwise") == "DepthwiseConv2D has no 1-bit form"
    assert reason(binarized, "squeeze") == reason(binarized, "excite") == "part of a gate"
    # The ReLU between a binary layer and a real one stays; so does dropout in front of a sum.
    assert of_kind(binarized, "removed") == ["depthwise_relu"]


def test_models_inside_are_binarized_and_trained_again():
    binarized = binarize(nested())
    assert of_kind(binarized, "binary") == ["base/conv_2", "conv_3"]
    assert of_kind(binarized, "inserted") == ["base/conv_1_norm", "base/conv_2_norm", "conv_3_norm"]
    base = binarized.model.get_layer("base")
    trainable = {layer.name: layer.trainable for layer in base.layers}
    assert trainable == {
        "conv_1": False,
        "conv_1_norm": True,
        "conv_2": True,
        "conv_2_norm": True,
    }


def test_weights_are_carried_over(generator):
    model = networks.with_trained_statistics(vgg(), SEED)
    kernel = generator.normal(size=(3, 3, 16, 32)).astype("float32")
    model.get_layer("conv_2").set_weights([kernel, np.arange(32.0)])
    binarized = binarize(model)
    binary = binarized.model
    for name in ("conv_1", "dense_2"):
        for ours, theirs in zip(
            binary.get_layer(name).get_weights(), model.get_layer(name).get_weights(), strict=True
        ):
            assert (ours == theirs).all()
    (latent,) = binary.get_layer("conv_2").get_weights()
    assert (latent == np.clip(kernel, -1, 1)).all()
    assert (binary.get_layer("conv_2_norm").beta.numpy() == np.arange(32)).all()
    assert f"{np.mean(abs(kernel) > 1):.1%} of its weights clipped" in reason(binarized, "conv_2")


def test_batch_norms_get_the_statistics_of_the_examples(generator):
    model = networks.with_trained_statistics(res_net(), SEED)
    examples = generator.normal(size=(200, 8, 8, 3)).astype("float32")
    binarized = binarize(model, examples=examples)
    assert "are those of 200 examples" in binarized.notes[0]
    norm = binarized.model.get_layer("2_1_norm")
    inputs = tf.keras.Model(binarized.model.input, norm.input)(examples).numpy()
    np.testing.assert_allclose(norm.moving_mean, inputs.mean((0, 1, 2)), atol=2)
    np.testing.assert_allclose(norm.moving_variance, inputs.var((0, 1, 2)), rtol=0.05)
    # What stands in front of all binary layers keeps what it has learnt; momenta are as before.
    stem = binarized.model.get_layer("stem_norm")
    assert (stem.moving_mean.numpy() == model.get_layer("stem_norm").moving_mean.numpy()).all()
    assert norm.momentum == 0.99


def test_without_examples_the_report_says_that_statistics_do_not_fit():
    assert "examples=" in binarize(vgg()).notes[0]


def test_keep_real_keeps_layers_and_models():
    assert of_kind(binarize(nested(), keep_real=["base"]), "binary") == ["conv_3"]
    kept = binarize(vgg(), keep_real=["conv_3"])
    assert reason(kept, "conv_3").startswith("in keep_real")
    assert of_kind(kept, "binary") == ["conv_2", "dense_1"]
    # Nothing binary follows conv_2 now, so its ReLU stays.
    assert of_kind(kept, "removed") == []


def test_a_norm_is_put_before_signs_of_what_may_be_of_one_sign(tmp_path):
    image = tf.keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, name="first")(image)
    x = tf.nn.relu(x)
    x = layers.Conv2D(16, 3, name="second")(x)
    model = tf.keras.Model(image, layers.Dense(4)(layers.Flatten()(x)))
    binarized = binarize(model)
    assert of_kind(binarized, "inserted") == ["second_sign_norm", "second_norm"]
    assert "tf.nn.relu may be of one sign" in reason(binarized, "second")
    kb.export.to_tflite(binarized.model, tmp_path / "m.tflite")
    assert kb.export.verify(binarized.model, tmp_path / "m.tflite").ok


def test_outputs_of_the_model_stay_what_they_are():
    image = tf.keras.Input((8, 8, 1))
    x = layers.ReLU(name="features")(layers.Conv2D(16, 3, name="first")(image))
    y = layers.Conv2D(16, 3, name="second")(x)
    z = layers.Conv2D(16, 3, name="third")(y)
    model = tf.keras.Model(image, [x, y, layers.Dense(4, name="last")(z)])
    binarized = binarize(model)
    assert reason(binarized, "second") == "its outputs are the model's"
    assert of_kind(binarized, "binary") == ["third"]
    assert of_kind(binarized, "removed") == []
    assert of_kind(binarized, "inserted") == ["third_sign_norm", "third_norm"]
    assert binarized.model.output_names == ["features", "second", "last"]
    x = examples_for(model)
    for ours, theirs in zip(binarized.model(x)[:2], model(x)[:2], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_open_sizes_are_padded_with_zeros_which_alone_has_a_1_bit_form(tmp_path):
    model = tf.keras.Sequential(
        [
            layers.Conv2D(32, 3, input_shape=(None, None, 3)),
            layers.Conv2D(32, 3, padding="same", name="open"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    binarized = binarize(model)
    assert "padded with 0" in reason(binarized, "open")
    (fate,) = kb.export.to_tflite(binarized.model, tmp_path / "m.tflite").layers
    assert fate.fate == "1-bit"


@pytest.mark.parametrize("name", ["binarynet", "birealnet18", "resnet_e18"])
def test_the_float_twin_of_a_binary_network_becomes_that_network_again(name):
    """Published binary networks are what `binarize` aims at."""
    network = kb.models.build(name, (64, 64, 3), 10)
    binary = binarize(kb.models.float_twin(network)).model
    binary_layers = [
        [layer.name for layer in all_layers(each) if isinstance(layer, kb.layers.BinaryConv2D)]
        for each in (binary, network)
    ]
    assert binary_layers[0] == binary_layers[1]
    assert [layer.name for layer in binary.layers] == [layer.name for layer in network.layers]


def shared_convolution():
    image = tf.keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same")(image)
    shared = layers.Conv2D(16, 3, padding="same", name="shared")
    return tf.keras.Model(image, layers.Dense(4)(layers.Flatten()(shared(shared(x)))))


def shared_relu():
    image, relu = tf.keras.Input((8, 8, 1)), layers.ReLU(name="relu")
    x = relu(layers.Conv2D(16, 3, name="first")(image))
    x = relu(layers.Conv2D(16, 3, name="second")(x))
    return tf.keras.Model(image, layers.Dense(4)(layers.Flatten()(x)))


def two_readers():
    image = tf.keras.Input((8, 8, 1))
    shared = layers.Conv2D(16, 3, name="shared")
    both = [shared(layers.Conv2D(16, 3)(image)) for _ in range(2)]
    return tf.keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Concatenate()(both))))


def two_holders():
    shared = layers.Conv2D(16, 3, padding="same")
    parts = [tf.keras.Sequential([shared], name=name) for name in ("first", "second")]
    return tf.keras.Sequential([tf.keras.Input((8, 8, 16)), *parts])


class Nameless(layers.Layer):
    """Its configuration does not hold its name."""

    def get_config(self):
        return {}


def nameless():
    parts = [layers.Dense(4, input_shape=(3,)), Nameless(name="mine"), layers.Dense(4)]
    return tf.keras.Sequential([*parts, layers.Dense(2)])


def with_lambda():
    return tf.keras.Sequential(
        [layers.Dense(4, input_shape=(3,)), layers.Lambda(tf.nn.relu, name="code"), layers.Dense(2)]
    )


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (networks.subclassed, {}, "takes Sequential and functional models, got the class Subc"),
        (lambda: tf.keras.Sequential([layers.Dense(3)]), {}, "is not built"),
        (lambda: "model.keras", {}, "expected a Keras 2 model"),
        (lambda: kb.models.BinaryNet((8, 8, 1), 10), {}, r"binary_1 .* is binary already"),
        (lambda: networks.chain(layers.Flatten()), {}, "there are none"),
        (lambda: networks.chain(layers.Dense(3), layers.Dense(4)), {}, "last layer"),
        (vgg, {"keep_real": ["conv_9"]}, r"names \['conv_9'\], but the layers with kernels are"),
        (vgg, {"keep_real": ["relu_2"]}, r"names \['relu_2'\]"),
        (vgg, {"keep_real": "conv_2"}, "keep_real is 'conv_2', expected a list of names"),
        (vgg, {"keep_real": None}, "keep_real is None, expected a list of names"),
        (vgg, {"keep_real": ["conv_2", "conv_3", "dense_1"]}, "in keep_real"),
        (vgg, {"examples": np.zeros((4, 8, 8, 1))}, "12"),
        (vgg, {"examples": np.zeros((0, 12, 12, 1))}, "no samples"),
        (shared_convolution, {}, "shared is called on what it gave itself"),
        (shared_relu, {}, "relu is called on what it gave itself"),
        (two_readers, {}, "shared is called in 2 places"),
        (two_holders, {}, "cannot keep a layer shared that is part of"),
        (nameless, {}, "cannot copy the class Nameless"),
        (with_lambda, {}, "code: binarize cannot see what a Lambda computes"),
    ],
)
def test_what_cannot_be_binarized_is_refused_in_one_line(build, options, message):
    with pytest.raises(InputError, match=message) as caught:
        binarize(build(), **options)
    assert "\n" not in str(caught.value)


def trained(model, epochs: int):
    digits = kb.data.load("digits")
    steps = epochs * -(-len(digits.train.labels) // 32)
    rate = tf.keras.optimizers.schedules.CosineDecay(3e-3, steps)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(*digits.train, batch_size=32, epochs=epochs, verbose=0)
    return model.evaluate(*digits.test, batch_size=360, verbose=0)[1]


def digits_net():
    return tf.keras.Sequential(
        [
            layers.Conv2D(32, 3, padding="same", activation="relu", input_shape=(8, 8, 1)),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPool2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPool2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )


@pytest.mark.slow
def test_a_binarized_model_learns_digits_and_sooner_with_the_float_weights():
    print(f"KERAS_BNN_TEST_SEED={SEED}")
    untrained, model = digits_net(), digits_net()
    accuracy = trained(model, 8)
    examples = kb.data.load("digits").train.images[:512]
    carried, fresh = (trained(binarize(m, examples=examples).model, 3) for m in (model, untrained))
    assert carried > fresh
    assert trained(binarize(model, examples=examples).model, 12) > accuracy - 0.04


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "binary", "real"), [("MobileNet", 13, 15), ("ResNet50", 48, 6), ("ResNet50V2", 48, 6)]
)
def test_networks_of_keras_applications(name, binary, real, tmp_path, generator):
    build = getattr(tf.keras.applications, name)
    model = build(weights=None, input_shape=(32, 32, 3), classes=10)
    examples = generator.normal(size=(64, 32, 32, 3)).astype("float32")
    binarized = binarize(model, examples=examples)
    assert len(of_kind(binarized, "binary")) == binary
    assert len(of_kind(binarized, "kept real")) == real
    exported = kb.export.to_tflite(binarized.model, tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"] * binary
    assert kb.export.verify(binarized.model, tmp_path / "m.tflite").ok
