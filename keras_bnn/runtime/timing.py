"""Timing several calls side by side."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Timing:
    """Durations of one thing that was timed, in milliseconds.

    Attributes:
        median, minimum: Of all runs. What disturbs a run makes it longer, never shorter.
        spread: Half of the distance between the first and the third quartile; `None` where
            another program measured, and does not tell.
        runs: How many there were.
    """

    median: float
    minimum: float
    spread: float | None
    runs: int


def time_side_by_side(
    calls: Mapping[Name, Callable[[], object]], seconds: float = 2.0
) -> dict[Name, Timing]:
    """Times `calls` in turn, so that what else the machine does meets all of them alike.

    Args:
        calls: What to time, by name.
        seconds: How long to go on, after one untimed call of each; three rounds at least.

    Returns:
        A `Timing` for each name.
    """
    durations: dict[Name, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < end or rounds < 3:
        rounds += 1
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            durations[name].append((time.perf_counter() - start) * 1e3)
    return {name: _summed_up(values) for name, values in durations.items()}


def _summed_up(values: list[float]) -> Timing:
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(median, min(values), (third - first) / 2, len(values))


def fastest(timings: dict[Name, Timing]) -> Name:
    """The name with the smallest median."""
    return min(timings, key=lambda name: timings[name].median)
