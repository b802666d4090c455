"""Where the time of a prediction goes: each 1-bit operator, and the gaps between them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from keras_bnn.runtime import native
from keras_bnn.runtime.foreign import is_1bit
from keras_bnn.tables import aligned
from keras_bnn.tflite.graph import Graph, Operator


@dataclass(frozen=True)
class Step:
    """A 1-bit operator, or the float operators between two of them.

    Attributes:
        operators: Their numbers in the file; none for what LiteRT itself does in between.
        names: What they are, once each: "LceBconv2d", or "CONV_2D, ADD".
        is_1bit: Whether it is one 1-bit operator.
        milliseconds: Median of all runs.
        gmacs: Binary multiply-accumulates per nanosecond, of a 1-bit convolution; else `None`.
    """

    operators: tuple[int, ...]
    names: str
    is_1bit: bool
    milliseconds: float
    gmacs: float | None


@dataclass(frozen=True)
class Profile:
    """The steps of one file's prediction, in order; `str()` is a table.

    Attributes:
        file: As it was given.
        threads, batch: For one prediction.
        milliseconds: Median of a whole prediction while it was watched.
        runs: How many predictions there were.
        steps: Their medians need not add up to that of the whole.
    """

    file: str
    threads: int
    batch: int
    milliseconds: float
    runs: int
    steps: list[Step]

    def __str__(self) -> str:
        rows = [("operators", "what", "ms", "share", "GMAC/s")]
        rows += [
            (
                _numbers(step.operators),
                step.names,
                f"{step.milliseconds:.3f}",
                f"{step.milliseconds / self.milliseconds:.1%}",
                f"{step.gmacs:,.0f}" if step.gmacs else "",
            )
            for step in self.steps
        ]
        rows += [
            ("all", names, f"{total:.3f}", f"{total / self.milliseconds:.1%}", "")
            for names, total in self.totals().items()
        ]
        title = (
            f"{self.file}, {self.threads} threads, batch {self.batch}: {self.milliseconds:.3f} ms "
            f"(median of {self.runs}). What is not 1-bit is timed as the gap between 1-bit "
            "operators."
        )
        return f"{title}\n{aligned(rows, right=(2, 3, 4))}"

    def totals(self) -> dict[str, float]:
        """Milliseconds of each kind of 1-bit operator, and of everything else together."""
        totals: dict[str, float] = {}
        for step in self.steps:
            name = step.names if step.is_1bit else "not 1-bit"
            totals[name] = totals.get(name, 0) + step.milliseconds
        return totals


def profile(
    call: Callable[[], object], graph: Graph, seconds: float
) -> tuple[float, int, list[Step]]:
    """Watches predictions of a graph on this runtime, after one that is not watched.

    Args:
        call: Predicts once.
        graph: What it predicts with.
        seconds: How long to go on; three predictions at least.

    Returns:
        Median milliseconds of a prediction, how many there were, and the steps.

    Raises:
        InputError: If a profile is being taken already in this process.
    """
    call()
    runs: list[list[int]] = []
    nodes: list[int] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(runs) < 3:
        with native.event_log(len(graph.operators) + 1) as events:
            # The library's clock is this one.
            start = time.perf_counter_ns()
            call()
            stop = time.perf_counter_ns()
        nodes = [event.node for event in events]
        times = [(event.start, event.end) for event in events]
        runs.append([start, *(moment for pair in times for moment in pair), stop])
    durations = [[b - a for a, b in pairwise(run)] for run in runs]
    medians = [statistics.median(column) / 1e6 for column in zip(*durations, strict=True)]
    total = statistics.median(run[-1] - run[0] for run in runs) / 1e6
    return total, len(runs), _steps(graph, nodes, medians)


def _steps(graph: Graph, nodes: Sequence[int], medians: Sequence[float]) -> list[Step]:
    """Medians are those of gap, operator, gap, operator, …, gap."""
    steps, done = [], -1
    for i, node in enumerate([*nodes, len(graph.operators)]):
        between = [
            operator for operator in graph.operators[done + 1 : node] if not is_1bit(operator)
        ]
        steps.append(
            Step(
                tuple(operator.index for operator in between),
                ", ".join(dict.fromkeys(operator.name for operator in between)) or "(LiteRT)",
                False,
                medians[2 * i],
                None,
            )
        )
        done = max(done, node)
        if node < len(graph.operators):
            steps.append(_step_of(graph, graph.operators[node], medians[2 * i + 1]))
    return [step for step in steps if step.operators or step.milliseconds > _NOTHING]


# Milliseconds; two clock readings of neighbouring operators are less apart.
_NOTHING = 0.001


def _step_of(graph: Graph, operator: Operator, milliseconds: float) -> Step:
    gmacs = None
    if operator.name == "LceBconv2d":
        gmacs = _products(graph, operator) / milliseconds / 1e6
    return Step((operator.index,), operator.name, True, milliseconds, gmacs)


def _products(graph: Graph, operator: Operator) -> int:
    """Binary multiply-accumulates, of the batch that the graph was made for."""
    _, height, width, _ = graph.tensor(operator.outputs[0]).shape
    channels_out, kernel_height, kernel_width, _ = graph.tensor(operator.inputs[1]).shape
    depth = operator.options["channels_in"] // operator.options.get("groups", 1)
    return height * width * channels_out * kernel_height * kernel_width * depth


def _numbers(operators: tuple[int, ...]) -> str:
    if len(operators) < 2:
        return "".join(map(str, operators))
    return f"{operators[0]}-{operators[-1]}"
