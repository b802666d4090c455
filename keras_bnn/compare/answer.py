"""Can a binary network replace its float twin? The rule, and the sentence."""

import statistics
from dataclasses import dataclass
from typing import Any

from keras_bnn.compare.wording import faster, smaller


@dataclass(frozen=True)
class Answer:
    """The answer for one binary network.

    Attributes:
        network: Its name.
        yes: Whether it can replace its float twin.
        points_lost: Percentage points of test accuracy that it has less than its twin, the mean
            over the seeds; negative where it has more.
        spread: Standard deviation of that over the seeds; `None` if there is one seed only.
        tolerance: How many points it may lose.
        text: The answer as sentences.
    """

    network: str
    yes: bool
    points_lost: float
    spread: float | None
    tolerance: float
    text: str


def rule(tolerance: float) -> str:
    """The rule in words."""
    return (
        f"The rule: a binary network can replace its float32 twin if it loses at most "
        f"{_points(tolerance)} of test accuracy, on average over the seeds and still with one "
        "standard deviation of that loss more, and if its file is smaller or it runs faster."
    )


def answer(binary: Any, twin: Any, twin_in_int8: Any, tolerance: float, data: str) -> Answer:
    """Applies the rule to the figures of three networks.

    Args:
        binary, twin, twin_in_int8: Each a `Network`, or anything with its `name`, `accuracies`
            (those of one seed at the same index), `bytes` and `milliseconds`.
        tolerance: Percentage points that `binary` may lose against `twin`.
        data: What to call the data.

    >>> from types import SimpleNamespace as Figures
    >>> binary = Figures(name="b", accuracies=[0.89, 0.9], bytes=10, milliseconds=1.0)
    >>> twin = Figures(name="f", accuracies=[0.92, 0.92], bytes=200, milliseconds=4.0)
    >>> in_int8 = Figures(name="i", accuracies=[0.91, 0.92], bytes=50, milliseconds=2.0)
    >>> found = answer(binary, twin, in_int8, 1.0, "digits")
    >>> found.yes, round(found.points_lost, 2), round(found.spread, 2)
    (False, 2.5, 0.71)
    """
    losses = _losses(binary, twin)
    lost, spread = statistics.mean(losses), _spread(losses)
    is_gain = binary.bytes < twin.bytes or binary.milliseconds < twin.milliseconds
    # So that 1 point of rounded figures is no more than 1 point.
    most = round(lost + (spread or 0), 9)
    yes = most <= tolerance and is_gain
    if yes:
        verdict = f"within the {_points(tolerance)} allowed"
    elif round(lost, 9) > tolerance:
        verdict = f"more than the {_points(tolerance)} allowed"
    elif most > tolerance:
        verdict = (
            f"within the {_points(tolerance)} allowed on average, but not with one standard "
            "deviation of the seeds more"
        )
    else:
        verdict = f"within the {_points(tolerance)} allowed, but nothing is gained"
    text = (
        f"{'Yes' if yes else 'No'}: on {data}, {binary.name} {_change(lost, spread)} "
        f"({_percent(binary)} against {_percent(twin)}), {verdict}. "
        f"Against float32 it is {_gains(binary, twin)}. {_against_int8(binary, twin, twin_in_int8)}"
    )
    return Answer(binary.name, yes, lost, spread, tolerance, text)


def _losses(network: Any, twin: Any) -> list[float]:
    pairs = zip(network.accuracies, twin.accuracies, strict=True)
    return [100 * (theirs - ours) for ours, theirs in pairs]


def _spread(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _against_int8(binary: Any, twin: Any, in_int8: Any) -> str:
    losses = _losses(in_int8, twin)
    text = (
        f"Against the twin in int8, which {_change(statistics.mean(losses), _spread(losses))}, it "
        f"is {_gains(binary, in_int8)}"
    )
    is_beaten = (
        statistics.mean(in_int8.accuracies) >= statistics.mean(binary.accuracies)
        and in_int8.bytes <= binary.bytes
        and in_int8.milliseconds <= binary.milliseconds
    )
    return f"{text}: int8 is at least as good in everything." if is_beaten else f"{text}."


def _gains(network: Any, other: Any) -> str:
    return (
        f"{smaller(network.bytes, other.bytes)} and "
        f"{faster(network.milliseconds, other.milliseconds)}"
    )


def _change(lost: float, spread: float | None) -> str:
    verb = "loses" if round(lost, 2) >= 0 else "gains"
    deviation = "" if spread is None else f" ± {spread:.2f}"
    return f"{verb} {abs(lost):.2f}{deviation} points"


def _percent(network: Any) -> str:
    return f"{statistics.mean(network.accuracies):.2%}"


def _points(number: float) -> str:
    return f"{number:g} {'point' if number == 1 else 'points'}"
