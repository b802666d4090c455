"""The ways to train a classifier that `train` and `keras-bnn train` know by name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from keras_bnn._keras import keras
from keras_bnn.training import presets, stages
from keras_bnn.training.distillation import Distillation
from keras_bnn.training.schedules import cosine

_TEMPERATURE = 4.0


@dataclass(frozen=True)
class Recipe:
    """A way to train.

    Attributes:
        compiled: From a built network with logits to the compiled models that are fitted one after
            the other, the last of which trains the network itself. Its arguments: the network, the
            teacher if there is one, `epochs` of each stage, `steps_per_epoch`, and `learning_rate`
            where it is free.
        stages: How many models that are.
        has_teacher: Whether a trained float network is learnt from.
        is_rate_free: Whether the learning rate can be chosen.
    """

    compiled: Callable[..., Iterator[Any]]
    stages: int = 1
    has_teacher: bool = False
    is_rate_free: bool = False


def plain(
    model, teacher=None, *, epochs: int, steps_per_epoch: int, learning_rate: float
) -> Iterator[Any]:
    """Adam with a cosine schedule on the cross-entropy, and on a teacher's logits if there is one.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> [stage.name for stage in plain(model, epochs=2, steps_per_epoch=4, learning_rate=0.01)]
    ['binary_net']
    """
    yield _by_adam(model, teacher, epochs * steps_per_epoch, learning_rate)


def two_step(
    model, teacher=None, *, epochs: int, steps_per_epoch: int, learning_rate: float
) -> Iterator[Any]:
    """`plain` with real weights, then with binary ones; see `training.two_step`."""
    for stage in stages.two_step(model, weight_decay=1e-5):
        yield _by_adam(stage, teacher, epochs * steps_per_epoch, learning_rate)


def _by_adam(model, teacher, steps: int, learning_rate: float):
    if teacher is not None:
        model = Distillation(model, teacher, temperature=_TEMPERATURE)
    rate: Any = cosine(learning_rate, steps)
    return presets.compiled(model, keras.optimizers.Adam(rate))


def _quicknet(model, *, epochs: int, steps_per_epoch: int) -> Iterator[Any]:
    warm_up = min(5, epochs // 10)
    return presets.quicknet(
        model, epochs=epochs, steps_per_epoch=steps_per_epoch, warm_up_epochs=warm_up
    )


def _real_to_binary(model, teacher, *, epochs: int, steps_per_epoch: int) -> Iterator[Distillation]:
    ends_of_blocks = [each.name for each in model.layers if isinstance(each, keras.layers.Add)]
    return presets.real_to_binary(
        model, teacher, epochs=epochs, steps_per_epoch=steps_per_epoch, attention=ends_of_blocks
    )


RECIPES = {
    "plain": Recipe(plain, is_rate_free=True),
    "two_step": Recipe(two_step, stages=2, is_rate_free=True),
    "distillation": Recipe(plain, has_teacher=True, is_rate_free=True),
    "two_step_distillation": Recipe(two_step, stages=2, has_teacher=True, is_rate_free=True),
    "quicknet": Recipe(_quicknet),
    "reactnet": Recipe(presets.reactnet, stages=2, has_teacher=True),
    "real_to_binary": Recipe(_real_to_binary, stages=3, has_teacher=True),
}
"""By name. The published ones are those of `training.presets`: `quicknet` warms up for a tenth of
its epochs, 5 at most; `real_to_binary` compares the attention of the layers that add shortcuts,
where there are any."""
