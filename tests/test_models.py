"""BinaryNet, and the float twin that a binary network is compared with."""

import json

import larq
import networks
import numpy as np
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.errors import InputError
from keras_bnn.layers import (
    BinaryConv1D,
    BinaryConv2D,
    BinaryDense,
    BlurPool2D,
    RPReLU,
    RSign,
    SqueezeExcitation,
)
from keras_bnn.models import BinaryNet, build, float_twin

layers = tf.keras.layers
QUANTIZED = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign"}
SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (4, 4, 2), (15, 17, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["binarynet", "binarynet_float"])
def test_binary_nets_take_images_and_give_logits(name, shape):
    model = build(name, shape, 7)
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, 7)
    logits = model(np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)).numpy()
    assert np.isfinite(logits).all()
    assert logits.min() < 0 < logits.max()


def test_all_convolutions_of_binary_net_but_the_first_are_binary():
    model = BinaryNet((28, 28, 1), 10)
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert [isinstance(layer, BinaryConv2D) for layer in convolutions] == [False, True, True, True]
    assert type(model.layers[-1]) is layers.Dense


@pytest.mark.parametrize(
    "shape",
    [(3, 8, 1), (8, 3, 1), (8, 8), (8, 8, 1, 1), (), (None, None, 3), (8, 8, None)],
    ids=str,
)
def test_binary_net_refuses_other_shapes(shape):
    with pytest.raises(InputError, match="input_shape") as error:
        BinaryNet(shape, 10)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("count", [1, 0, -1])
def test_binary_net_refuses_fewer_than_two_classes(count):
    with pytest.raises(InputError, match=f"num_classes is {count}"):
        BinaryNet((8, 8, 1), count)


def test_an_unknown_network_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"'vgg'.*binarynet, binarynet_float"):
        build("vgg", (8, 8, 1), 10)


def nested():
    """Binary layers in a functional model and a Sequential one inside of another."""
    inner_input = tf.keras.Input((8, 8, 4))
    x = layers.BatchNormalization()(BinaryConv2D(8, 3, padding="same")(inner_input))
    inner = tf.keras.Model(inner_input, x, name="inner")
    head = tf.keras.Sequential([layers.Flatten(), BinaryDense(6), layers.Dense(3)], name="head")
    image = tf.keras.Input((8, 8, 1))
    return tf.keras.Model(image, head(inner(layers.Conv2D(4, 3, padding="same")(image))))


def shared():
    """A binary layer that is called twice."""
    left, right = tf.keras.Input((8,), name="left"), tf.keras.Input((8,), name="right")
    tower = BinaryDense(5, name="tower")
    return tf.keras.Model([left, right], layers.subtract([tower(left), tower(right)]))


def over_time():
    """A binary layer at every step, also inside of two wrappers."""
    frames = layers.TimeDistributed(BinaryConv2D(8, 3, name="conv"), name="frames")
    pairs = layers.TimeDistributed(layers.TimeDistributed(BinaryDense(4)), name="pairs")
    flat = layers.TimeDistributed(layers.Flatten())
    rows = layers.Reshape((3, 4, 72))
    return tf.keras.Sequential([tf.keras.Input((3, 8, 8, 1)), frames, flat, rows_of(rows), pairs])


def rows_of(reshape):
    return tf.keras.Sequential([layers.Dense(4 * 72), reshape], name="rows")


def by_themselves():
    """Quantizers as layers and as activations."""
    return tf.keras.Sequential(
        [
            tf.keras.Input((6,)),
            layers.Dense(8, activation=kb.quantizers.SteSign(), name="dense"),
            layers.Dense(8, activation="tanh", name="tanh"),
            larq.quantizers.ApproxSign(name="larq"),
            layers.Dense(8, name="between"),
            kb.quantizers.SwishSign(name="ours"),
            layers.Activation(kb.quantizers.SteSign(), name="activation"),
            layers.Activation(larq.quantizers.ste_sign, name="function"),
            layers.Dense(2, name="last"),
        ]
    )


