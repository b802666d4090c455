"""Published recipes by name: models that come compiled, to fit as they come.

>>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
>>> examples = np.zeros((8, 8, 8, 1), np.float32), np.zeros(8, np.int64)
>>> for stage in quicknet(model, epochs=2, steps_per_epoch=4, warm_up_epochs=1):
...     history = stage.fit(*examples, batch_size=2, epochs=2, verbose=0)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError
from keras_bnn.layers import RPReLU, RSign
from keras_bnn.training.clip import set_clip
from keras_bnn.training.distillation import Distillation
from keras_bnn.training.optimizer_group import OptimizerGroup
from keras_bnn.training.schedules import WarmUp, cosine
from keras_bnn.training.stages import real_to_binary as real_to_binary_stages
from keras_bnn.training.stages import two_step
from keras_bnn.training.synchronize import fit_for_scope

_schedules = keras.optimizers.schedules


def quicknet(
    model, *, epochs: int = 600, steps_per_epoch: int, warm_up_epochs: int = 5
) -> Iterator[Any]:
    """QuickNet's recipe: Adam for binary kernels, SGD for the rest, a wide clip, no stages.

    Adam at 1e-2 and SGD with momentum 0.9 at 0.1, each with a cosine behind a warm-up; gradients
    pass up to 1.25. It was published for 600 epochs of ImageNet in batches of 2048, by Larq Zoo, in
    `training/sota_experiments.py`.

    Args:
        model: A built binary network with logits.
        epochs: Passes that you will fit.
        steps_per_epoch: Batches of one pass.
        warm_up_epochs: Of `epochs`, fewer than those.

    Yields:
        `model`, compiled.

    References:
        Bannink et al., Larq Compute Engine, 2021. https://arxiv.org/abs/2011.09398
        Larq Zoo. https://github.com/larq/zoo
    """
    _check_length(epochs, steps_per_epoch)
    fit_for_scope(model)
    set_clip(model, 1.25)
    length = epochs * steps_per_epoch, warm_up_epochs * steps_per_epoch
    adam, sgd = (cosine(peak, *length) for peak in (1e-2, 0.1))
    group = OptimizerGroup(
        binary=keras.optimizers.Adam(adam),  # pyright: ignore[reportArgumentType]
        real=keras.optimizers.SGD(sgd, momentum=0.9),  # pyright: ignore[reportArgumentType]
    )
    yield compiled(model, group)


def reactnet(model, teacher, *, epochs: int = 256, steps_per_epoch: int) -> Iterator[Distillation]:
    """ReActNet's recipe: two steps, both learnt from a float teacher's outputs alone.

    Adam at 5e-4, falling evenly to 0 in each step; in the first one a weight decay of 1e-5, of the
    kernels of convolutions, the thresholds and the shifts. So the authors' code has it for 256
    epochs a step of ImageNet in batches of 256, with a ResNet-34 as the teacher; it has 128 epochs
    at 1.25e-3, too, for about the same accuracy. There the rate falls once an epoch.

    Args:
        model: A built binary network with logits.
        teacher: A trained float network with logits.
        epochs: Passes that you will fit in each step.
        steps_per_epoch: Batches of one pass.

    Yields:
        The compiled models of both steps; the last one's `student` is `model`.

    References:
        Liu et al., ReActNet, 2020. https://arxiv.org/abs/2003.03488
        Their code. https://github.com/liuzechun/ReActNet
    """
    _check_length(epochs, steps_per_epoch)
    for step in two_step(model):
        if step is not model:
            maps = [kernel for kernel in _kernels(step) if kernel.shape.rank > 2]
            _decay([*maps, *_thresholds_and_shifts(step)], 1e-5, step)
        rate: Any = _schedules.PolynomialDecay(5e-4, epochs * steps_per_epoch, 0.0)
        yield compiled(Distillation(step, teacher), keras.optimizers.Adam(rate), loss_weights=[0])


def real_to_binary(
    model,
    teacher,
    *,
    epochs: int = 75,
    steps_per_epoch: int,
    attention: Sequence[str] = (),
    teachers_attention: Mapping[str, str] | None = None,
) -> Iterator[Distillation]:
    """Real-to-Binary's recipe: three stages with attention matching; see `training.real_to_binary`.

    Adam at 1e-3, in the last stage 2e-4, behind a warm-up of 5 in 75 epochs, and times 0.3 from
    epochs 40, 60 and 70 on. Other `epochs` have these in proportion. A weight decay of 2e-5 in the
    first two stages, of every kernel but the classifier's. The teacher's logits count 3 times as
    much as the labels, in the last stage 0.8 times; attention in the first two stages only.

    So Larq Zoo has it, to which the authors refer, in `training/multi_stage_experiments.py`, for
    batches of 256. It calls that an example, not what its weights were trained with, and it differs
    from this in three points. Its attention is the mean over positions and maps, of maps divided
    by their largest value, and counts 30 times; here it is that of `Distillation`, and counts once.
    Its second stage starts at random. Its last one follows a cosine.

    Args:
        model: A built binary network with logits.
        teacher: A trained float network with logits.
        epochs: Passes that you will fit in each stage.
        steps_per_epoch: Batches of one pass.
        attention: Layers of `model` whose maps are compared, the ends of its blocks.
        teachers_attention: From those names to the layers of `teacher`; default: the same names.

    Yields:
        The compiled models of the three stages; the last one's `student` is `model`.

    References:
        Martinez et al., Training Binary Neural Networks with Real-to-Binary Convolutions, 2020.
        https://arxiv.org/abs/2003.11535
        Larq Zoo. https://github.com/larq/zoo
    """
    _check_length(epochs, steps_per_epoch)
    steps = epochs * steps_per_epoch
    stages = real_to_binary_stages(
        model,
        teacher,
        weight=(3.0, 3.0, 0.8),
        attention=attention,
        teachers_attention=teachers_attention,
        attention_weight=(1.0, 1.0, 0.0),
    )
    warm_up = steps * 5 // 75
    drops = [steps * epoch // 75 - warm_up for epoch in (40, 60, 70)]
    for stage, peak in zip(stages, (1e-3, 1e-3, 2e-4), strict=True):
        if stage.student is not model:
            _decay(_kernels(stage.student)[:-1], 2e-5, stage.student)
        falling = _schedules.PiecewiseConstantDecay(drops, [peak * 0.3**i for i in range(4)])
        rate: Any = WarmUp(falling, warm_up)
        yield compiled(stage, keras.optimizers.Adam(rate))


def compiled(model, optimizer, **options):
    """`model`, to be fitted as a classifier with logits."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **options)
    return model


def _kernels(model) -> list:
    return [weight for weight in model.trainable_weights if "kernel" in weight.name]


def _thresholds_and_shifts(model) -> Iterator[Any]:
    for layer in model._flatten_layers():
        if isinstance(layer, RSign):
            yield layer.threshold
        if isinstance(layer, RPReLU):
            yield from (layer.shift, layer.offset)


def _decay(weights: list, rate: float, model) -> None:
    """Adds rate/2 · Σ w² to the loss of `model`: a decay that goes through Adam's averages."""
    model.add_loss(lambda: rate * sum(map(tf.nn.l2_loss, weights)))


def _check_length(epochs: int, steps_per_epoch: int) -> None:
    for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
        if value < 1:
            raise InputError(f"{name} is {value}, expected 1 or more.")
