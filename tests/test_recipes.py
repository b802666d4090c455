"""The recipes that `train` knows by name: their stages, their teachers, their augmentation."""

import json
import shutil

import numpy as np
import pytest
from few_images import few
from interruptions import interrupt_save

import keras_bnn as kb
from keras_bnn._keras import keras
from keras_bnn.data.dataset import Dataset, Split
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryDense
from keras_bnn.training import RECIPES, train
from keras_bnn.training.augmentation import augmented

BRIEF = {"batch_size": 16}


def dense(input_shape, num_classes):
    image = keras.Input(input_shape)
    x = keras.layers.Dense(8)(keras.layers.Flatten()(image))
    x = keras.layers.BatchNormalization()(x)
    y = keras.layers.BatchNormalization()(BinaryDense(8, name="binary")(x))
    x = keras.layers.Add()([x, y])
    return keras.Model(image, keras.layers.Dense(num_classes)(x))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """The file of a float model."""
    path = tmp_path_factory.mktemp("teacher") / "float.keras"
    keras.utils.set_random_seed(1)
    image = keras.Input((4, 4, 1))
    keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image))).save(path)
    return path


def options_of(recipe: str, teacher) -> dict:
    attention = {"teacher": teacher} if RECIPES[recipe].has_teacher else {}
    return {**BRIEF, "recipe": recipe, "epochs": RECIPES[recipe].stages, **attention}


def weights(path) -> list[bytes]:
    model = kb.load_model(path)
    return [each.numpy().tobytes() for each in model.weights]