def scaled():
    """Every argument of binary layers that a Keras layer does not know."""
    return tf.keras.Sequential(
        [
            tf.keras.Input((9, 9, 4)),
            BinaryConv2D(8, 3, padding="same", weight_scale="mean_abs", input_scale=True),
            BinaryConv2D(8, 3, padding="same", pad_values=-1.0, use_bias=True, activation="elu"),
            BinaryConv2D(4, 3, strides=2, dilation_rate=1, groups=2, input_quantizer=None),
            layers.Reshape((-1, 4)),
            BinaryConv1D(8, 3, padding="causal", kernel_quantizer="magnitude_aware_sign"),
            layers.GlobalMaxPooling1D(),
            BinaryDense(3, weight_scale="abs_mean", kernel_constraint=None, dtype="float32"),
        ]
    )


def all_of_larq():
    """Each of larq's layers for images that trains on a CPU."""
    options = {**QUANTIZED, "kernel_constraint": "weight_clip"}
    depthwise = {"input_quantizer": "ste_sign", "depthwise_quantizer": "ste_sign"}
    separable = {**depthwise, "pointwise_quantizer": "ste_sign"}
    clip = {"depthwise_constraint": "weight_clip"}
    return tf.keras.Sequential(
        [
            tf.keras.Input((8, 8, 3)),
            larq.layers.QuantConv2D(4, 3, padding="same", pad_values=1.0, **options),
            larq.layers.QuantDepthwiseConv2D(3, **depthwise, **clip),
            larq.layers.QuantSeparableConv2D(
                4, 3, **separable, **clip, pointwise_constraint="weight_clip"
            ),
            larq.layers.QuantConv2DTranspose(4, 3, **options),
            larq.layers.QuantLocallyConnected2D(3, 3, **options),
            layers.Reshape((16, 3)),
            larq.layers.QuantConv1D(4, 3, **options),
            larq.layers.QuantSeparableConv1D(4, 3, **separable),
            layers.Flatten(),
            larq.layers.QuantDense(3, **options),
        ]
    )


BUILT = (
    *(build for build in networks.MAIN if build is not networks.subclassed),
    nested,
    shared,
    over_time,
    by_themselves,
    scaled,
    all_of_larq,
)


def inputs_of(model, count: int = 2):
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=(count, *x.shape[1:])).astype(np.float32) for x in model.inputs]
    return arrays[0] if len(arrays) == 1 else arrays


def all_layers(model) -> list:
    return [part for part in model.submodules if isinstance(part, layers.Layer)]


def is_binary(layer) -> bool:
    modules = {kind.__module__.partition(".")[0] for kind in type(layer).__mro__}
    return bool(modules & {"keras_bnn", "larq"})


@pytest.mark.parametrize("build", BUILT, ids=lambda build: build.__name__)
def test_a_twin_is_plain_keras_of_the_same_shapes(build):
    model = build()
    twin = float_twin(model)
    assert any(map(is_binary, all_layers(model)))
    assert not any(map(is_binary, all_layers(twin)))
    text = twin.to_json()
    assert not [word for word in ("_sign", "Sign", "weight_clip", "WeightClip") if word in text]
    assert [tuple(w.shape) for w in twin.weights] == [tuple(w.shape) for w in model.weights]
    assert twin.input_names == model.input_names
    assert [x.shape for x in twin.inputs] == [x.shape for x in model.inputs]
    assert [x.shape for x in twin.outputs] == [x.shape for x in model.outputs]
    assert {layer.name for layer in model.layers} <= {layer.name for layer in twin.layers}
    assert twin.name == f"{model.name}_float"
    assert not twin.optimizer


