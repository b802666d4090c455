"""Training in stages: plain Keras models one after the other, each from the one before."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_bnn._keras import larq
from keras_bnn.errors import InputError
from keras_bnn.training.distillation import Distillation
from keras_bnn.training.real_weights import with_real_weights
from keras_bnn.training.synchronize import fit_for_scope


def two_step(model, *, weight_decay: float = 0.0) -> Iterator[Any]:
    """Binary inputs first, then binary weights too.

    Compile and fit each model as it comes; the second is `model` itself, and starts from the
    weights that the first has when you ask for the second.

    Args:
        model: A built binary network; see `with_real_weights`. It is what is trained in the end.
        weight_decay: Of the first step; the second has none.

    Yields:
        `with_real_weights(model)`, then `model`.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> [step.name for step in two_step(model)]
    ['binary_net_real_weights', 'binary_net']

    References:
        Liu et al., ReActNet, 2020. https://arxiv.org/abs/2003.03488
    """
    yield from _one_after_the_other(with_real_weights(model, weight_decay=weight_decay), model)


def real_to_binary(
    model,
    teacher,
    *,
    weight: float | Sequence[float] = 1.0,
    temperature: float | Sequence[float] = 1.0,
    attention: Sequence[str] = (),
    teachers_attention: Mapping[str, str] | None = None,
    attention_weight: float | Sequence[float] = 1.0,
) -> Iterator[Distillation]:
    """Real-to-Binary's stages: each student teaches the next one, which starts from its weights.

    | stage | inputs of binary layers | their weights | teacher      |
    |-------|-------------------------|---------------|--------------|
    | 1     | tanh                    | real          | `teacher`    |
    | 2     | ±1                      | real          | of stage 1   |
    | 3     | ±1                      | ±1            | of stage 2   |

    Args:
        model: A built binary network; see `with_real_weights`. It is the student of the last
            stage, and trained when that is.
        teacher: A trained float network: any with the same inputs and outputs.
        weight, temperature, attention_weight: As `Distillation` takes them: one number for all
            stages, or one for each.
        attention: Layers of `model` whose maps are compared in every stage.
        teachers_attention: For the first stage, from those names to the layers of `teacher`;
            default: the same names.

    Yields:
        Three `Distillation` models, to compile and fit as they come.

    Raises:
        InputError: If there are other than three numbers for the stages; see `with_real_weights`
            and `Distillation` for the rest.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> teacher = keras_bnn.models.float_twin(model)
    >>> [stage.student.name for stage in real_to_binary(model, teacher, attention=["norm_1"])]
    ['binary_net_soft', 'binary_net_real_weights', 'binary_net']

    References:
        Martinez et al., Training Binary Neural Networks with Real-to-Binary Convolutions, 2020.
        https://arxiv.org/abs/2003.11535
    """
    soft = with_real_weights(model, soft=True)
    soft._name = f"{model.name}_soft"
    pairs = teachers_attention or {name: name for name in attention}
    students = _one_after_the_other(soft, with_real_weights(model), model)
    numbers = (
        _of_each_stage("weight", weight),
        _of_each_stage("temperature", temperature),
        _of_each_stage("attention_weight", attention_weight),
    )
    for student, of_logits, softness, of_maps in zip(students, *numbers, strict=True):
        yield Distillation(
            student,
            teacher,
            weight=of_logits,
            temperature=softness,
            attention=pairs,
            attention_weight=of_maps,
        )
        teacher, pairs = student, {name: name for name in pairs}


def _of_each_stage(name: str, value: float | Sequence[float]) -> Sequence[float]:
    numbers = value if isinstance(value, Sequence) else (value,) * 3
    if len(numbers) != 3:
        raise InputError(f"{name} is {value}, expected one number, or one for each of 3 stages.")
    return numbers


def _one_after_the_other(*models) -> Iterator[Any]:
    for model in models:
        fit_for_scope(model)
    before = None
    for model in models:
        if before is not None:
            with larq.context.quantized_scope(False):
                model.set_weights(before.get_weights())
        yield model
        before = model