class Names(keras.callbacks.Callback):
    """Notes the model of every epoch, and whether its kernel is binary."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        model = getattr(self.model, "student", self.model)
        self.seen.append(model.get_layer("binary").kernel_quantizer is not None)


@pytest.fixture
def without_attention(monkeypatch):
    """The teachers of these tests have no layers that add."""
    real = RECIPES["real_to_binary"]
    compiled = kb.training.presets.real_to_binary
    monkeypatch.setitem(RECIPES, "real_to_binary", type(real)(compiled, 3, has_teacher=True))


@pytest.mark.usefixtures("without_attention")
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_ends_with_the_binary_network(recipe, teacher, tmp_path):
    names = Names()
    trained = train(
        dense, few(), tmp_path / "run", **options_of(recipe, teacher), callbacks=[names]
    )
    assert names.seen == [False] * (RECIPES[recipe].stages - 1) + [True]
    assert len(trained.epochs) == len(trained.seconds) == RECIPES[recipe].stages
    model = kb.load_model(trained.model_path)
    assert model.get_layer("binary").kernel_quantizer is not None
    images, labels = few().test
    right = model.predict(images, verbose=0).argmax(-1) == labels
    assert right.mean() == pytest.approx(trained.test_accuracy)


@pytest.mark.slow
def test_real_to_binary_compares_attention_where_shortcuts_end(tmp_path):
    def twin(input_shape, num_classes):
        return kb.models.float_twin(kb.models.BiRealNet18(input_shape, num_classes))

    images = few().train.images.repeat(8, 1).repeat(8, 2)
    data = Dataset("large", *[Split(images[:40], few().train.labels[:40])] * 2, ("even", "odd"))
    taught = twin(data.input_shape, 2)
    stages = RECIPES["real_to_binary"].compiled(
        kb.models.BiRealNet18(data.input_shape, 2), taught, epochs=1, steps_per_epoch=1
    )
    stage = next(stages)
    only_labels = stage.evaluate(*data.train, verbose=0)[0]
    assert stage.train_on_batch(*data.train)[0] > only_labels


# Before which checkpoints: within a stage, and where the next one begins.
INTERRUPTED = {"two_step": (2, 3, 4), "real_to_binary": (4, 5)}


@pytest.mark.usefixtures("without_attention")
@pytest.mark.parametrize(
    "recipe", ["two_step", pytest.param("real_to_binary", marks=pytest.mark.slow)]
)
def test_stages_are_resumed_exactly_wherever_they_were_interrupted(
    recipe, teacher, tmp_path, monkeypatch
):
    options = {**options_of(recipe, teacher), "epochs": 2 * RECIPES[recipe].stages}
    whole = train(dense, few(), tmp_path / "whole", **options)
    for number in INTERRUPTED[recipe]:
        folder = tmp_path / f"killed {number}"
        with monkeypatch.context() as patch:
            interrupt_save(patch, number)
            with pytest.raises(KeyboardInterrupt):
                train(dense, few(), folder, **options)
        resumed = train(dense, few(), folder, resume=True)
        assert resumed.epochs == whole.epochs
        assert weights(resumed.model_path) == weights(whole.model_path)


def test_a_callback_that_stops_an_early_stage_leaves_a_binary_network(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True
            self.weights = self.model.get_layer("binary").get_weights()

    stop = Stop()
    trained = train(dense, few(), tmp_path / "run", recipe="two_step", epochs=4, callbacks=[stop])
    assert trained.stopped
    assert len(trained.epochs) == 1
    layer = kb.load_model(trained.model_path).get_layer("binary")
    assert layer.kernel_quantizer is not None
    np.testing.assert_array_equal(layer.get_weights(), stop.weights)


def test_a_run_keeps_its_teacher(teacher, tmp_path):
    mine = shutil.copy(teacher, tmp_path / "mine.keras")
    options = {**BRIEF, "recipe": "distillation", "epochs": 2}
    run = tmp_path / "run"
    whole = train(dense, few(), run, **options, teacher=mine)
    assert (run / "teacher.keras").read_bytes() == teacher.read_bytes()
    (tmp_path / "mine.keras").unlink()
    shutil.rmtree(run / "checkpoints")
    (run / "model.keras").unlink()
    resumed = train(dense, few(), run, resume=True)
    assert resumed.epochs == whole.epochs
    other = tmp_path / "other.keras"
    dense((4, 4, 1), 2).save(other)
    with pytest.raises(InputError, match=r"was started with teacher '\w{16}', now"):
        train(dense, few(), run, teacher=other, resume=True)


def test_a_teacher_changes_what_is_learnt(teacher, tmp_path):
    ends = [
        weights(train(dense, few(), tmp_path / recipe, **options_of(recipe, teacher)).model_path)
        for recipe in ("plain", "distillation")
    ]
    assert ends[0] != ends[1]


def test_epochs_that_are_not_given_are_a_multiple_of_the_stages(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise KeyboardInterrupt

    usual = kb.training.settings_for("few").epochs
    assert usual % 3
    with pytest.raises(KeyboardInterrupt):
        train(dense, few(), tmp_path, recipe="two_step", callbacks=[Interrupt()])
    assert json.loads((tmp_path / "settings.json").read_text())["epochs"] == usual + usual % 2


REFUSED = {
    "unknown recipe": ({"recipe": "xnor"}, "Unknown recipe 'xnor'. Expected one of plain,"),
    "no teacher": ({"recipe": "distillation"}, "distillation learns from a teacher"),
    "idle teacher": ({"teacher": "float.keras"}, "The recipe plain has no teacher"),
    "no such file": ({"recipe": "reactnet", "teacher": "none"}, "Cannot read the teacher"),
    "odd epochs": ({"recipe": "two_step", "epochs": 3}, "epochs is 3, expected a multiple of 2"),
    "own rates": ({"recipe": "quicknet", "learning_rate": 0.1}, "quicknet has rates of its own"),
    "shift": ({"shift": -1}, "shift is -1, expected a whole number from 0 on"),
    "half a pixel": ({"shift": 0.5}, "shift is 0.5, expected a whole number"),
    "flip": ({"flip": "left"}, "flip is 'left', expected True or False"),
}


@pytest.mark.parametrize(("options", "told"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_go_together_is_refused_before_anything_is_written(options, told, tmp_path):
    with pytest.raises(InputError) as error:
        train(dense, few(), tmp_path / "run", **options)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_is_no_model_is_one_line(tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    options = {"recipe": "distillation", "teacher": tmp_path / "text.keras"}
    with pytest.raises(InputError) as error:
        train(dense, few(), tmp_path / "run", **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


SEED = 3


def numbered(count: int, height: int = 5, width: int = 6) -> Split:
    images = np.arange(1, count * height * width + 1, dtype=np.float32)
    return Split(images.reshape(count, height, width, 1), np.arange(count))


def test_flipping_mirrors_about_half_of_the_images():
    split = numbered(1000)
    flipped = augmented(split, 0, True, np.random.default_rng(SEED))
    mirrored = (flipped.images == split.images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (flipped.images == split.images).all(axis=(1, 2, 3))).all()
    assert 400 < mirrored.sum() < 600, f"seed {SEED}"
    np.testing.assert_array_equal(flipped.labels, split.labels)


def test_shifting_moves_each_image_by_all_distances_and_fills_with_black():
    split = numbered(1000)
    shifted = augmented(split, 2, False, np.random.default_rng(SEED))
    framed = np.pad(split.images, [(0, 0), (2, 2), (2, 2), (0, 0)], constant_values=-1.0)
    found = set()
    for image, source in zip(shifted.images, framed, strict=True):
        places = [
            (top - 2, left - 2)
            for top in range(5)
            for left in range(5)
            if (source[top : top + 5, left : left + 6] == image).all()
        ]
        assert len(places) == 1
        found.update(places)
    assert len(found) == 25, f"seed {SEED}"


def test_augmentation_is_the_same_for_the_same_seed_and_leaves_its_input_alone():
    split = numbered(20)
    before = split.images.copy()
    first, second = (
        augmented(split, 2, True, np.random.default_rng(SEED)).images for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(split.images, before)
    np.testing.assert_array_equal(
        augmented(split, 0, False, np.random.default_rng(SEED)).images, before
    )


def test_a_run_trains_on_varied_images(tmp_path):
    def losses(name, **options):
        options = {**BRIEF, "epochs": 2, "learning_rate": 1e-9, **options}
        trained = train(dense, few(), tmp_path / name, **options)
        return [epoch["loss"] for epoch in trained.epochs]

    assert losses("shifted", shift=1) != losses("as they are")