@pytest.mark.parametrize("build", BUILT, ids=lambda build: build.__name__)
def test_making_and_training_a_twin_leaves_the_model_as_it_is(build):
    model = networks.with_trained_statistics(build())
    x = inputs_of(model)
    state = json.dumps(model.get_config(), default=str)
    weights, before = model.get_weights(), model(x)
    twin = float_twin(model)
    shared_layers = {id(layer) for layer in all_layers(twin)} & set(map(id, all_layers(model)))
    assert not shared_layers
    targets = [np.ones(y.shape, np.float32) for y in tf.nest.flatten(twin(x))]
    twin.compile("sgd", "mse", run_eagerly=True)
    twin.train_on_batch(x, targets)
    assert any((a != b.numpy()).any() for a, b in zip(weights, twin.weights, strict=True))
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))
    assert json.dumps(model.get_config(), default=str) == state
    tf.nest.map_structure(np.testing.assert_array_equal, model(x), before)


def test_real_layers_of_ours_stay_and_a_learned_threshold_becomes_a_relu():
    image = tf.keras.Input((8, 8, 4))
    x = BinaryConv2D(8, 3, input_quantizer=None)(RSign()(image))
    x = SqueezeExcitation(2, mixes=False)([RPReLU()(x), image])
    twin = float_twin(tf.keras.Model(image, BlurPool2D(5)(x)))
    kinds = [layers.ReLU, layers.Conv2D, RPReLU, SqueezeExcitation, BlurPool2D]
    assert [type(layer) for layer in twin.layers[1:]] == kinds
    assert (twin.layers[4].ratio, twin.layers[5].pool_size) == (2, 5)


@pytest.mark.parametrize("name", ["bnext_tiny", "meliusnet22", "quicknet"])
def test_networks_of_the_zoo_have_twins(name):
    model = build(name, (32, 32, 3), 7)
    twin = float_twin(model)
    assert twin.output_shape == model.output_shape
    binary = (larq.layers.QuantConv2D, larq.quantizers.Quantizer, RSign)
    assert not [part for part in all_layers(twin) if isinstance(part, binary)]


def test_a_twin_is_initialised_afresh():
    model = networks.binary_net_with_dense()
    first, second = float_twin(model), float_twin(model)
    for a, b, c in zip(model.weights, first.weights, second.weights, strict=True):
        if "kernel" in a.name:
            assert len({tuple(w.numpy().ravel()) for w in (a, b, c)}) == 3


def computed_by_hand(twin, x):
    """What the twin of `scaled` has to compute, from Keras' functions and its weights."""
    first, second, third, fourth, last = (
        layer for layer in twin.layers if isinstance(layer, (layers.Dense, *CONVOLUTIONS))
    )
    relu = tf.nn.relu
    x = tf.nn.conv2d(relu(x), first.kernel, 1, "SAME")
    x = tf.nn.elu(tf.nn.conv2d(relu(x), second.kernel, 1, "SAME") + second.bias)
    # Without an input quantizer there is no ReLU.
    x = tf.nn.conv2d(x, third.kernel, 2, "VALID")
    x = tf.reshape(x, (len(x), -1, 4))
    x = tf.nn.conv1d(tf.pad(relu(x), ((0, 0), (2, 0), (0, 0))), fourth.kernel, 1, "VALID")
    return relu(tf.reduce_max(x, 1)) @ last.kernel


CONVOLUTIONS = (layers.Conv1D, layers.Conv2D)


def test_a_twin_computes_relu_and_real_kernels_without_scales():
    twin = float_twin(scaled())
    twin.layers[3].bias.assign(np.arange(8) - 4.0)
    for layer in twin.layers:
        # Kernels beyond [-1, 1], which a sign or a clip would change.
        if hasattr(layer, "kernel"):
            layer.kernel.assign(layer.kernel * 5)
            assert layer.kernel_constraint is None
    x = inputs_of(twin)
    np.testing.assert_allclose(twin(x), computed_by_hand(twin, x), rtol=1e-4, atol=1e-2)


def test_layers_keep_their_names_and_relus_are_named_after_them():
    names = [layer.name for layer in float_twin(BinaryNet((8, 8, 1), 10)).layers]
    assert names[:5] == ["image", "stem", "stem_norm", "binary_1_relu", "binary_1"]
    twin = float_twin(over_time())
    frames = [layer for layer in twin.layers if layer.name.startswith("frames")]
    assert [layer.name for layer in frames] == ["frames_relu", "frames"]
    assert [type(layer.layer) for layer in frames] == [layers.ReLU, layers.Conv2D]
    pairs = [layer for layer in twin.layers if layer.name.startswith("pairs")]
    assert [type(layer.layer.layer) for layer in pairs] == [layers.ReLU, layers.Dense]


