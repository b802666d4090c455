"""What a comparison knows of each of its networks."""

import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from keras_bnn.export import LayerFate

BINARY = "1-bit"
FLOAT32 = "float32"
INT8 = "int8"


@dataclass(frozen=True)
class Run:
    """A trained network, and how it came to be where that is known.

    Attributes:
        seed: What it was trained with; `None` for a network that was taken trained.
        model_path: The Keras model.
        epochs: The figures of each epoch, as `keras_bnn.training.Trained` has them; `None` for a
            network that was taken trained.
        seconds: How long all epochs took; `None` for a network that was taken trained.
    """

    seed: int | None
    model_path: Path
    epochs: list[dict] | None = None
    seconds: float | None = None

    @property
    def validation_accuracy(self) -> float | None:
        """Of the last epoch, on held-out training examples."""
        return self.epochs[-1]["val_accuracy"] if self.epochs else None


@dataclass(frozen=True)
class TestedFile:
    """An exported file, on the test examples.

    Attributes:
        path: The file.
        bytes: Its size.
        confusion: How many test examples of each class (a row) it takes for each class (a column).
    """

    # Not a class of tests, whatever pytest makes of its name.
    __test__ = False

    path: Path
    bytes: int
    confusion: list[list[int]]

    @property
    def accuracy(self) -> float:
        """The share of the test examples that it gets right."""
        right = sum(row[label] for label, row in enumerate(self.confusion))
        return right / sum(map(sum, self.confusion))


@dataclass(frozen=True)
class Latency:
    """How long a file takes for one image, on one thread.

    Attributes:
        place: "here", or the board as `--on` names it.
        engine: The fastest of those that ran the file there.
        milliseconds: The median.
        spread: Half of the distance between the quartiles; `None` where it is not told.
    """

    place: str
    engine: str
    milliseconds: float
    spread: float | None


@dataclass(frozen=True)
class Network:
    """One network of a comparison: binary, its float twin, or that twin in int8.

    What is measured of a file, but for the accuracy, is measured of the first seed's: the others
    hold the same operators.

    Attributes:
        name: Unlike all others of the comparison.
        model: What is binary or made float: a name of the zoo, or of a function.
        precision: "1-bit", "float32" or "int8".
        recipe: How it was trained; `None` is the data set's usual way.
        runs: The training of each seed. The twin in int8 is made from those of the twin.
        files: The exported file of each seed.
        layers: What became of each binary layer; empty for the others.
        bytes_by_kind: Bytes of the file by what they hold, see `keras_bnn.tflite.Description`.
        macs: Multiply-accumulates of one image by kind, "1-bit", "float" and "int8".
        activation_bytes: Activations at the operator where they take most memory.
        operators: Of each operator with weights its name, kind, MACs and bytes of weights.
        latencies: A place each.
    """

    name: str
    model: str
    precision: str
    recipe: str | None
    runs: list[Run]
    files: list[TestedFile]
    layers: list[LayerFate]
    bytes_by_kind: dict[str, int]
    macs: dict[str, int]
    activation_bytes: int
    operators: list[dict]
    latencies: list[Latency] = field(default_factory=list)

    @property
    def accuracies(self) -> list[float]:
        """Of each seed's file, on the test examples."""
        return [file.accuracy for file in self.files]

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return statistics.mean(self.accuracies)

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return self.files[0].bytes

    @property
    def milliseconds(self) -> float:
        """On the board if there is one, else here."""
        return self.latencies[-1].milliseconds

    @property
    def training_seconds(self) -> float | None:
        """The mean over the seeds; `None` where it is not known."""
        return _mean([run.seconds for run in self.runs])

    @property
    def validation_accuracy(self) -> float | None:
        """The mean over the seeds after the last epoch; `None` where it is not known."""
        return _mean([run.validation_accuracy for run in self.runs])

    @property
    def spread(self) -> float | None:
        """Standard deviation of the accuracies over the seeds; `None` if there is one alone."""
        return statistics.stdev(self.accuracies) if len(self.files) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Attributes and properties as plain values, but for paths."""
        figures = ("accuracy", "accuracies", "spread", "bytes", "milliseconds")
        known = ("training_seconds", "validation_accuracy")
        return {**asdict(self), **{name: getattr(self, name) for name in (*figures, *known)}}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known and len(known) == len(values) else None
