"""Timing several interpreters side by side."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Durations of one thing that was timed, in milliseconds."""

    median: float
    minimum: float
    runs: int


def time_side_by_side(calls: dict[str, Callable], seconds: float = 2.0) -> dict[str, Timing]:
    """Times `calls` in turn, so that what else the machine does meets all of them alike.

    Args:
        calls: What to time, by name.
        seconds: How long to go on, after one untimed call of each.

    Returns:
        A `Timing` for each name.
    """
    durations: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not all(durations.values()):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            durations[name].append((time.perf_counter() - start) * 1e3)
    return {
        name: Timing(statistics.median(values), min(values), len(values))
        for name, values in durations.items()
    }


def fastest(timings: dict[str, Timing]) -> str:
    """The name with the smallest median."""
    return min(timings, key=lambda name: timings[name].median)
