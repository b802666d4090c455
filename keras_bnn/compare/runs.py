"""Training what is compared: each binary network and its float twin, with the same seeds."""

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_bnn import export, models, saving, training
from keras_bnn.compare.network import Run
from keras_bnn.data import Dataset
from keras_bnn.errors import InputError
from keras_bnn.training.network import built


@dataclass(frozen=True)
class Family:
    """Binary networks of one model, and the float twin that they share.

    Attributes:
        model: Its name.
        binary: The runs of each recipe; `None` is the data set's usual one.
        twin: The runs of the twin, of the same seeds.
    """

    model: str
    binary: dict[str | None, list[Run]]
    twin: list[Run]


@dataclass(frozen=True)
class Plan:
    """What to train.

    Attributes:
        models: Names of the zoo, or functions that build a model.
        recipes: Of each binary network, see `Family`.
        seeds: Of each network.
        settings: Further arguments of `keras_bnn.training.train`, the same for all.
    """

    models: Sequence[str | Callable]
    recipes: Sequence[str | None]
    seeds: Sequence[int]
    settings: dict[str, Any]

    def check(self, dataset: Dataset) -> None:
        """Says what would else fail after hours: builds each model, and exports it untrained.

        Raises:
            InputError: If the settings do not go with a recipe, or a model does not take the data,
                cannot be 1-bit or has no float twin.
        """
        for recipe in (None, *self.recipes):  # The twins have none.
            name = training.checks.checked_recipe("plain" if recipe is None else recipe)
            training.checks.chosen_settings(dataset.name, name, self.settings, {})
        for model in self.models:
            network = built(model, dataset.input_shape, dataset.num_classes)
            models.float_twin(network)
            with tempfile.TemporaryDirectory() as folder:
                check_binary(exported(network, Path(folder, "model.tflite")), name_of(model))

    def train(self, dataset: Dataset, folder: Path, callbacks, progress: Callable) -> list[Family]:
        """Trains all networks, each in a folder of its own below `folder`.

        Where a recipe has a teacher, it is the twin of the same seed.

        Runs that are there already are taken if they are finished, and else resumed.

        Raises:
            InputError: Those of `keras_bnn.training.train`.
        """
        total = len(self.models) * (len(self.recipes) + 1) * len(self.seeds)
        number = 0

        def run(model, label: str, seed: int, **options) -> Run:
            nonlocal number
            number += 1
            progress(f"run {number} of {total}: {label}, seed {seed}")
            path = folder / file_name(label, seed)
            trained = training.train(
                model,
                dataset,
                path,
                **self.settings,
                **options,
                seed=seed,
                resume=(path / "settings.json").exists(),
                callbacks=callbacks,
                progress=progress,
            )
            return Run(seed, trained.model_path, trained.epochs, sum(trained.seconds))

        def binary(model, recipe: str | None, twins: list[Run]) -> list[Run]:
            has_teacher = recipe is not None and training.RECIPES[recipe].has_teacher
            return [
                run(
                    model,
                    label_of(name_of(model), recipe),
                    seed,
                    recipe=recipe,
                    teacher=twin.model_path if has_teacher else None,
                )
                for seed, twin in zip(self.seeds, twins, strict=True)
            ]

        families = []
        for model in self.models:
            name = name_of(model)
            twins = [run(twin_of(model), f"{name} float32", seed) for seed in self.seeds]
            runs = {recipe: binary(model, recipe, twins) for recipe in self.recipes}
            families.append(Family(name, runs, twins))
        return families


def taken(pairs: Sequence[tuple[Any, Any]], dataset: Dataset) -> Family:
    """The family of trained networks.

    Args:
        pairs: Paths of Keras models: a binary network and its float twin.
        dataset: What they classify.

    Raises:
        InputError: If a model cannot be loaded, or is for other images or classes.
    """
    names = [_checked_name(path, dataset) for pair in pairs for path in pair]
    binary, twins = ([Run(None, Path(path)) for path in side] for side in zip(*pairs, strict=True))
    return Family(names[0], {None: binary}, twins)


def _checked_name(path: Any, dataset: Dataset) -> str:
    network: Any = saving.load_model(path, compile=False)
    training.checks.check_network(network, dataset.input_shape, dataset.num_classes)
    if tuple(network.input_shape)[1:] != dataset.input_shape:
        raise InputError(
            f"{path} takes inputs of shape {network.input_shape}, but images of "
            f"{dataset.name} are {dataset.input_shape}: give the data that it was trained on."
        )
    return network.name


def name_of(model: str | Callable) -> str:
    """The name of the zoo, or that of the function.

    Raises:
        InputError: If it has none.
    """
    name = model if isinstance(model, str) else getattr(model, "__name__", None)
    if name is None:
        raise InputError(
            f"A model of class {type(model).__name__} has no name to show: define a function."
        )
    return name


def label_of(name: str, recipe: str | None) -> str:
    """What a binary network is called in a comparison."""
    return f"{name} {recipe}" if recipe else name


def file_name(label: str, number: int) -> str:
    """What a folder or file of a network and a seed is called."""
    name = re.sub(r"[^\w.]", "-", label)
    return f"{name}-{number}"


def twin_of(model: str | Callable) -> Callable:
    """A function that builds the float twin."""

    def twin(input_shape, num_classes):
        return models.float_twin(built(model, input_shape, num_classes))

    # By which `train` knows what it resumes.
    twin.__qualname__ = f"{name_of(model)}_float"
    return twin


def exported(network, path: str | os.PathLike) -> export.Exported:
    """`to_tflite`, where a layer that would stay float is wrong input.

    Raises:
        InputError: Its errors, too.
    """
    try:
        return export.to_tflite(network, path)
    except export.ExportError as error:
        raise InputError(f"{network.name}: {error}") from error


def check_binary(written: export.Exported, name: str) -> None:
    """Raises if nothing of what is called a binary network is 1-bit."""
    if not any(fate.fate == "1-bit" for fate in written.layers):
        raise InputError(
            f"{name} has no 1-bit layer, so there is nothing to compare: expected a binary network."
        )
