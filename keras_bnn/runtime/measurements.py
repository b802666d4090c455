"""What a benchmark has measured, and where."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from keras_bnn.runtime.machine_state import MachineState
from keras_bnn.runtime.profiling import Profile, Step
from keras_bnn.runtime.timing import Timing
from keras_bnn.tables import aligned


@dataclass(frozen=True)
class Measurement:
    """One file on one engine.

    Attributes:
        file: As it was given.
        engine: What ran it.
        threads, batch: For one prediction.
        timing: Of one prediction of the whole batch.
    """

    file: str
    engine: str
    threads: int
    batch: int
    timing: Timing


@dataclass(frozen=True)
class Benchmark:
    """What was measured, and where; `str()` is a table to paste.

    Attributes:
        measurements: In the order of files, threads and engines. Ratios between them mean
            something, for they took turns; milliseconds of other runs do not compare.
        processor, machine, python, versions, instruction_set: Of this machine.
        core: The one that everything was pinned to, or `None`.
        notes: What was left out, and why.
        profiles: Where the time of each 1-bit file goes, if that was asked for.
        board: The name of a single-board computer or a phone.
        before, after: Clock, temperature and throttling around the measurements.
    """

    measurements: list[Measurement]
    processor: str
    machine: str
    python: str | None
    versions: dict[str, str | None]
    instruction_set: str | None
    core: int | None
    notes: list[str]
    profiles: list[Profile]
    board: str | None = None
    before: MachineState | None = None
    after: MachineState | None = None

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> Benchmark:
        """The inverse of `to_dict`, from JSON."""
        measurements = [
            Measurement(**{**found, "timing": Timing(**found["timing"])})
            for found in values["measurements"]
        ]
        profiles = [
            Profile(**{**found, "steps": [_step(step) for step in found["steps"]]})
            for found in values["profiles"]
        ]
        states = {
            moment: values[moment] and MachineState(**values[moment])
            for moment in ("before", "after")
        }
        return cls(**{**values, "measurements": measurements, "profiles": profiles, **states})

    def __str__(self) -> str:
        first = self.measurements[0].timing.median
        rows = [("file", "engine", "threads", "batch", "median ms", "min", "spread", "vs first")]
        for found in self.measurements:
            timing = found.timing
            rows.append(
                (
                    found.file,
                    found.engine,
                    str(found.threads),
                    str(found.batch),
                    f"{timing.median:.3f}",
                    f"{timing.minimum:.3f}",
                    "?" if timing.spread is None else f"±{timing.spread / timing.median:.0%}",
                    f"{found.timing.median / first:.2f}x",
                )
            )
        versions = {"Python": self.python, **self.versions}
        known = [f"{name} {version}" for name, version in versions.items() if version]
        lines = [
            aligned(rows, right=range(2, 8)),
            "",
            f"{self.processor} ({self.machine}), "
            + (f"pinned to core {self.core}" if self.core is not None else "not pinned"),
            ", ".join(known),
            *self._conditions(),
            *self.notes,
            *(f"\n{found}" for found in self.profiles),
        ]
        return "\n".join(lines)

    def _conditions(self) -> list[str]:
        title = [self.board] if self.board else []
        if not self.before or not self.after:
            return title
        if not self.board and not any(asdict(self.before).values()):
            return []
        states = [("before", *self.before.cells()), ("after", *self.after.cells())]
        return [*title, aligned([("", "clock", "governor", "temperature", "throttling"), *states])]


def _step(values: dict) -> Step:
    return Step(**{**values, "operators": tuple(values["operators"])})
