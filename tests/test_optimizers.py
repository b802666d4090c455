"""Optimizers: what they do to a weight, and that training goes on exactly where it was left."""

import subprocess
import sys

import numpy as np
import pytest

import keras_bnn as kb
from keras_bnn._keras import keras, larq, tf
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv2D, BinaryDense
from keras_bnn.training import Bop, OptimizerGroup

schedules = keras.optimizers.schedules


def network():
    return keras.Sequential(
        [
            keras.layers.Conv2D(8, 3, input_shape=(8, 8, 1)),
            keras.layers.BatchNormalization(),
            BinaryConv2D(8, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            BinaryDense(16),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(10),
        ]
    )


def adam_and_sgd():
    cosine = schedules.CosineDecay(0.0, 20, warmup_target=1e-2, warmup_steps=4)
    sgd = keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-4, global_clipnorm=1.0)
    return OptimizerGroup(binary=keras.optimizers.Adam(cosine), real=sgd)


def bop_and_adam():
    gamma = schedules.PolynomialDecay(1e-2, 20, 1e-3)
    bop = Bop(threshold=schedules.ExponentialDecay(1e-4, 5, 0.5), gamma=gamma)
    return OptimizerGroup(binary=bop, real=keras.optimizers.Adam(1e-2, use_ema=True))


OPTIMIZERS = [adam_and_sgd, bop_and_adam]


def compiled(optimizer):
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(), loss, metrics=["accuracy"])
    return model


def fit(model, data, epochs: int = 1):
    model.fit(*data, batch_size=32, epochs=epochs, shuffle=False, verbose=0)


def state(model) -> list[np.ndarray]:
    """Weights, and all that the optimizers keep."""
    group = model.optimizer
    parts = (*group.variables, *group.binary.variables, *group.real.variables)
    return [variable.numpy() for variable in (*model.weights, *parts)]