def test_quantizers_by_themselves_and_as_activations_become_relu():
    twin = {layer.name: layer for layer in float_twin(by_themselves()).layers}
    relu = tf.keras.activations.relu
    assert [twin[name].activation for name in ("dense", "activation", "function")] == [relu] * 3
    assert type(twin["larq"]) is type(twin["ours"]) is layers.ReLU
    assert twin["tanh"].activation is tf.keras.activations.tanh


def test_a_shared_layer_stays_shared():
    twin = float_twin(shared())
    assert [tuple(weight.shape) for weight in twin.weights] == [(8, 5)]
    left, right = inputs_of(twin)
    expected = (np.maximum(left, 0) - np.maximum(right, 0)) @ twin.weights[0].numpy()
    np.testing.assert_allclose(twin([left, right]), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(twin([left, left]), 0)


def test_a_shared_model_stays_shared():
    block = tf.keras.Sequential([BinaryDense(6), layers.BatchNormalization()], name="block")
    x = tf.keras.Input((6,))
    twin = float_twin(tf.keras.Model(x, block(block(x))))
    assert len([weight for weight in twin.weights if "kernel" in weight.name]) == 1
    kernel = twin.get_layer("block").layers[1].kernel.numpy()
    value = inputs_of(twin)
    for _ in range(2):
        value = np.maximum(value, 0) @ kernel / np.sqrt(1.001)
    np.testing.assert_allclose(twin(inputs_of(twin)), value, rtol=1e-4, atol=1e-4)


def test_a_quantizer_that_does_nothing_becomes_nothing():
    layer = larq.layers.QuantDense(2, input_quantizer=larq.quantizers.NoOp(precision=1))
    twin = float_twin(tf.keras.Sequential([tf.keras.Input((4,)), layer]))
    x = inputs_of(twin)
    np.testing.assert_allclose(twin(x), x @ twin.weights[0].numpy(), rtol=1e-5, atol=1e-5)


def test_a_model_without_a_shape_has_a_twin_without_one():
    twin = float_twin(tf.keras.Sequential([BinaryDense(4), layers.Dense(2)]))
    assert not twin.built
    assert twin(np.ones((3, 5), np.float32)).shape == (3, 2)


def test_a_model_built_by_its_first_call_has_a_twin():
    model = tf.keras.Sequential([BinaryDense(4), layers.Dense(2)])
    model(np.ones((3, 5), np.float32))
    assert [tuple(w.shape) for w in float_twin(model).weights] == [(5, 4), (4, 2), (2,)]


def test_a_loaded_model_has_a_twin(tmp_path):
    BinaryNet((8, 8, 1), 10).save(tmp_path / "m.keras")
    twin = float_twin(kb.load_model(tmp_path / "m.keras"))
    twin.save(tmp_path / "twin.keras")
    assert tf.keras.models.load_model(tmp_path / "twin.keras").output_shape == (None, 10)


def test_a_new_relu_takes_no_name_that_is_there():
    model = tf.keras.Sequential(
        [tf.keras.Input((6,)), BinaryDense(4, name="fc"), layers.ReLU(name="fc_relu")]
    )
    assert [layer.name for layer in float_twin(model).layers] == ["fc_relu_2", "fc", "fc_relu"]


def test_what_a_normalization_was_adapted_to_is_kept(generator):
    data = generator.normal(3, 5, (50, 6)).astype(np.float32)
    adapted, given = layers.Normalization(), layers.Normalization(mean=1.0, variance=2.0)
    adapted.adapt(data)
    model = tf.keras.Sequential([tf.keras.Input((6,)), adapted, given, layers.Normalization()])
    np.testing.assert_allclose(float_twin(model)(data), model(data), rtol=1e-6)


def test_layers_that_keras_does_not_find_by_name_are_kept():
    normalized = layers.SpectralNormalization(layers.Dense(3))
    twin = float_twin(tf.keras.Sequential([tf.keras.Input((6,)), normalized, BinaryDense(2)]))
    assert type(twin.layers[0]) is layers.SpectralNormalization
    assert twin(np.ones((1, 6), np.float32), training=True).shape == (1, 2)


class Own(layers.Layer):
    """Keras cannot serialize it, since it has an argument and no get_config."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return tf.sign(x) * self.factor


def own_activation(x):
    return tf.sign(x)


def symbolic(function):
    x = tf.keras.Input((4,))
    return lambda: tf.keras.Model(x, layers.Dense(2)(function(x)))


def with_activation(function):
    return lambda: tf.keras.Sequential([tf.keras.Input((4,)), layers.Activation(function)])


def shared_between(*holders):
    def build():
        layer, x = BinaryDense(4, name="both"), tf.keras.Input((4, 4))
        return tf.keras.Model(x, [holder(layer)(x) for holder in holders])

    return build


REFUSED = {
    "lambda": lambda: tf.keras.Sequential([tf.keras.Input((4,)), layers.Lambda(tf.sign)]),
    "own class": lambda: tf.keras.Sequential([tf.keras.Input((4,)), Own(2.0)]),
    "own activation": lambda: tf.keras.Sequential(
        [tf.keras.Input((4,)), layers.Dense(2, activation=own_activation)]
    ),
    "own class in a wrapper": lambda: tf.keras.Sequential(
        [tf.keras.Input((3, 4)), layers.TimeDistributed(Own(2.0))]
    ),
    "quantizer in a cell": lambda: tf.keras.Sequential(
        [
            tf.keras.Input((3, 4)),
            layers.Bidirectional(layers.LSTM(2, recurrent_activation=kb.quantizers.SteSign())),
        ]
    ),
    "quantizer in a gate": lambda: tf.keras.Sequential(
        [tf.keras.Input((3, 4)), layers.GRU(2, recurrent_activation=kb.quantizers.SteSign())]
    ),
    "sign": symbolic(tf.sign),
    "sign of NumPy": symbolic(tf.experimental.numpy.sign),
    "round": symbolic(tf.round),
    "where": symbolic(lambda x: tf.where(x >= 0, 1.0, -1.0)),
    "cast": symbolic(lambda x: 2 * tf.cast(x >= 0, tf.float32) - 1),
    "activation sign": with_activation(tf.sign),
    "activation of TensorFlow": with_activation(tf.abs),
    "activation of the backend": with_activation(tf.keras.backend.sign),
    "shared by models": shared_between(
        lambda layer: tf.keras.Sequential([layer], name="a"),
        lambda layer: tf.keras.Sequential([layer], name="b"),
    ),
    "shared with a wrapper": shared_between(layers.TimeDistributed, lambda layer: layer),
    "subclassed": networks.subclassed,
    "subclassed inside": lambda: tf.keras.Sequential(
        [tf.keras.Input((10, 10, 3)), networks.Subclassed()]
    ),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_could_hide_a_sign_is_refused(build):
    with pytest.raises(InputError, match=r"float_twin .*(by hand|keras_bnn quantizer)\.") as error:
        float_twin(build())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [None, "binarynet", BinaryNet], ids=["None", "name", "function"])
def test_what_is_no_model_is_refused(value):
    with pytest.raises(InputError, match=type(value).__name__):
        float_twin(value)


def test_the_twin_synchronizes_batch_norms_as_the_model_does():
    inner = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.BatchNormalization()])
    model = tf.keras.Sequential([tf.keras.Input((4,)), inner, tf.keras.layers.BatchNormalization()])
    kb.training.synchronize_batch_norm(model)
    twin = kb.models.float_twin(model)
    norms = [twin.layers[0].layers[0], twin.layers[1]]
    assert [(norm.synchronized, norm.fused) for norm in norms] == [(True, False)] * 2
