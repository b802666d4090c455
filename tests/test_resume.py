"""What is in a folder is gone on with if it fits, and refused in one line if it does not."""

from pathlib import Path

import numpy as np
import pytest

import keras_bnn as kb
from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryDense
from keras_bnn.training import Distillation, Resume, presets, two_step


def network(*units):
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *hidden(units)])


def hidden(units):
    return [
        layer
        for number, size in enumerate(units)
        for layer in (BinaryDense(size, name=f"binary_{number}"), keras.layers.BatchNormalization())
    ]


def compiled(model, optimizer="adam"):
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.fixture(scope="module")
def data():
    images, labels = kb.data.load("digits").train
    return images[:64], labels[:64]


def fit(model, data, folder, epochs):
    options = {"epochs": epochs, "shuffle": False, "verbose": 0}
    return model.fit(*data, callbacks=[Resume(folder)], **options).epoch


def test_distillation_goes_on_exactly(data, tmp_path, caplog):
    """A subclassed model, of which Keras says that it should be built before."""
    student, teacher = network(16, 10), network(16, 10)
    start = student.get_weights()

    def again():
        model = network(16, 10)
        model.set_weights(start)
        return compiled(Distillation(model, teacher))

    whole, first, second = again(), again(), again()
    assert fit(whole, data, tmp_path / "whole", 3) == [0, 1, 2]
    assert fit(first, data, tmp_path / "halves", 1) == [0]
    assert fit(second, data, tmp_path / "halves", 3) == [1, 2]
    assert not caplog.records
    assert len(whole.get_weights()) == 10
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_what_has_come_to_its_end_is_restored_and_not_trained(data, tmp_path):
    trained, again = compiled(network(10)), compiled(network(10))
    fit(trained, data, tmp_path, 2)
    assert fit(again, data, tmp_path, 2) == []
    for a, b in zip(trained.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def damage(folder):
    (values,) = folder.glob("chief/*.data-*")
    values.write_bytes(values.read_bytes()[:100])


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (lambda: compiled(network(16, 10)), None),
        (lambda: compiled(network(12)), None),
        (lambda: compiled(network(10), keras.optimizers.SGD(0.1, momentum=0.9)), None),
        (lambda: compiled(network(10)), damage),
    ],
    ids=["more layers", "other shapes", "other optimizer", "damaged"],
)
def test_what_does_not_fit_is_refused(model, change, data, tmp_path):
    fit(compiled(network(10)), data, tmp_path, 1)
    if change:
        change(tmp_path)
    with pytest.raises(InputError, match="does not fit this model, or is damaged") as error:
        fit(model(), data, tmp_path, 2)
    assert "\n" not in str(error.value)
    assert str(Path("chief", "ckpt-1")) in str(error.value)


def test_a_folder_that_cannot_be_and_a_model_without_weights_are_refused(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot make the folder"):
        fit(compiled(network(10)), data, tmp_path / "file", 1)
    unbuilt = keras.Sequential([keras.layers.Flatten(), BinaryDense(10)])
    with pytest.raises(InputError, match="is not built"):
        fit(compiled(unbuilt), data, tmp_path, 1)


@pytest.mark.parametrize(
    "recipe",
    [
        lambda model: presets.quicknet(model, epochs=2, steps_per_epoch=4, warm_up_epochs=1),
        two_step,
    ],
    ids=["quicknet", "two_step"],
)
def test_recipes_refuse_the_model_of_another_scope(recipe):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    outside = network(10)
    with strategy.scope():
        inside = network(10)
        next(iter(recipe(inside)))
        with pytest.raises(InputError, match=r"not made in the scope of this MirroredStrategy"):
            next(iter(recipe(outside)))
    with pytest.raises(InputError, match="Make the model, and run all of the recipe, inside"):
        next(iter(recipe(inside)))