def assert_equal(ours: list, theirs: list):
    assert len(ours) == len(theirs) > 20
    for a, b in zip(ours, theirs, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.fixture(scope="module")
def data():
    images, labels = kb.data.load("digits").train
    return images[:128], labels[:128]


@pytest.fixture(scope="module", params=OPTIMIZERS, ids=lambda optimizer: optimizer.__name__)
def halves(request, data, tmp_path_factory):
    """A run of two epochs, what was kept after the first, and its end."""
    # For the whole process, so that what ran in it before makes no difference.
    tf.config.experimental.enable_op_determinism()
    folder = tmp_path_factory.mktemp("halves")
    keras.utils.set_random_seed(3)
    model = compiled(request.param)
    fit(model, data)
    tf.train.Checkpoint(model=model).write(str(folder / "checkpoint"))
    for name in ("model.keras", "model.h5", "saved_model"):
        model.save(folder / name)
    fit(model, data)
    return request.param, folder, state(model)


def test_training_goes_on_exactly_from_a_checkpoint_of_a_freshly_compiled_model(halves, data):
    optimizer, folder, end = halves
    model = compiled(optimizer)
    # Not built yet: its variables take their values when they are made.
    tf.train.Checkpoint(model=model).read(str(folder / "checkpoint"))
    fit(model, data)
    assert_equal(state(model), end)


def test_training_goes_on_exactly_from_a_checkpoint_of_a_built_optimizer(halves, data):
    optimizer, folder, end = halves
    model = compiled(optimizer)
    model.optimizer.build(model.trainable_variables)
    restored = tf.train.Checkpoint(model=model).read(str(folder / "checkpoint"))
    restored.assert_consumed()
    fit(model, data)
    assert_equal(state(model), end)


SAVED = ["model.keras", "model.h5", pytest.param("saved_model", marks=pytest.mark.slow)]


@pytest.mark.parametrize("name", SAVED)
def test_training_goes_on_exactly_from_a_saved_model(name, halves, data):
    _, folder, end = halves
    model = kb.load_model(folder / name)
    fit(model, data)
    assert_equal(state(model), end)


@pytest.mark.slow
def test_training_goes_on_exactly_in_another_process(halves, data, tmp_path):
    """Whose variables have other identities: larq's CaseOptimizer trains nothing there."""
    _, folder, end = halves
    np.savez(tmp_path / "data.npz", *data)
    program = f"""
import keras_bnn as kb, numpy as np
from keras_bnn._keras import keras, tf
tf.config.experimental.enable_op_determinism()
keras.utils.set_random_seed(5)
keras.layers.Dense(3)(np.ones((1, 2), np.float32))
model = kb.load_model({str(folder / "model.keras")!r})
data = np.load({str(tmp_path / "data.npz")!r})
model.fit(data["arr_0"], data["arr_1"], batch_size=32, shuffle=False, verbose=0)
group = model.optimizer
parts = (*group.variables, *group.binary.variables, *group.real.variables)
values = [v.numpy() for v in (*model.weights, *parts)]
np.savez({str(tmp_path / "end.npz")!r}, *values)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    ended = np.load(tmp_path / "end.npz")
    assert_equal([ended[f"arr_{i}"] for i in range(len(end))], end)


def test_a_group_does_what_each_of_its_optimizers_does_alone(generator):
    """With gradients of our own, so that neither depends on what the other has done."""
    together, alone = network(), network()
    alone.set_weights(together.get_weights())
    is_binary = [kb.probe.is_quantized(v) for v in together.trainable_variables]
    assert sum(is_binary) == 2
    assert len(is_binary) == 12
    group = OptimizerGroup(keras.optimizers.Adam(0.02), keras.optimizers.SGD(0.1, momentum=0.9))
    adam, sgd = keras.optimizers.Adam(0.02), keras.optimizers.SGD(0.1, momentum=0.9)
    for _ in range(3):
        gradients = [
            tf.constant(generator.standard_normal(v.shape), tf.float32)
            for v in together.trainable_variables
        ]
        group.apply_gradients(zip(gradients, together.trainable_variables, strict=True))
        pairs = [*zip(gradients, alone.trainable_variables, strict=True)]
        for optimizer, kind in ((adam, True), (sgd, False)):
            optimizer.apply_gradients(
                [pair for pair, binary in zip(pairs, is_binary, strict=True) if binary == kind]
            )
    for a, b in zip(together.get_weights(), alone.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    assert int(group.iterations) == int(group.binary.iterations) == int(group.real.iterations) == 3


def test_bop_follows_its_rule(generator):
    layer = BinaryDense(5, input_shape=(7,))
    keras.Sequential([layer])
    weights = np.where(layer.kernel.numpy() >= 0, 1, -1).astype(np.float32)
    average = np.zeros_like(weights)
    optimizer, flipped = Bop(threshold=0.25, gamma=0.5), 0
    for _ in range(6):
        # Halves and eighths: nothing is rounded, and some averages meet the threshold exactly.
        gradient = generator.integers(-4, 5, weights.shape).astype(np.float32) / 4
        optimizer.apply_gradients([(tf.constant(gradient), layer.kernel)])
        average += np.float32(0.5) * (gradient - average)
        flips = average * weights > 0.25
        flipped += flips.sum()
        weights = np.where(flips, -weights, weights)
        np.testing.assert_array_equal(layer.kernel.numpy(), weights)
    assert flipped > 10


def test_bop_learns_with_the_default_layers_and_weights_stay_signs(data):
    model = compiled(bop_and_adam)
    fit(model, data, epochs=12)
    assert model.evaluate(*data, verbose=0)[1] > 0.9
    for layer in (model.layers[2], model.layers[5]):
        assert set(np.unique(layer.kernel.numpy())) == {-1.0, 1.0}


def test_a_callback_can_set_the_rates(data):
    model = compiled(lambda: OptimizerGroup(Bop(gamma=0.5), keras.optimizers.SGD(0.5)))

    class Decay(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.binary.learning_rate = 0.25
            self.model.optimizer.real.learning_rate = 0.125

    model.fit(*data, callbacks=[Decay()], verbose=0)
    assert model.optimizer.binary.get_config()["gamma"] == 0.25
    assert model.optimizer.real.get_config()["learning_rate"] == 0.125
    with pytest.raises(InputError, match=r"no one learning rate.*optimizer\.binary\.learning_rate"):
        model.fit(*data, callbacks=[keras.callbacks.LearningRateScheduler(float)], verbose=0)


def test_averages_replace_the_weights_at_the_end(data):
    optimizer = OptimizerGroup(
        keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    )
    model = compiled(lambda: optimizer)
    fit(model, data)
    averages = [v.numpy() for v in optimizer.real._model_variables_moving_average]
    real = [v for v in model.trainable_variables if not kb.probe.is_quantized(v)]
    for average, variable in zip(averages, real, strict=True):
        np.testing.assert_array_equal(average, variable.numpy())


def test_mixed_precision(data):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = compiled(bop_and_adam)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    before = model.get_weights()
    model.fit(*data, epochs=8, batch_size=32, verbose=0)
    assert int(model.optimizer.iterations) > 4
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(changed)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Bop(threshold=-1), "threshold is -1, expected a number 0 or more"),
        (lambda: Bop(gamma=0), "gamma is 0, expected a number above 0 and at most 1"),
        (lambda: Bop(gamma=2.0), "gamma is 2.0"),
        (lambda: Bop(weight_decay=1e-4), "do not decay"),
        (lambda: OptimizerGroup(larq.optimizers.Bop(), "sgd"), "binary is of class larq.optim"),
        (lambda: OptimizerGroup(*[keras.optimizers.SGD()] * 2), "same optimizer object"),
    ],
)
def test_what_cannot_be_is_refused(make, told):
    with pytest.raises(InputError) as error:
        make()
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (keras.layers.Dense(2), "kernel:0 has no quantizer"),
        (BinaryDense(2, kernel_quantizer="approx_sign"), "has no gradient at ±1"),
        (BinaryDense(2, kernel_quantizer=kb.quantizers.SteSign(0.5)), "has no gradient at ±1"),
    ],
    ids=["real", "approx_sign", "narrow clip"],
)
def test_bop_refuses_weights_that_it_could_not_train(layer, told):
    layer.build((None, 3))
    with pytest.raises(InputError) as error:
        Bop().build([layer.kernel])
    assert told in str(error.value)


def test_bop_takes_what_larq_marks_as_binary():
    layer = larq.layers.QuantDense(2, kernel_quantizer=larq.quantizers.NoOp(precision=1))
    layer.build((None, 3))
    optimizer = Bop()
    optimizer.apply_gradients([(tf.ones((3, 2)), layer.kernel)])
    assert set(np.unique(np.abs(layer.kernel.numpy()))) == {1.0}


def test_a_group_without_binary_kernels_says_so():
    model = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
    with pytest.warns(UserWarning, match="no kernel of this model has a quantizer"):
        adam_and_sgd().build(model.trainable_variables)
