"""What is told of a training while it runs, and why a network does not learn."""

import json
import subprocess
import sys

import numpy as np
import pytest

import keras_bnn as kb
from keras_bnn._keras import keras, larq, tf
from keras_bnn.data.dataset import Dataset
from keras_bnn.errors import InputError, NotLearningWarning
from keras_bnn.layers import BinaryConv2D, BinaryDense, RSign
from keras_bnn.training import (
    Bop,
    Diagnostics,
    Distillation,
    FlipRatio,
    OptimizerGroup,
    Saturation,
    cosine,
    train,
)

SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
WEIGHTS = ("flip_ratio", "flip_ratio_per_step", "saturation")
CHANNELS = ("dead_channels", "constant_sign_channels", "blocked_gradients")


def norm(**options):
    return keras.layers.BatchNormalization(momentum=0.8, **options)


def network(between=lambda: [norm()], **options):
    """Two binary convolutions, with `between` between them."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem"),
            norm(name="stem_norm"),
            BinaryConv2D(32, 3, padding="same", name="first", **options),
            *between(),
            keras.layers.MaxPool2D(),
            BinaryConv2D(32, 3, padding="same", name="second", **options),
            norm(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )


def compiled(model, optimizer=None):
    model.compile(optimizer or keras.optimizers.Adam(1e-2), SPARSE, metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def digits():
    return kb.data.load("digits")


@pytest.fixture(scope="module")
def data(digits):
    images, labels = digits.train
    return images[:256], labels[:256]


def test_flips_are_counted_between_updates():
    metric = FlipRatio()
    # 0 reads as +1, -0.0 too.
    for values in ([[-1, 0, 2, 3]], [[-2, -0.0, 1, -3]], [[1, -1, -1, -3]]):
        metric.update_state(np.array(values, np.float32))
    assert float(metric.result()) == 0.5
    metric.reset_state()
    metric.update_state([[1.0, -1, -1, 3]])
    assert float(metric.result()) == 0.25
    with pytest.raises(ValueError, match="one FlipRatio for each kernel"):
        metric.update_state([1.0])
    assert FlipRatio.from_config(FlipRatio(name="flips").get_config()).name == "flips"


def test_saturation_counts_from_the_clip_on():
    metric = Saturation.from_config(Saturation(0.5).get_config())
    metric.update_state(np.array([0.5, -0.5, 0.49, -3], np.float32))
    metric.update_state(np.zeros(4, np.float32))
    assert float(metric.result()) == 0.375


class ByHand(keras.callbacks.Callback):
    """The figures of one kernel from its latent weights, of one sign from what is in front."""

    def __init__(self, images, clip):
        super().__init__()
        self.images, self.clip, self.epochs = images, clip, []

    def signs(self):
        return self.model.get_layer("second").kernel.numpy() >= 0

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = self.before = self.signs()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.before, before = self.signs(), self.before
        self.steps.append((self.before != before).mean())

    def on_epoch_end(self, epoch, logs=None):
        layer = self.model.get_layer("second")
        in_front = keras.Model(self.model.inputs, layer.input)(self.images).numpy()
        in_front = in_front.reshape(-1, in_front.shape[-1])
        latent = layer.kernel.numpy()
        flipped = self.signs() != self.begin
        self.epochs.append(
            {
                "flip_ratio": flipped.mean(),
                "flip_ratio_per_step": np.mean(self.steps),
                "saturation": (abs(latent) >= np.float32(self.clip)).mean(),
                "dead_channels": (in_front == in_front[0]).all(0).mean(),
                "constant_sign_channels": ((in_front >= 0) == (in_front[0] >= 0)).all(0).mean(),
                "blocked_gradients": (abs(in_front) > self.clip).mean(),
                "latent_weights": latent,
                "pre_sign": in_front,
                "flips": flipped.reshape(-1, flipped.shape[-1]).mean(0),
            }
        )


@pytest.fixture(scope="module")
def by_hand(data, tmp_path_factory):
    """A training with a small clip, so that weights saturate; two channels are made constant."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("events")
    model = network(lambda: [norm(name="norm", trainable=False)])
    kb.training.set_clip(model, 0.1)
    gamma, beta = np.ones(32, np.float32), np.zeros(32, np.float32)
    gamma[:2], beta[1:3] = 0, [-0.05, 9]
    layer = model.get_layer("norm")
    layer.set_weights([gamma, beta, *layer.get_weights()[2:]])
    compiled(model)
    expected = ByHand(data[0][:32], 0.1)
    diagnostics = Diagnostics(data[0][:32], log_dir=folder)
    history = model.fit(*data, epochs=2, verbose=0, callbacks=[diagnostics, expected])
    return history.history, expected.epochs, folder


