import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_bnn import models
from keras_bnn._keras import keras, larq, tf
from keras_bnn.data import Dataset
from keras_bnn.data.dataset import Split, hold_out
from keras_bnn.training import checks
from keras_bnn.training.recipes import Recipe, recipe_for
from keras_bnn.training.run_folder import RunFolder

_VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Trained:
    """What a training run came to.

    Attributes:
        model_path: The trained model.
        epochs: For each epoch its `loss`, `accuracy`, `val_loss` and `val_accuracy` (on a tenth of
            the training examples that is held out); `None` where that is no finite number.
        test_accuracy: Share of the test examples that the trained model gets right.
        stopped: Whether a callback ended the training before its last epoch.
    """

    model_path: Path
    epochs: list[dict]
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
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    resume: bool = False,
    callbacks: Sequence = (),
    progress: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Trains a classifier, so that it can be interrupted at any time and resumed exactly.

    Adam with a cosine schedule on the cross-entropy. After every epoch the model and its optimizer
    are kept as a TensorFlow checkpoint; a run that was killed goes on from the last one and ends
    bit for bit where an uninterrupted run does. For that, TensorFlow's deterministic operations
    are switched on for the whole process.

    Args:
        model: A name of `keras_bnn.models.ZOO`, or a function from an input shape and a number of
            classes to a Keras model with logits. If it has random layers (Keras' Dropout, noise,
            augmentation), each epoch starts them anew, from `seed` and the epoch; random numbers
            of your own layers are not resumed.
        dataset: What to train on; see `keras_bnn.data.load`.
        folder: Where the run is kept; see `RunFolder`.
        epochs, batch_size, learning_rate: Default: those of `recipe_for` this data set.
        seed: Of the initial weights, the order of the examples and the validation split; from 0,
            the default, to 2³² - 1.
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
        InputError: If a setting is out of range, the network does not take these images, a class
            has too few of them, or the folder does not fit `resume`; nothing is written then. Or
            if the disk takes no more: the epochs before are kept, and can be resumed.

    >>> digits = keras_bnn.data.load("digits")
    >>> trained = train("binarynet", digits, "run", epochs=1)
    >>> trained.model_path.name, len(trained.epochs)
    ('model.keras', 1)
    """
    checks.check_model(model)
    checks.check_dataset(dataset)
    callbacks = checks.checked_callbacks(callbacks)
    run = RunFolder(Path(folder), resume)
    usual = {**asdict(recipe_for(dataset.name)), "seed": 0, **(run.stored or {})}

    def setting(name: str, given: Any) -> Any:
        return usual[name] if given is None else given

    recipe = checks.checked_recipe(
        Recipe(
            setting("epochs", epochs),
            setting("batch_size", batch_size),
            setting("learning_rate", learning_rate),
        )
    )
    seed = checks.checked_seed(setting("seed", seed))
    run.settle(_settings(model, dataset, recipe, seed))
    history = run.finished()
    if history is None:
        # Inside a quantized scope of the caller's, kernels would read as their signs, and those
        # would be trained and saved.
        with larq.context.quantized_scope(False):
            history = _train(model, dataset, run, recipe, seed, callbacks, progress)
    stopped = "stopped" in history
    return Trained(run.model_path, history["epochs"], history["test_accuracy"], stopped)


def _train(model, dataset, run: RunFolder, recipe: Recipe, seed, callbacks, progress) -> dict:
    tf.config.experimental.enable_op_determinism()
    kept, validation = hold_out(dataset.train, _VALIDATION_SHARE, seed)
    checks.check_examples(dataset, validation)

    def compiled(seed_of_layers: int):
        keras.utils.set_random_seed(seed_of_layers)
        network = _built(model, dataset)
        _compile(network, recipe, len(kept.labels))
        return network

    network = compiled(seed)
    run.begin()
    epochs, stopped = run.restore(network)
    if len(epochs) < recipe.epochs and not stopped:
        progress(
            f"training {_name(model)} on {dataset.name}: {len(kept.labels):,} examples, "
            f"epochs {len(epochs) + 1} to {recipe.epochs}"
        )
    while len(epochs) < recipe.epochs and not stopped:
        epoch, start = len(epochs), time.monotonic()
        if epoch > 0 and _has_random_layers(network):
            # No checkpoint holds where their random numbers were, so every epoch begins as the
            # first one after an interruption does.
            network = compiled(_seed_of_epoch(seed, epoch))
            run.restore(network)
        fitted = network.fit(
            *_shuffled(kept, seed, epoch),
            batch_size=recipe.batch_size,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            validation_data=tuple(validation),
            validation_batch_size=256,
            callbacks=callbacks,
            verbose=0,
        )
        epochs.append({name: _figure(values[0]) for name, values in fitted.history.items()})
        stopped = network.stop_training and len(epochs) < recipe.epochs
        run.finish_epoch(epochs, stopped)
        progress(_line(epochs, recipe.epochs, stopped, time.monotonic() - start))
    _, accuracy = network.evaluate(*dataset.test, batch_size=256, verbose=0)
    return run.finish(network, epochs, stopped, float(accuracy))


def _built(model: str | Callable, dataset: Dataset) -> Any:
    build = models.ZOO[model] if isinstance(model, str) else model
    network = build(dataset.input_shape, dataset.num_classes)
    if isinstance(network, keras.Model) and not network.built:
        network.build((None, *dataset.input_shape))
    checks.check_network(network, dataset.input_shape, dataset.num_classes)
    return network


def _has_random_layers(network) -> bool:
    kind = keras.__internal__.layers.BaseRandomLayer
    return any(isinstance(layer, kind) for layer in network._flatten_layers())


def _seed_of_epoch(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _compile(network, recipe: Recipe, examples: int) -> None:
    steps = -(-examples // recipe.batch_size) * recipe.epochs
    schedule = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
    network.compile(
        optimizer=keras.optimizers.Adam(schedule),  # pyright: ignore[reportArgumentType]
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def _shuffled(split: Split, seed: int, epoch: int) -> Split:
    """The examples in an order that depends on seed and epoch alone, not on earlier epochs."""
    return split.take(np.random.default_rng([seed, epoch]).permutation(len(split.labels)))


def _settings(model, dataset: Dataset, recipe: Recipe, seed: int) -> dict:
    return {
        "model": _name(model),
        "dataset": dataset.name,
        "examples": dataset.fingerprint(),
        **asdict(recipe),
        "seed": seed,
    }


def _name(model: str | Callable) -> str:
    if isinstance(model, str):
        return model
    # Partial functions have no name of their own.
    build = getattr(model, "func", model)
    return getattr(build, "__qualname__", type(build).__qualname__)


def _figure(value: float) -> float | None:
    # JSON has no word for the others.
    return float(value) if math.isfinite(value) else None


def _line(epochs: list[dict], total: int, stopped: bool, seconds: float) -> str:
    last = epochs[-1]
    loss = math.nan if last["loss"] is None else last["loss"]
    line = (
        f"epoch {len(epochs)}/{total}: loss {loss:.4f}, accuracy {last['accuracy']:.1%}, "
        f"validation {last['val_accuracy']:.1%}; took {_duration(seconds)}"
    )
    if stopped:
        return f"{line}; stopped by a callback"
    left = total - len(epochs)
    return f"{line}, about {_duration(left * seconds)} left" if left else line


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.0f} h"
