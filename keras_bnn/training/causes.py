"""Why a binary network does not learn: causes that show in what was measured."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from keras_bnn.training.before_signs import BeforeSign
from keras_bnn.training.sign_inputs import SignInput

# Sums of hundreds of ±1 that nothing normalizes were seen to have 98 %, networks that learn at most
# 90 %, behind many shortcuts.
_BLOCKED = 0.95
# Each sign flips every 200 steps. While networks learn, it is less from the second epoch on.
_RESTLESS = 0.005
_SATURATED = 0.5
# Of all signs in all epochs together.
_HARDLY_ANY = 0.01
# A loss that falls by less has not fallen: it is noise from epoch to epoch.
_FALL = 0.05


@dataclass(frozen=True)
class KernelFigures:
    """How the weights of one binary kernel moved in one epoch.

    Attributes:
        label: Its layer.
        weights: How many there are.
        is_trained: Whether the optimizer moves them.
        flip_ratio: The share whose sign at the end is another than at the beginning.
        flip_ratio_per_step: The share that a step flips, on average.
        saturation: The share of latent weights at the clip; `None` if there is no clip, or the
            optimizer has no latent weights.
    """

    label: str
    weights: int
    is_trained: bool
    flip_ratio: float
    flip_ratio_per_step: float
    saturation: float | None


@dataclass(frozen=True)
class EpochFigures:
    """What was measured in one epoch, or after it.

    Attributes:
        number: Of the epoch, from 0.
        loss: The training loss.
        kernels: The binary kernels.
        blocked: For each sign, the share of values in front of it that pass no gradient.
    """

    number: int
    loss: float
    kernels: Sequence[KernelFigures]
    blocked: Mapping[str, float]


@dataclass(frozen=True)
class Cause:
    """One likely cause.

    Attributes:
        kind: Equal for those that have the same remedy.
        message: One line: where, what was measured, the remedy.
    """

    kind: str
    message: str


def likely_causes(
    epochs: Sequence[EpochFigures],
    signs: Sequence[SignInput],
    before: Callable[[SignInput], BeforeSign],
    patience: int,
    has_latent_weights: bool,
) -> Iterator[Cause]:
    """Causes that show after the last of `epochs`.

    What learns nothing because of how its signs are built in cannot be blamed on the learning
    rate; but a rate that is too high also drives the values in front of signs out of their clip.

    Args:
        epochs: What was measured since the training began, or since someone looked.
        signs: What reaches the signs after the last of them.
        before: The layers that this comes from.
        patience: For how many epochs the loss may stand still.
        has_latent_weights: Whether the optimizer has a learning rate and latent weights, unlike
            Bop.
    """
    rate = _Rate(epochs, patience, has_latent_weights)
    if not math.isfinite(epochs[-1].loss):
        yield from rate.no_number()
        return
    of_structure = [*_of_structure(signs, before)]
    if of_structure:
        yield from of_structure
        return
    blocked = [*_blocked(epochs[-patience:], signs, before, patience)]
    stands_still = not _fell(epochs, patience)
    of_rate = [*rate.saturated()] if blocked or stands_still else []
    if not of_rate and not blocked and stands_still:
        of_rate = [*rate.restless(), *rate.too_low()]
    yield from of_rate or blocked


def _of_structure(signs, before: Callable[[SignInput], BeforeSign]) -> Iterator[Cause]:
    for sign in signs:
        if (sign.lowest >= 0).all():
            yield _never_negative(sign, before(sign))
            continue
        says_nothing = sign.blocked >= _BLOCKED or sign.constant_sign.all()
        if says_nothing and not before(sign).is_normalized:
            yield _not_normalized(sign, before(sign))


def _never_negative(sign: SignInput, before: BeforeSign) -> Cause:
    if before.relus:
        place = f"in front of {_names(before.norms)}" if before.norms else "elsewhere"
        remedy = (
            f"The ReLU of {_names(before.relus)} cuts that off: leave it out, or put it {place}"
        )
    else:
        remedy = "Put a batch normalization directly in front of the sign"
    return Cause(
        "relu",
        f"{sign.label} learns nothing: no value in front of its sign is negative, so all signs are "
        f"+1. {remedy}.",
    )


def _not_normalized(sign: SignInput, before: BeforeSign) -> Cause:
    if sign.blocked >= _BLOCKED:
        measured = f"{sign.blocked:.0%} of the values in front of its sign pass no gradient"
    else:
        measured = "all values of each channel in front of its sign have the same sign"
    source = _names(before.kernels) if before.kernels else "the model's inputs"
    return Cause(
        "norm",
        f"{sign.label} has no batch normalization in front, and {measured}: put one behind "
        f"{source}.",
    )


def _names(layers: Sequence[str]) -> str:
    return " and ".join(layers[:2]) + (f" and {len(layers) - 2} more" if len(layers) > 2 else "")


def _blocked(last: Sequence[EpochFigures], signs, before, patience: int) -> Iterator[Cause]:
    """Signs that were out of the clip all the time: moving averages need some epochs."""
    for sign in signs:
        shares = [epoch.blocked.get(sign.label, 0) for epoch in last]
        if len(last) == patience and min(shares) >= _BLOCKED:
            norms = _names(before(sign).norms)
            yield Cause(
                "blocked",
                f"{sign.label} passes hardly any gradient on: {sign.blocked:.0%} of the values in "
                f"front of its sign are too large for that{f' behind {norms}' if norms else ''}. "
                "Scale them to about ±1, or widen the clip with keras_bnn.training.set_clip.",
            )


@dataclass(frozen=True)
class _Rate:
    """What may be wrong with the learning rate, or with Bop's numbers in its place."""

    epochs: Sequence[EpochFigures]
    patience: int
    has_latent_weights: bool

    @property
    def lower(self) -> str:
        return (
            "Lower it" if self.has_latent_weights else "Raise Bop's threshold, or lower its gamma"
        )

    @property
    def higher(self) -> str:
        return (
            "Raise it" if self.has_latent_weights else "Lower Bop's threshold, or raise its gamma"
        )

    def no_number(self) -> Iterator[Cause]:
        flips = [(values[-1], label) for label, values in self._each("flip_ratio")]
        if flips:
            share, label = max(flips)
            yield Cause(
                "high",
                f"The loss is {self.epochs[-1].loss}: the learning rate is probably too high. "
                f"{self.lower}. Most signs flipped in {label}, {share:.1%} in this epoch.",
            )

    def saturated(self) -> Iterator[Cause]:
        for label, shares in self._each("saturation"):
            if self._is_whole and None not in shares and min(shares) >= _SATURATED:
                yield Cause(
                    "high",
                    f"{label} has had {min(shares):.0%} or more of its latent weights at their "
                    "clip since the first epoch, and does not learn: the learning rate is too "
                    f"high. {self.lower}.",
                )

    def restless(self) -> Iterator[Cause]:
        for label, shares in self._each("flip_ratio_per_step"):
            if min(shares[-self.patience :]) >= _RESTLESS:
                yield Cause(
                    "high",
                    f"{label} flips {shares[-1]:.1%} of its signs in every step, and "
                    f"{self._stands_still}: the learning rate is too high, or does not decay. "
                    f"{self.lower}, or let it decay, as keras_bnn.training.cosine does.",
                )

    def too_low(self) -> Iterator[Cause]:
        totals = [(sum(values), label) for label, values in self._each("flip_ratio")]
        if totals and self._is_whole and max(totals)[0] < _HARDLY_ANY:
            total, label = max(totals)
            yield Cause(
                "low",
                f"{label} has flipped {total:.2%} of its signs in {len(self.epochs)} epochs, and "
                f"the other layers no more; {self._stands_still}: the learning rate is too low. "
                f"{self.higher}.",
            )

    @property
    def _is_whole(self) -> bool:
        """Whether all epochs are known: at the end of a schedule, rates are low on purpose."""
        return self.epochs[0].number == 0

    @property
    def _stands_still(self) -> str:
        return f"the loss has not fallen by {_FALL:.0%} for {self.patience} epochs"

    def _each(self, figure: str) -> Iterator[tuple[str, list]]:
        """The kernels that are trained, each with its figure in all epochs."""
        for i, kernel in enumerate(self.epochs[-1].kernels):
            if kernel.is_trained:
                yield kernel.label, [getattr(epoch.kernels[i], figure) for epoch in self.epochs]


def _fell(epochs: Sequence[EpochFigures], patience: int) -> bool:
    """Whether the loss got lower in the last epochs, or there were too few to say."""
    losses = [epoch.loss for epoch in epochs]
    if len(losses) <= patience:
        return True
    before = min(losses[:-patience])
    return before - min(losses[-patience:]) >= _FALL * abs(before)
