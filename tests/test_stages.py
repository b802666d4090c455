"""Recipes: schedules, the clip, real weights first, teachers, and the presets made of them."""

import numpy as np
import pytest

import keras_bnn as kb
from keras_bnn._keras import keras, larq, tf
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv2D, BinaryDense, RPReLU, RSign
from keras_bnn.training import (
    Distillation,
    WarmUp,
    cosine,
    presets,
    real_to_binary,
    set_clip,
    two_step,
    with_real_weights,
)

SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def residual():
    """A shortcut, a scale, a sign that is a layer, and one that is an activation."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(8, 3, padding="same")(image)
    x = keras.layers.BatchNormalization(synchronized=True)(x)
    y = BinaryConv2D(8, 3, padding="same", weight_scale="mean_abs", name="binary")(x)
    y = keras.layers.BatchNormalization()(y)
    x = keras.layers.Add(name="block")([x, y])
    x = keras.layers.MaxPool2D()(kb.quantizers.SteSign(name="sign")(x))
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(16, activation="ste_sign", name="signs")(x)
    x = BinaryDense(16, input_quantizer=None, name="real_inputs")(x)
    return keras.Model(image, keras.layers.Dense(10)(keras.layers.BatchNormalization()(x)))


def float_teacher():
    return kb.models.float_twin(residual())


@pytest.fixture(scope="module")
def data():
    images, labels = kb.data.load("digits").train
    return images[:128], labels[:128]


def test_a_schedule_is_saved_with_its_optimizer(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    model.compile(keras.optimizers.SGD(cosine(0.1, 20, warm_up=5)), "mse")
    model.save(tmp_path / "model.keras")
    rate = kb.load_model(tmp_path / "model.keras").optimizer._learning_rate
    expected = [float(cosine(0.1, 20, 5)(step)) for step in range(25)]
    assert [float(rate(step)) for step in range(25)] == expected
    assert expected[5] == pytest.approx(0.1)
    assert expected[20:] == [0] * 5


def test_a_warm_up_of_no_steps_is_the_schedule():
    decay = keras.optimizers.schedules.PolynomialDecay(0.3, 7, 0.1)
    assert [float(WarmUp(decay, 0)(i)) for i in range(9)] == [float(decay(i)) for i in range(9)]


def test_the_clip_is_where_gradients_stop():
    model = keras.Sequential([BinaryDense(1, kernel_initializer="ones", input_shape=(3,))])
    set_clip(model, 1.25)
    x = tf.constant([[1.2, 1.3, -1.25]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    assert tape.gradient(y, x).numpy().tolist() == [[1, 0, 1]]
    assert model.layers[0].get_config()["kernel_constraint"]["config"] == {"clip_value": 1.25}
    kernel = model.layers[0].kernel
    assert kernel.constraint(tf.constant([-2.0, 1.2])).numpy().tolist() == [-1.25, np.float32(1.2)]


def test_real_weights_leave_everything_else(generator):
    model = residual()
    real = with_real_weights(model)
    assert [layer.name for layer in real.layers] == [layer.name for layer in model.layers]
    for a, b in zip(real.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert real.layers[2].synchronized
    x = generator.standard_normal((2, 8, 8, 8)).astype(np.float32)
    kernel = model.get_layer("binary").kernel.numpy()
    signs = np.pad(np.where(x >= 0, 1, -1), [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=1)
    expected = tf.nn.conv2d(signs.astype(np.float32), kernel, 1, "VALID")
    np.testing.assert_allclose(real.get_layer("binary")(x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(real.get_layer("sign")(x), np.where(x >= 0, 1, -1))


def test_soft_networks_have_no_sign(generator):
    soft = with_real_weights(residual(), soft=True)
    x = generator.standard_normal((2, 8, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(soft.get_layer("sign")(x), tf.tanh(x))
    assert soft.get_layer("signs").activation is keras.activations.tanh
    quantized = soft.get_layer("binary").input_quantizer
    np.testing.assert_array_equal(quantized(x), tf.tanh(x))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_soft_network_is_saved_and_loaded(suffix, generator, tmp_path):
    soft = with_real_weights(kb.models.BinaryNet((8, 8, 1), 10), soft=True)
    soft.save(tmp_path / f"soft{suffix}")
    x = generator.standard_normal((2, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(kb.load_model(tmp_path / f"soft{suffix}")(x), soft(x))


def test_real_weights_of_a_nested_model_and_of_time_steps():
    inner = keras.Sequential([BinaryDense(4, input_shape=(3,))])
    rows = keras.layers.TimeDistributed(BinaryDense(3))
    real = with_real_weights(keras.Sequential([keras.Input((5, 3)), rows]))
    assert real.layers[0].layer.kernel_quantizer is None
    nested = keras.Model(x := keras.Input((3,)), inner(x))
    assert with_real_weights(nested).layers[1].layers[0].kernel_quantizer is None


def test_real_weights_keep_what_normalization_has_learnt(generator):
    normalization = keras.layers.Normalization()
    normalization.adapt(generator.normal(3, 2, (100, 4)))
    model = keras.Sequential([keras.Input((4,)), normalization, BinaryDense(2)])
    x = generator.standard_normal((2, 4)).astype(np.float32)
    real = with_real_weights(model)
    np.testing.assert_array_equal(real.layers[0](x), model.layers[0](x))


def test_weight_decay_is_a_loss_with_the_gradient_of_adams():
    model = keras.Sequential([BinaryDense(1, input_shape=(2,), kernel_initializer="ones")])
    real = with_real_weights(model, weight_decay=0.5)
    with tf.GradientTape() as tape:
        loss = tf.add_n(real.losses)
    assert tape.gradient(loss, real.layers[0].kernel).numpy().ravel().tolist() == [0.5, 0.5]


def test_only_the_first_of_two_steps_decays():
    assert [len(step.losses) for step in two_step(residual(), weight_decay=0.5)] == [5, 0]


def test_each_step_starts_where_the_one_before_ended(data):
    model, ends = residual(), []
    for step in two_step(model):
        if ends:
            for a, b in zip(step.get_weights(), ends[-1], strict=True):
                np.testing.assert_array_equal(a, b)
        step.compile("adam", SPARSE)
        before = step.get_weights()
        step.fit(*data, verbose=0)
        ends.append(step.get_weights())
        assert any((a != b).any() for a, b in zip(before, ends[-1], strict=True))
    assert len(ends) == 2
    assert step is model


def losses_by_hand(student, teacher, x):
    """The formulas of the docstring in NumPy, in double precision."""

    def softmax(logits):
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    t, s = (np.float64(model(x, training=False)) for model in (teacher, student))
    p, q = softmax(t / 3), softmax(s / 3)
    divergence = 9 * (p * np.log(p / q)).sum(-1).mean()
    vectors = []
    for model in (teacher, student):
        maps = keras.Model(model.inputs, model.get_layer("block").output)(x, training=False)
        energy = (np.float64(maps) ** 2).sum(-1).reshape(len(x), -1)
        vectors.append(energy / np.linalg.norm(energy, axis=-1, keepdims=True))
    return divergence, ((vectors[0] - vectors[1]) ** 2).sum(-1).mean()


def test_the_loss_is_that_of_the_formula(data):
    student, teacher = residual(), float_teacher()
    for layer in student.layers:
        # In training as in inference, so that both can be compared.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    options = {"weight": 0.5, "temperature": 3.0, "attention": ["block"], "attention_weight": 2.0}
    model = Distillation(student, teacher, **options)
    x = data[0][:16]
    np.testing.assert_array_equal(model(x, training=True), student(x, training=True))
    logits, attention = losses_by_hand(student, teacher, x)
    assert float(tf.add_n(model.losses)) == pytest.approx(0.5 * logits + 2 * attention, rel=1e-4)
    assert min(logits, attention) > 0


def test_a_network_has_nothing_to_learn_from_itself(data):
    teacher = float_teacher()
    model = Distillation(teacher, teacher, attention=["block"])
    for layer in teacher.layers:
        layer.trainable = False
    model(data[0][:8], training=True)
    assert float(tf.add_n(model.losses)) == pytest.approx(0, abs=1e-6)


def test_a_student_learns_from_the_teacher_alone(data):
    teacher = float_teacher()
    teacher.compile(keras.optimizers.Adam(1e-2), SPARSE)
    teacher.fit(*data, epochs=20, verbose=0)
    kept = [weight.numpy() for weight in teacher.weights]
    student = residual()
    model = Distillation(student, teacher)
    model.compile(keras.optimizers.Adam(1e-2), SPARSE, loss_weights=[0.0])
    wrong = np.zeros_like(data[1])
    model.fit(data[0], wrong, epochs=25, verbose=0)
    expected = teacher.predict(data[0], verbose=0).argmax(-1)
    assert (student.predict(data[0], verbose=0).argmax(-1) == expected).mean() > 0.75
    for before, weight in zip(kept, teacher.weights, strict=True):
        np.testing.assert_array_equal(before, weight.numpy())


def test_it_has_the_students_weights_and_saves_the_student(data, tmp_path):
    student = residual()
    model = Distillation(student, float_teacher(), attention=["block"])
    model.compile("adam", SPARSE)
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"))
    model.fit(*data, verbose=0, callbacks=[checkpoint])
    assert len(model.weights) == len(student.weights)
    loaded = kb.load_model(tmp_path / "best.keras")
    x = data[0][:4]
    np.testing.assert_array_equal(loaded(x), student(x))
    np.testing.assert_array_equal(model.predict(x, verbose=0), student.predict(x, verbose=0))


def test_distillation_goes_on_exactly_from_a_checkpoint(data, tmp_path):
    teacher = float_teacher()

    def compiled():
        model = Distillation(residual(), teacher, attention=["block"])
        model.compile(presets.OptimizerGroup("adam", "sgd"), SPARSE)
        return model

    model = compiled()
    model.fit(*data, shuffle=False, verbose=0)
    tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    again = compiled()
    tf.train.Checkpoint(model=again).read(str(tmp_path / "checkpoint"))
    for each in (model, again):
        each.fit(*data, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_each_stage_of_real_to_binary_teaches_the_next(data):
    model, seen = residual(), []
    for stage in real_to_binary(model, float_teacher(), attention=["block"]):
        stage.compile("adam", SPARSE)
        stage.fit(*data, verbose=0)
        layer = stage.student.get_layer("binary")
        seen.append((type(layer.input_quantizer).__name__, layer.kernel_quantizer is None))
    assert seen == [("Tanh", True), ("SteSign", True), ("SteSign", False)]
    assert stage.student is model


@pytest.mark.parametrize(
    ("recipe", "rates"),
    [
        (lambda model: presets.quicknet(model, epochs=3, steps_per_epoch=4, warm_up_epochs=1), [4]),
        (
            lambda model: presets.reactnet(model, float_teacher(), epochs=3, steps_per_epoch=4),
            [4] * 2,
        ),
        (
            lambda model: presets.real_to_binary(
                model, float_teacher(), epochs=3, steps_per_epoch=4, attention=["block"]
            ),
            [4] * 3,
        ),
    ],
    ids=["quicknet", "reactnet", "real_to_binary"],
)
def test_presets_come_compiled_and_end_in_the_binary_network(recipe, rates, data):
    model, epochs = residual(), []
    for stage in recipe(model):
        stage.fit(*data, epochs=3, verbose=0)
        epochs.append(int(stage.optimizer.iterations) // 3)
    assert epochs == rates
    assert getattr(stage, "student", stage) is model
    assert kb.probe.is_quantized(model.get_layer("binary").kernel)


def test_the_rates_of_the_presets_are_the_published_ones():
    model, steps = residual(), 10
    (stage,) = presets.quicknet(model, steps_per_epoch=steps)
    adam, sgd = stage.optimizer.binary._learning_rate, stage.optimizer.real._learning_rate
    assert [round(float(adam(i * steps)), 6) for i in (0, 5, 600)] == [0, 0.01, 0]
    assert [round(float(sgd(i * steps)), 6) for i in (0, 5, 600)] == [0, 0.1, 0]
    for stage in presets.reactnet(model, float_teacher(), steps_per_epoch=steps):
        rate = stage.optimizer._learning_rate
        assert [round(float(rate(i * steps)), 6) for i in (0, 128, 256)] == [5e-4, 25e-5, 0]
    for stage, peak in zip(
        presets.real_to_binary(model, float_teacher(), steps_per_epoch=steps),
        (1e-3, 1e-3, 2e-4),
        strict=True,
    ):
        rate = stage.optimizer._learning_rate
        shares = [float(rate(i * steps + 1)) / peak for i in (5, 39, 41, 61, 71)]
        assert shares == pytest.approx([1, 1, 0.3, 0.09, 0.027])


def thresholds():
    """A network with all kinds of weights that ReActNet has."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="stem")(image)
    x = BinaryConv2D(4, 3, input_quantizer=None, name="binary")(RSign(name="rsign")(x))
    x = RPReLU(name="rprelu")(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(10, name="logits")(x))
    for layer in ("rsign", "rprelu"):
        model.get_layer(layer).set_weights(np.ones((len(model.get_layer(layer).weights), 4)))
    return model


