"""The figures of a comparison as rows of text, a column a network."""

import math
import statistics
from typing import Any

from keras_bnn.compare.network import BINARY, FLOAT32, Network
from keras_bnn.compare.wording import duration


def table(comparison: Any) -> list[tuple[str, ...]]:
    """The head, then a row for each figure; `comparison` is a `Comparison`."""
    networks = comparison.networks

    def row(title: str, cell) -> tuple[str, ...]:
        return (title, *(cell(network) for network in networks))

    rows = [
        row("", lambda network: network.name),
        row("test accuracy, %", lambda network: _accuracy(network.accuracies)),
        row("file, bytes", lambda network: f"{network.bytes:,}"),
        row(
            "of that, binary kernels",
            lambda network: f"{kernel_bytes(network, _binary_of(network, networks)):,}",
        ),
        row("activations, bytes", lambda network: f"{network.activation_bytes:,}"),
    ]
    for kind in ("1-bit", "int8", "float"):
        rows.append(row(f"MACs, {kind}", lambda network, k=kind: f"{network.macs.get(k, 0):,}"))
    for index, place in enumerate(comparison.benchmarks):
        rows.append(
            row(
                f"one image, ms, {place}",
                lambda network, i=index: f"{network.latencies[i].milliseconds:.3f}",
            )
        )
    rows.append(row("training", _training))
    return rows


def kernel_bytes(network: Network, binary: Network) -> int:
    """Bytes of the kernels that are 1-bit in `binary`, in the file of it or of a twin."""
    layers = [fate for fate in binary.layers if fate.fate == "1-bit"]
    if network.precision == BINARY:
        return sum(fate.bytes for fate in layers)
    weights = sum(math.prod(fate.kernel_shape) for fate in layers)
    return weights * (4 if network.precision == FLOAT32 else 1)


def _binary_of(network: Network, networks: list[Network]) -> Network:
    """Itself, or for a twin the first binary network of its model."""
    if network.precision == BINARY:
        return network
    return next(n for n in networks if n.model == network.model and n.precision == BINARY)


def _accuracy(values: list[float]) -> str:
    mean = f"{100 * statistics.mean(values):.2f}"
    return mean if len(values) < 2 else f"{mean} ± {100 * statistics.stdev(values):.2f}"


def _training(network: Network) -> str:
    seconds = network.training_seconds
    return "not known" if seconds is None else duration(seconds)
