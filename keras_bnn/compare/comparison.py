"""What a comparison came to."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_bnn.compare.answer import Answer, rule
from keras_bnn.compare.network import BINARY, Network
from keras_bnn.compare.pareto import pareto_front
from keras_bnn.compare.table import table
from keras_bnn.runtime import Benchmark
from keras_bnn.tables import aligned


@dataclass(frozen=True)
class Comparison:
    """Binary networks beside their float twins, in float32 and in int8; `str()` is a table.

    Attributes:
        dataset: Its name.
        label_names: One name a class.
        test_examples: How many examples the accuracies are of.
        networks: Model after model: the binary ones, the twin, the twin in int8.
        answers: One for each binary network, in their order.
        benchmarks: What was timed, by place.
        folder: Holds `report.json`, `report.html`, `files/` and, where it was trained, `runs/`.
    """

    dataset: str
    label_names: tuple[str, ...]
    test_examples: int
    networks: list[Network]
    answers: list[Answer]
    benchmarks: dict[str, Benchmark]
    folder: Path

    @property
    def answer(self) -> Answer:
        """That of the binary network with the best validation accuracy.

        The test examples, which the answers are of, choose nothing. Networks that were taken
        trained have no validation accuracy: the first answers then.
        """
        binary = [network for network in self.networks if network.precision == BINARY]
        best = max(binary, key=lambda network: network.validation_accuracy or 0)
        return next(answer for answer in self.answers if answer.network == best.name)

    @property
    def yes(self) -> bool:
        """Whether a binary network can replace its float twin."""
        return self.answer.yes

    @property
    def fronts(self) -> dict[str, list[str]]:
        """The networks on the Pareto front of accuracy against bytes, and against each latency."""
        costs = {"bytes": [float(network.bytes) for network in self.networks]}
        for index, place in enumerate(self.benchmarks):
            costs[place] = [network.latencies[index].milliseconds for network in self.networks]
        accuracies = [network.accuracy for network in self.networks]
        return {
            name: [
                self.networks[index].name
                for index in pareto_front(list(zip(values, accuracies, strict=True)))
            ]
            for name, values in costs.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON, with means and spreads beside the single figures."""
        return _plain(
            {
                **asdict(self),
                "answer": asdict(self.answer),
                "fronts": self.fronts,
                "networks": [network.to_dict() for network in self.networks],
            }
        )

    def __str__(self) -> str:
        rows = table(self)
        return "\n".join(
            [
                aligned(rows, right=range(1, len(rows[0]))),
                "",
                *(answer.text for answer in self.answers),
                rule(self.answer.tolerance),
                f"Written to {self.folder}: report.html, report.json",
            ]
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value
