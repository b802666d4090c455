import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_bnn import saving
from keras_bnn._keras import keras, larq, tf
from keras_bnn.data import Dataset
from keras_bnn.data.dataset import Split, hold_out
from keras_bnn.training import checks
from keras_bnn.training.augmentation import augmented
from keras_bnn.training.duration import duration
from keras_bnn.training.network import built
from keras_bnn.training.recipes import RECIPES
from keras_bnn.training.run_folder import RunFolder
from keras_bnn.training.settings import Settings

_VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Trained:
    """What a training run came to.

    Attributes:
        model_path: The trained model.
        epochs: For each epoch its `loss`, `accuracy`, `val_loss` and `val_accuracy` (on a tenth of
            the training examples that is held out); `None` where that is no finite number.
        seconds: For each epoch how long it took, validation included.
        test_accuracy: Share of the test examples that the trained model gets right.
        stopped: Whether a callback ended the training before its last epoch.
    """

    model_path: Path
    epochs: list[dict]
    seconds: list[float]
    test_accuracy: float
    stopped: bool = False

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return {**asdict(self), "model_path": str(self.model_path)}


def train(
    model: str | Callable,
    dataset: Dataset,
    folder: str | os.PathLike,
    *,
    recipe: str | None = None,
    teacher: str | os.PathLike | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    shift: int | None = None,
    flip: bool | None = None,
    seed: int | None = None,
    resume: bool = False,
    callbacks: Sequence = (),
    progress: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Trains a classifier, so that it can be interrupted at any time and resumed exactly.

    | recipe                  | trains                                                 | stages |
    |-------------------------|--------------------------------------------------------|--------|
    | `plain`                 | by Adam with a cosine schedule, on the cross-entropy   | 1      |
    | `two_step`              | so, with real weights first: `training.two_step`       | 2      |
    | `distillation`          | so, and from a teacher's logits: `Distillation`        | 1      |
    | `two_step_distillation` | both                                                   | 2      |
    | `quicknet`              | as published: `training.presets`                       | 1      |
    | `reactnet`              | as published, from a teacher: `training.presets`       | 2      |
    | `real_to_binary`        | as published, from a teacher: `training.presets`       | 3      |

    After every epoch the model and its optimizer are kept as a TensorFlow checkpoint; a run that
    was killed goes on from the last one and ends bit for bit where an uninterrupted run does. For
    that, TensorFlow's deterministic operations are switched on for the whole process.

    Args:
        model: A name of `keras_bnn.models.ZOO`, or a function from an input shape and a number of
            classes to a Keras model with logits. If it has random layers (Keras' Dropout, noise,
            augmentation), each epoch starts them anew, from `seed` and the epoch; random numbers
            of your own layers are not resumed.
        dataset: What to train on; see `keras_bnn.data.load`.
        folder: Where the run is kept; see `RunFolder`.
        recipe: Default: `plain`.
        teacher: The file of a trained float model with logits, for the recipes that have one. The
            run keeps a copy.
        epochs, batch_size, learning_rate, shift, flip: Default: those of `settings_for` this data
            set, `epochs` rounded up to a multiple of the recipe's stages, which share them evenly.
            Recipes that are published have learning rates of their own.
        seed: Of the initial weights, the order of the examples, their augmentation and the
            validation split; from 0, the default, to 2³² - 1.
        resume: Whether to go on with the run in `folder`. Settings that are not given are then
            those that it was started with.
        callbacks: Further Keras callbacks. One that sets its model's `stop_training` ends the
            training. Every epoch is a `fit` of its own to them, and the learning rate follows its
            schedule, so Keras' EarlyStopping, LearningRateScheduler and ReduceLROnPlateau would
            have no effect and are refused.
        progress: Called with one line before the first epoch, and after each.

    Returns:
        The trained model's file and figures.

    Raises:
        InputError: If a setting is out of range, the recipe is unknown, lacks its teacher or has
            none, the network does not take these images, a class has too few of them, or the
            folder does not fit `resume`; nothing is written then. Or if the disk takes no more:
            the epochs before are kept, and can be resumed.

    >>> digits = keras_bnn.data.load("digits")
    >>> trained = train("binarynet", digits, "run", epochs=1)
    >>> trained.model_path.name, len(trained.epochs)
    ('model.keras', 1)
    """
    checks.check_model(model)
    checks.check_dataset(dataset)
    callbacks = checks.checked_callbacks(callbacks)
    run = RunFolder(Path(folder), resume)
    stored = run.stored or {}
    name = checks.checked_recipe(stored.get("recipe", "plain") if recipe is None else recipe)
    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "shift": shift,
        "flip": flip,
    }
    settings = checks.chosen_settings(dataset.name, name, given, stored)
    seed = checks.checked_seed(stored.get("seed", 0) if seed is None else seed)
    run.settle(
        {
            "model": _name(model),
            "dataset": dataset.name,
            "examples": dataset.fingerprint(),
            "recipe": name,
            "teacher": _chosen_teacher(run, teacher, name),
            **asdict(settings),
            "seed": seed,
        }
    )
    history = run.finished()
    if history is None:
        # Inside a quantized scope of the caller's, kernels would read as their signs, and those
        # would be trained and saved.
        with larq.context.quantized_scope(False):
            training = _Training(model, dataset, run, RECIPES[name], settings, seed)
            history = training.fit(callbacks, progress)
    return Trained(
        run.model_path,
        history["epochs"],
        history["seconds"],
        history["test_accuracy"],
        "stopped" in history,
    )


def _chosen_teacher(run: RunFolder, given: str | os.PathLike | None, recipe: str) -> str | None:
    checks.check_teacher(recipe, given is not None, run.stored is not None)
    return run.choose_teacher(given) if RECIPES[recipe].has_teacher else None


class _Training:
    """One run: the same models and examples, however often it is interrupted."""

    def __init__(self, model, dataset: Dataset, run: RunFolder, recipe, settings: Settings, seed):
        tf.config.experimental.enable_op_determinism()
        self._model, self._dataset, self._run = model, dataset, run
        self._recipe, self._settings, self._seed = recipe, settings, seed
        self._epochs_of_stage = settings.epochs // recipe.stages
        self._teachers = [] if run.teacher is None else [saving.load_model(run.teacher)]
        self._kept, self._validation = hold_out(dataset.train, _VALIDATION_SHARE, seed)
        checks.check_examples(dataset, self._validation)

    def fit(self, callbacks: list, progress: Callable) -> dict:
        epochs, seconds, stopped = self._run.progress()
        total = self._settings.epochs
        # What is wrong with the models is said before anything is written.
        stage, network = self._models(len(epochs), stopped)
        self._run.begin()
        if len(epochs) < total and not stopped:
            progress(
                f"training {_name(self._model)} on {self._dataset.name}: "
                f"{len(self._kept.labels):,} examples, epochs {len(epochs) + 1} to {total}"
            )
        while len(epochs) < total and not stopped:
            start = time.monotonic()
            epochs.append(self._fit_epoch(stage, len(epochs), callbacks))
            seconds.append(time.monotonic() - start)
            done = len(epochs)
            stopped = stage.stop_training and done < total
            self._run.finish_epoch(epochs, seconds, stopped)
            progress(_line(epochs, seconds[-1], total, stopped))
            # No checkpoint holds where the numbers of random layers were, so every epoch begins as
            # the first one after an interruption does. A stage does, too.
            begins_anew = done % self._epochs_of_stage == 0 or _has_random_layers(stage)
            if stopped or (begins_anew and done < total):
                stage, network = self._models(done, stopped)
        return self._run.finish(network, epochs, seconds, stopped, self._test_accuracy(network))

    def _models(self, done: int, stopped: bool) -> tuple[Any, Any]:
        """After `done` epochs, the compiled model that is fitted next, and the network.

        Later stages start from the weights of those before, and may learn from them. After the last
        epoch, or where the training has stopped, all stages are passed.
        """
        keras.utils.set_random_seed(_seed_of_epoch(self._seed, done) if done else self._seed)
        network = built(self._model, self._dataset.input_shape, self._dataset.num_classes)
        stages = self._recipe.compiled(network, *self._teachers, **self._length())
        stage: Any = None
        last = self._settings.epochs - 1
        next_epoch = last if stopped else min(done, last)
        for number in range(next_epoch // self._epochs_of_stage + 1):
            stage = next(stages)
            follow = self._run.restore if done > number * self._epochs_of_stage else self._run.track
            follow(stage, number + 1)
        return stage, network

    def _length(self) -> dict:
        steps = -(-len(self._kept.labels) // self._settings.batch_size)
        rate = self._settings.learning_rate
        free = {"learning_rate": rate} if self._recipe.is_rate_free else {}
        return {"epochs": self._epochs_of_stage, "steps_per_epoch": steps, **free}

    def _fit_epoch(self, stage, epoch: int, callbacks: list) -> dict:
        fitted = stage.fit(
            *self._examples(epoch),
            batch_size=self._settings.batch_size,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            validation_data=tuple(self._validation),
            validation_batch_size=256,
            callbacks=callbacks,
            verbose=0,
        )
        return {name: _figure(values[0]) for name, values in fitted.history.items()}

    def _examples(self, epoch: int) -> Split:
        """In an order, and varied, by seed and epoch alone, not by earlier epochs."""
        generator = np.random.default_rng([self._seed, epoch])
        shuffled = self._kept.take(generator.permutation(len(self._kept.labels)))
        return augmented(shuffled, self._settings.shift, self._settings.flip, generator)

    def _test_accuracy(self, network) -> float:
        images, labels = self._dataset.test
        logits = network.predict(images, batch_size=256, verbose=0)
        return float(np.mean(logits.argmax(axis=-1) == labels))


def _has_random_layers(network) -> bool:
    kind = keras.__internal__.layers.BaseRandomLayer
    return any(isinstance(layer, kind) for layer in network._flatten_layers())


def _seed_of_epoch(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _name(model: str | Callable) -> str:
    if isinstance(model, str):
        return model
    # Partial functions have no name of their own.
    build = getattr(model, "func", model)
    return getattr(build, "__qualname__", type(build).__qualname__)


def _figure(value: float) -> float | None:
    # JSON has no word for the others.
    return float(value) if math.isfinite(value) else None


def _line(epochs: list[dict], seconds: float, total: int, stopped: bool) -> str:
    last = epochs[-1]
    loss = math.nan if last["loss"] is None else last["loss"]
    line = (
        f"epoch {len(epochs)}/{total}: loss {loss:.4f}, accuracy {last['accuracy']:.1%}, "
        f"validation {last['val_accuracy']:.1%}; took {duration(seconds)}"
    )
    if stopped:
        return f"{line}; stopped by a callback"
    left = total - len(epochs)
    return f"{line}, about {duration(left * seconds)} left" if left else line