def decays(student):
    """By weight, its share in the gradient of the student's own losses."""
    with tf.GradientTape() as tape:
        loss = tf.add_n(student.losses or [tf.constant(0.0)])
    gradients = tape.gradient(loss, student.trainable_weights)
    pairs = zip(student.trainable_weights, gradients, strict=True)
    shares = {weight.name: (weight, gradient) for weight, gradient in pairs if gradient is not None}
    return {name: float(np.mean(gradient / weight)) for name, (weight, gradient) in shares.items()}


def test_reactnet_decays_what_its_authors_code_decays():
    first, second = presets.reactnet(thresholds(), thresholds(), steps_per_epoch=1)
    decayed = ("stem/kernel", "binary/kernel", "rsign/threshold", "rprelu/shift", "rprelu/offset")
    expected = {f"{name}:0": pytest.approx(1e-5) for name in decayed}
    assert decays(first.student) == expected
    assert decays(second.student) == {}


def test_what_counts_in_each_stage_of_real_to_binary(data):
    model, teacher, names = thresholds(), thresholds(), ["norm"]
    stages = presets.real_to_binary(model, teacher, steps_per_epoch=1, attention=names)
    for stage, logits, maps, decay in zip(
        stages, (3, 3, 0.8), (1, 1, 0), (2e-5, 2e-5, None), strict=True
    ):
        options = {"weight": logits, "attention": names, "attention_weight": maps}
        expected = Distillation(stage.student, teacher, **options)
        for each in (stage, expected):
            each(data[0], training=True)
        assert float(tf.add_n(stage.losses)) == float(tf.add_n(expected.losses)) > 0
        kernels = ("stem/kernel:0", "binary/kernel:0") if decay else ()
        assert decays(stage.student) == dict.fromkeys(kernels, pytest.approx(decay))
        teacher = stage.student


