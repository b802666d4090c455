"""What is wrong with the arguments of a training run, said before anything is written."""

import math
import operator
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from keras_bnn import models
from keras_bnn._keras import keras
from keras_bnn.data import Dataset
from keras_bnn.data.dataset import Split
from keras_bnn.errors import InputError
from keras_bnn.training.recipes import RECIPES
from keras_bnn.training.settings import Settings, settings_for

# That of NumPy, which Keras sets too.
_LARGEST_SEED = 2**32 - 1
_WITHOUT_EFFECT = {
    keras.callbacks.LearningRateScheduler: "the learning rate follows its cosine",
    keras.callbacks.ReduceLROnPlateau: "the learning rate follows its cosine",
    keras.callbacks.EarlyStopping: "every epoch is a fit of its own, so it forgets the last one. "
    "Set self.model.stop_training in a callback of your own",
}


def checked_recipe(name: Any) -> str:
    if name not in RECIPES:
        raise InputError(f"Unknown recipe {name!r}. Expected one of {', '.join(RECIPES)}.")
    return name


def check_teacher(recipe: str, is_given: bool, is_stored: bool) -> None:
    """Raises if a recipe lacks its teacher, or has no use for one."""
    if RECIPES[recipe].has_teacher and not (is_given or is_stored):
        raise InputError(
            f"The recipe {recipe} learns from a teacher: pass the file of a trained float model."
        )
    if is_given and not RECIPES[recipe].has_teacher:
        having = [name for name, each in RECIPES.items() if each.has_teacher]
        raise InputError(
            f"The recipe {recipe} has no teacher. Leave it out, or choose {', '.join(having)}."
        )


def chosen_settings(dataset_name: str, recipe: str, given: dict, stored: dict) -> Settings:
    """What is given, else what is stored, else what is usual for the data set and the recipe.

    Args:
        dataset_name: See `settings_for`.
        recipe: A name of `RECIPES`.
        given: Fields of `Settings`; `None` where nothing is given.
        stored: Fields of `Settings`, and others.
    """
    usual, stages = asdict(settings_for(dataset_name)), RECIPES[recipe].stages
    usual["epochs"] = -(-usual["epochs"] // stages) * stages
    if not RECIPES[recipe].is_rate_free:
        usual["learning_rate"] = None
    usual.update((name, stored[name]) for name in usual if name in stored)
    usual.update((name, value) for name, value in given.items() if value is not None)
    return _checked_settings(Settings(**usual), recipe)


def _checked_settings(settings: Settings, recipe: str) -> Settings:
    """The settings in Python's own numbers, which JSON takes, unlike NumPy's."""
    epochs, stages = whole_number("epochs", settings.epochs), RECIPES[recipe].stages
    if epochs % stages:
        raise InputError(
            f"epochs is {epochs}, expected a multiple of {stages}: {recipe} has {stages} stages of "
            "as many epochs each."
        )
    return Settings(
        epochs,
        whole_number("batch_size", settings.batch_size),
        _rate(settings.learning_rate, recipe),
        whole_number("shift", settings.shift, smallest=0),
        _yes_or_no("flip", settings.flip),
    )


def _rate(value: Any, recipe: str) -> float | None:
    if RECIPES[recipe].is_rate_free:
        return _positive_number("learning_rate", value)
    if value is not None:
        raise InputError(
            f"learning_rate is {value!r}, but the recipe {recipe} has rates of its own. Leave it "
            "out, or choose another recipe."
        )
    return None


def checked_seed(seed: Any) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= _LARGEST_SEED:
        raise InputError(f"seed is {seed!r}, expected a whole number from 0 to {_LARGEST_SEED}.")
    return number


def checked_callbacks(callbacks: Any) -> list:
    """The callbacks as a list, if each can have an effect."""
    if not isinstance(callbacks, (list, tuple)):
        raise InputError(
            f"callbacks is of class {type(callbacks).__name__}, expected a list or tuple of them."
        )
    for callback in callbacks:
        for kind, reason in _WITHOUT_EFFECT.items():
            if isinstance(callback, kind):
                raise InputError(f"{kind.__name__} would have no effect in train: {reason}.")
    return list(callbacks)


def check_model(model: str | Callable) -> None:
    """Raises if `model` is neither a name of the zoo nor a function that builds a model."""
    if isinstance(model, str):
        if model not in models.ZOO:
            raise InputError(f"Unknown model {model!r}. Expected one of {', '.join(models.ZOO)}.")
    elif isinstance(model, keras.Model) or not callable(model):
        raise InputError(
            f"model is of class {type(model).__name__}, expected the name of a model, or a "
            "function from an input shape and a number of classes to a Keras model."
        )


def check_dataset(dataset: Any) -> None:
    """Raises if `dataset` is no `Dataset`, but the name of one, say."""
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"dataset is {dataset if isinstance(dataset, str) else type(dataset).__name__!r}, "
            'expected a keras_bnn.data.Dataset, as keras_bnn.data.load("digits") returns it.'
        )


def check_network(network: Any, input_shape: tuple, num_classes: int) -> None:
    """Raises if what the function has built is no classifier for so many classes."""
    if not isinstance(network, keras.Model):
        kind = type(network).__name__
        raise InputError(f"The model's function returned {kind}, expected a Keras 2 model.")
    shape = _output_shape(network, input_shape)
    if shape is not None and tuple(shape)[1:] != (num_classes,):
        raise InputError(
            f"{network.name} gives outputs of shape {shape}, expected (None, {num_classes}): one "
            "logit a class."
        )


def _output_shape(network, input_shape: tuple) -> Any:
    try:
        # Subclassed models know their outputs only in a call.
        return getattr(network, "output_shape", None) or network.compute_output_shape(
            (None, *input_shape)
        )
    except NotImplementedError:  # Keras cannot call them without values.
        return None


def check_examples(dataset: Dataset, validation: Split) -> None:
    """Raises if there is nothing to validate or to test with."""
    if not len(validation.labels):
        raise InputError(
            f"No class of {dataset.name} has enough training examples, {len(dataset.train.labels)} "
            "in all, to hold a tenth of them out: expected 6 or more of one class."
        )
    if not len(dataset.test.labels):
        raise InputError(f"{dataset.name} has no test examples, expected at least one.")


def whole_number(name: str, value: Any, smallest: int = 1, unit: str = "") -> int:
    """The value as Python's own number, if it is one from `smallest` on."""
    try:
        number = operator.index(value)
    except TypeError:
        number = smallest - 1
    if number < smallest:
        expected = "above 0" if smallest else "from 0 on"
        raise InputError(f"{name} is {value!r}, expected a whole number{unit} {expected}.")
    return number


def _yes_or_no(name: str, value: Any) -> bool:
    if value not in (True, False):
        raise InputError(f"{name} is {value!r}, expected True or False.")
    return bool(value)


def _positive_number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number < math.inf:
        raise InputError(f"{name} is {value!r}, expected a finite number above 0.")
    return number