@pytest.mark.parametrize("name", [*WEIGHTS, *CHANNELS])
def test_figures_are_those_computed_by_hand(name, by_hand):
    figures, expected, _ = by_hand
    for told, epoch in zip(figures[f"{name}/second"], expected, strict=True):
        assert told == pytest.approx(epoch[name], rel=1e-5)
        assert 0 < told < 1
    sizes = (9 * 16 * 32, 9 * 32 * 32) if name in WEIGHTS else (16, 32)
    layers = np.array([figures[f"{name}/first"], figures[f"{name}/second"]])
    assert figures[name] == pytest.approx(np.average(layers, axis=0, weights=sizes))


def test_histograms_are_in_the_event_file(by_hand):
    _, expected, folder = by_hand
    (path,) = folder.iterdir()
    found = {}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "histograms"
            found[value.tag, event.step] = tf.make_ndarray(value.tensor)
    kinds = ("latent_weights", "flips", "pre_sign")
    assert set(found) == {
        (f"{kind}/{layer}", step)
        for kind in kinds
        for layer in ("first", "second")
        for step in (0, 1)
    }
    for step, epoch in enumerate(expected):
        for kind in kinds:
            rows, values = found[f"{kind}/second", step], epoch[kind].ravel()
            counts, edges = np.histogram(values, len(rows))
            np.testing.assert_allclose(rows[:, 0], edges[:-1], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(rows[:, 1], edges[1:], rtol=1e-5, atol=1e-6)
            # A value at an edge may have been rounded to either side of it.
            assert abs(rows[:, 2] - counts).sum() <= 2e-3 * values.size
            assert rows[:, 2].sum() == values.size


def test_figures_of_layers_can_be_left_out(data):
    model = compiled(network())
    diagnostics = Diagnostics(data[0][:8], per_layer=False)
    history = model.fit(*data, batch_size=128, verbose=0, callbacks=[diagnostics]).history
    assert set(history) == {"loss", "accuracy", *WEIGHTS, *CHANNELS}


def test_the_training_is_not_changed(data, tmp_path):
    def trained(*callbacks):
        keras.utils.set_random_seed(3)
        model = network(between=lambda: [norm(), keras.layers.Dropout(0.1)])
        group = OptimizerGroup(keras.optimizers.Adam(1e-2), keras.optimizers.SGD(0.1))
        compiled(model, group).fit(*data, epochs=2, verbose=0, callbacks=list(callbacks))
        return [weight.tobytes() for weight in model.get_weights()]

    assert trained() == trained(Diagnostics(data[0][:16], log_dir=tmp_path))


def test_the_signs_of_all_kinds_of_layers(data):
    """A shortcut past a real convolution, signs as layers and activations, larq's layers."""
    image = keras.Input((8, 8, 1))
    x = norm()(keras.layers.Conv2D(8, 3, name="stem")(image))
    y = norm()(
        larq.layers.QuantConv2D(
            8,
            3,
            padding="same",
            input_quantizer="ste_sign",
            kernel_quantizer="ste_sign",
            kernel_constraint="weight_clip",
            name="of_larq",
        )(x)
    )
    x = keras.layers.Add()([y, norm()(keras.layers.Conv2D(8, 1, name="shortcut")(x))])
    x = RSign(name="rsign")(x)
    x = norm()(
        larq.layers.QuantSeparableConv2D(
            8,
            3,
            depthwise_quantizer="ste_sign",
            pointwise_quantizer="ste_sign",
            depthwise_constraint="weight_clip",
            pointwise_constraint="weight_clip",
            name="separable",
        )(x)
    )
    x = keras.layers.Flatten()(kb.quantizers.SteSign(name="bare")(x))
    x = norm()(BinaryDense(16, input_quantizer=None, name="dense")(x))
    x = keras.layers.Activation("ste_sign", name="activation")(x)
    x = keras.layers.Dense(16, activation="ste_sign", name="inside")(x)
    x = BinaryDense(10, input_quantizer=None, name="last")(x)
    model = compiled(keras.Model(image, norm()(x)))
    history = model.fit(*data, verbose=0, callbacks=[Diagnostics(data[0][:32])]).history
    told = {
        name: {key.partition("/")[2] for key in history if key.startswith(f"{name}/")}
        for name in (*WEIGHTS, *CHANNELS)
    }
    kernels = {
        "of_larq",
        "separable.depthwise_kernel",
        "separable.pointwise_kernel",
        "dense",
        "last",
    }
    signs = {"of_larq", "rsign", "bare", "activation", "inside"}
    assert told == {**dict.fromkeys(WEIGHTS, kernels), **dict.fromkeys(CHANNELS, signs)}
    before = kb.training.before_signs.before_signs(model, tf.constant(data[0][:2]))
    before = {sign.layer.name: each for sign, each in before.items()}
    assert before["of_larq"].is_normalized
    assert before["rsign"].is_normalized
    assert before["bare"].is_normalized
    assert before["inside"].kernels == ("inside",)


class Subclassed(keras.Model):
    """Holds a model, and signs that no layer holds."""

    def __init__(self):
        super().__init__()
        self.inner, self.sign = network(), kb.quantizers.SteSign(name="own")
        self.last = BinaryDense(10, input_quantizer=None, name="last")

    def call(self, inputs, training=False):
        return self.last(self.sign(self.inner(inputs, training=training)))


def nested():
    image = keras.Input((8, 8, 1))
    return keras.Model(image, keras.layers.Dense(10)(norm()(network()(image))))


def built_by_shape():
    model = Subclassed()
    model.build((None, 8, 8, 1))
    return model


def student():
    return Distillation(network(), kb.models.float_twin(network()))


@pytest.mark.parametrize("make", [nested, built_by_shape, student])
def test_layers_inside_other_models_are_found(make, data):
    model = compiled(make())
    history = model.fit(*data, verbose=0, callbacks=[Diagnostics(data[0][:16])]).history
    for name in (*WEIGHTS, *CHANNELS):
        assert {f"{name}/first", f"{name}/second"} <= set(history)


def test_bop_has_no_latent_weights_that_could_saturate(data):
    group = OptimizerGroup(Bop(1e-5, 1e-2), keras.optimizers.SGD(0.1))
    model = compiled(network(), group)
    history = model.fit(*data, verbose=0, callbacks=[Diagnostics(data[0][:16])]).history
    assert "saturation" not in history
    assert history["flip_ratio"][0] > 0


def relu():
    return [norm(name="norm"), keras.layers.ReLU(name="relu")]


def on_brightness():
    """Takes the signs of numbers from 0 to 1."""
    flat = [keras.layers.Rescaling(0.5, 0.5), keras.layers.Flatten()]
    binary = BinaryDense(10, name="only")
    return keras.Sequential([keras.Input((8, 8, 1)), *flat, binary, norm()])


def hundredfold():
    return [norm(name="norm"), keras.layers.Rescaling(100.0)]


# What the training is like, and what has to be in the warning: where, why, the remedy.
BAD = {
    "relu": (
        lambda: compiled(network(relu)),
        {"epochs": 3},
        ["second learns nothing", "all signs are +1", "relu", "in front of norm"],
    ),
    "inputs": (
        lambda: compiled(on_brightness()),
        {"epochs": 1},
        ["only learns nothing", "Put a batch normalization directly in front"],
    ),
    "no batch norm": (
        lambda: compiled(network(list)),
        {"epochs": 1},
        ["second has no batch normalization", "pass no gradient", "put one behind first"],
    ),
    "out of the clip": (
        lambda: compiled(network(hundredfold)),
        {"epochs": 2},
        ["second passes hardly any gradient", "behind norm", "Scale them"],
    ),
    "no number": (
        lambda: compiled(network(), keras.optimizers.SGD(1e3)),
        {"epochs": 2},
        ["The loss is nan", "learning rate", "Lower it", "Most signs flipped in "],
    ),
    "saturated": (
        lambda: compiled(network(), keras.optimizers.Adam(10.0)),
        {"epochs": 3},
        [" of its latent weights at their clip", "learning rate is too high. Lower it"],
    ),
    "restless": (
        lambda: compiled(network(), keras.optimizers.Adam(0.3)),
        {"epochs": 8},
        ["of its signs in every step", "learning rate is too high, or does not decay"],
    ),
    "too slow": (
        lambda: compiled(network(), keras.optimizers.Adam(1e-6)),
        {"epochs": 3},
        [" of its signs in 3 epochs", "learning rate is too low. Raise it"],
    ),
    "Bop that never flips": (
        lambda: compiled(network(), OptimizerGroup(Bop(1.0), keras.optimizers.SGD(1e-6))),
        {"epochs": 3},
        [" of its signs in 3 epochs", "Lower Bop's threshold, or raise its gamma"],
    ),
}


@pytest.mark.parametrize(("make", "options", "told"), BAD.values(), ids=BAD)
def test_a_network_that_does_not_learn_is_told_why(make, options, told, data):
    diagnostics = Diagnostics(data[0][:64], patience=2)
    with pytest.warns(NotLearningWarning) as warned:
        history = make().fit(*data, verbose=0, callbacks=[diagnostics], **options)
    (message,) = [str(each.message) for each in warned]
    assert [part for part in told if part not in message] == [], message
    assert "\n" not in message
    assert history.history["accuracy"][-1] < 0.9


def enlarged(images, factor):
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


# Pytest makes an error of each warning.
@pytest.mark.parametrize(
    ("make", "prepare", "accuracy"),
    [
        (network, lambda images: images, 0.9),
        (lambda: kb.models.BinaryNet((8, 8, 1), 10), lambda images: images, 0.9),
        (lambda: kb.models.SensorNet((8, 8), 10), lambda images: images[..., 0], 0.9),
        pytest.param(
            lambda: kb.models.BiRealNet18((32, 32, 1), 10),
            lambda images: enlarged(images, 4),
            0.8,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: kb.models.QuickNetSmall((32, 32, 1), 10),
            lambda images: enlarged(images, 4),
            0.8,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: kb.models.ReActNetA((32, 32, 1), 10),
            lambda images: enlarged(images, 4),
            0.5,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["small", "binarynet", "sensor_net", "birealnet18", "quicknet_small", "reactnet_a"],
)
def test_a_network_that_learns_is_left_alone(make, prepare, accuracy, digits):
    images, labels = prepare(digits.train.images[:768]), digits.train.labels[:768]
    model = compiled(make(), keras.optimizers.Adam(cosine(1e-2, 6 * 24)))
    diagnostics = Diagnostics(images[:64], patience=2)
    history = model.fit(images, labels, epochs=6, verbose=0, callbacks=[diagnostics]).history
    assert history["accuracy"][-1] > accuracy
    assert history["flip_ratio"][-1] < history["flip_ratio"][0] / 5


def few(digits) -> Dataset:
    splits = [
        split.take(np.arange(count)) for split, count in ((digits.train, 200), (digits.test, 50))
    ]
    return Dataset("few", *splits, digits.label_names)


def plain(input_shape, num_classes):
    return network()


def rebuilt(input_shape, num_classes):
    """A network that `train` builds anew in every epoch."""
    return network(lambda: [norm(), keras.layers.Dropout(0.1)])


class Stops(keras.callbacks.Callback):
    """Ends the process' part in a run, as an interruption does."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_resumed_run_tells_what_the_whole_one_does(digits, tmp_path):
    dataset, settings = few(digits), {"epochs": 2, "batch_size": 64, "learning_rate": 0.01}

    def diagnostics():
        return Diagnostics(dataset.train.images[:16])

    whole = train(plain, dataset, tmp_path / "whole", callbacks=[diagnostics()], **settings)
    with pytest.raises(KeyboardInterrupt):
        train(plain, dataset, tmp_path / "run", callbacks=[diagnostics(), Stops()], **settings)
    resumed = train(plain, dataset, tmp_path / "run", callbacks=[diagnostics()], resume=True)
    assert resumed.epochs == whole.epochs
    assert {"flip_ratio", "flip_ratio/first", "dead_channels/second"} <= set(whole.epochs[0])
    told = json.loads((tmp_path / "run" / "history.json").read_text())
    assert told["epochs"] == whole.epochs


def test_a_run_of_one_fit_an_epoch_is_looked_at_as_a_whole(digits, tmp_path):
    dataset = few(digits)
    diagnostics = Diagnostics(dataset.train.images[:16], patience=2)
    with pytest.warns(NotLearningWarning, match=r"signs in 3 epochs"):
        train(
            rebuilt,
            dataset,
            tmp_path / "run",
            epochs=3,
            learning_rate=1e-6,
            callbacks=[diagnostics],
        )


def test_the_last_epochs_of_a_run_alone_are_not_too_slow(digits, tmp_path):
    """Their rate is low because its schedule ends, which one who comes late cannot see."""
    model, (images, labels) = compiled(network(), keras.optimizers.Adam(1e-6)), digits.train
    diagnostics = Diagnostics(images[:16], patience=1)
    model.fit(
        images[:64], labels[:64], initial_epoch=5, epochs=8, verbose=0, callbacks=[diagnostics]
    )


def test_a_model_without_anything_binary_is_told(data):
    model = compiled(kb.models.float_twin(network()))
    with pytest.warns(UserWarning, match="no binary kernel and no sign"):
        model.fit(*data, verbose=0, callbacks=[Diagnostics(data[0][:8])])


REFUSED = {
    "patience": (lambda data: Diagnostics(data[0], patience=0), "patience is 0"),
    "folder": (lambda data: Diagnostics(data[0], log_dir=__file__), "Cannot make the folder"),
    "no folder": (lambda data: Diagnostics(data[0], log_dir=5), "Cannot make the folder 5"),
    "clip": (lambda data: Saturation(0), "clip_value is 0"),
    "unbuilt": (
        lambda data: compiled(Subclassed()).fit(*data, callbacks=[Diagnostics(data[0])], verbose=0),
        "is not built",
    ),
    "shape": (
        lambda data: compiled(network()).fit(*data, callbacks=[Diagnostics(data[0][0])], verbose=0),
        "add a batch axis",
    ),
    "both": (
        lambda data: compiled(network()).fit(*data, callbacks=[Diagnostics(data)], verbose=0),
        "Got 2 inputs, expected 1",
    ),
    "one": (
        lambda data: compiled(network()).fit(
            *data, callbacks=[Diagnostics(data[0][:1])], verbose=0
        ),
        "hold 1 sample, expected 2 or more",
    ),
}


@pytest.mark.parametrize(("make", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(make, told, data):
    with pytest.raises(InputError) as error:
        make(data)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


MIRRORED = """
import keras_bnn as kb, numpy as np
from keras_bnn._keras import keras, tf
from keras_bnn.training import Diagnostics, synchronize_batch_norm

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
images, labels = (part[:256] for part in kb.data.load("digits").train)

def trained(scope, *callbacks):
    with scope:
        keras.utils.set_random_seed(0)
        model = kb.models.BinaryNet((8, 8, 1), 10)
        synchronize_batch_norm(model)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-2), loss)
    history = model.fit(images, labels, batch_size=64, epochs=2, shuffle=False, verbose=0,
                        callbacks=callbacks)
    return history.history, model.get_weights()

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
told, weights = trained(strategy.scope(), Diagnostics(images[:32], log_dir="events"))
_, alone = trained(strategy.scope())
for a, b in zip(weights, alone, strict=True):
    assert a.tobytes() == b.tobytes()
expected, _ = trained(tf.device("CPU:0"), Diagnostics(images[:32]))
assert set(told) == set(expected)
for name, values in expected.items():
    np.testing.assert_allclose(told[name], values, rtol=0.02, atol=1e-4, err_msg=name)
"""


@pytest.mark.slow
def test_two_replicas_tell_what_one_process_does(tmp_path):
    """In a process of its own, since devices are shared out before TensorFlow's first operation."""
    subprocess.run([sys.executable, "-c", MIRRORED], check=True, cwd=tmp_path)