def test_a_network_that_decays_is_saved(data, tmp_path):
    first, _ = presets.reactnet(residual(), float_teacher(), steps_per_epoch=2)
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"))
    first.fit(*data, batch_size=64, verbose=0, callbacks=[checkpoint])
    loaded = kb.load_model(tmp_path / "best.keras")
    np.testing.assert_array_equal(loaded(data[0]), first(data[0]))


class OwnLayer(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = BinaryDense(2)

    def call(self, inputs):
        return self.inner(inputs)


def with_softmax():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


REFUSED = {
    "clip": (lambda: set_clip(residual(), 0), "clip_value is 0"),
    "no clip": (lambda: set_clip(float_teacher(), 1), "no quantizer with a clip"),
    "warm-up": (lambda: cosine(0.1, 5, 5), "warm_up is 5 of 5 steps"),
    "peak": (lambda: cosine(0, 5), "peak is 0"),
    "decay": (lambda: with_real_weights(residual(), weight_decay=-1), "weight_decay is -1"),
    "softmax": (lambda: Distillation(with_softmax(), with_softmax()), "ends in a softmax"),
    "layer": (
        lambda: Distillation(residual(), float_teacher(), attention=["blocks"]),
        "has no layer 'blocks'",
    ),
    "maps": (
        lambda: Distillation(residual(), float_teacher(), attention={"block": "max_pooling2d"}),
        None,
    ),
    "flat": (lambda: Distillation(residual(), float_teacher(), attention=["signs"]), "same height"),
    "temperature": (
        lambda: Distillation(residual(), float_teacher(), temperature=0),
        "temperature is 0",
    ),
    "weight": (lambda: Distillation(residual(), float_teacher(), weight=-1), "weight is -1"),
    "outputs": (
        lambda: Distillation(residual(), kb.models.BinaryNet((8, 8, 1), 9)),
        "(None, 10), the teacher of (None, 9)",
    ),
    "own layer": (
        lambda: with_real_weights(keras.Sequential([keras.Input((3,)), OwnLayer()])),
        "the class OwnLayer quantizes",
    ),
    "stages": (
        lambda: next(real_to_binary(residual(), float_teacher(), weight=(1.0, 2.0))),
        "weight is (1.0, 2.0), expected one number, or one for each of 3 stages",
    ),
    "epochs": (
        lambda: next(presets.quicknet(residual(), epochs=0, steps_per_epoch=1)),
        "epochs is 0",
    ),
}


@pytest.mark.parametrize(("make", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(make, told):
    with pytest.raises(InputError) as error:
        make()
    assert (told or "") in str(error.value)
    assert "\n" not in str(error.value)


def test_inside_a_quantized_scope_latent_weights_are_copied():
    model = residual()
    with larq.context.quantized_scope(True):
        *_, first = [with_real_weights(model)]
    np.testing.assert_array_equal(
        first.get_layer("binary").kernel, model.get_layer("binary").kernel
    )


@pytest.mark.parametrize("network", [kb.models.RealToBinaryNet, kb.models.ReActNetA])
def test_a_zoo_network_can_be_soft(network):
    model = network((64, 64, 3), 10)
    assert with_real_weights(model, soft=True).count_params() == model.count_params()


def test_a_soft_rsign_is_a_tanh_behind_its_threshold(generator, tmp_path):
    signs = RSign(name="signs")
    model = keras.Sequential([keras.Input((3,)), signs, BinaryDense(2, input_quantizer=None)])
    signs.threshold.assign([0.5, 0.0, -2.0])
    soft = with_real_weights(model, soft=True)
    x = generator.standard_normal((4, 3)).astype(np.float32)
    np.testing.assert_array_equal(soft.get_layer("signs")(x), tf.tanh(x - signs.threshold))
    assert type(signs.quantizer).__name__ == "ApproxSign"
    soft.save(tmp_path / "soft.keras")
    np.testing.assert_array_equal(kb.load_model(tmp_path / "soft.keras")(x), soft(x))


def test_a_clip_does_not_reach_other_models_through_a_name():
    def network():
        return keras.Sequential([keras.Input((4,)), keras.layers.Activation("ste_sign")])

    model, other = network(), network()
    set_clip(model, 1.25)
    assert model.layers[0].activation.clip_value == 1.25
    assert other.layers[0].activation.clip_value == network().layers[0].activation.clip_value == 1
