"""What an operator must have: inputs of some ranks, and options with some values."""

from __future__ import annotations

from typing import Any

from keras_bnn.tflite._names import printable
from keras_bnn.tflite._verify import TFLiteFileError
from keras_bnn.tflite.graph import Graph, Operator, Tensor


def tensors(
    graph: Graph, operator: Operator, source: int, weights: int, ranks: tuple[int | None, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the input, the weights and the output of an operator, which must have these ranks."""
    inputs = dict(enumerate(operator.inputs))
    indices = [inputs.get(source, -1), inputs.get(weights, -1), next(iter(operator.outputs), -1)]
    expect(operator, min(indices) >= 0, "lacks an input or an output")
    found = [graph.tensor(index) for index in indices]
    for tensor, rank in zip(found, ranks, strict=True):
        expect(
            operator,
            rank is None or len(tensor.shape) == rank,
            f"has a tensor of shape {list(tensor.shape)}, expected {rank} dimensions",
        )
    return found[0], found[1], found[2]


def per_side(operator: Operator, name: str) -> tuple[int, ...] | None:
    """Returns the options `name` of depth, height and width, of which an operator has some."""
    values = (getattr(operator.options, name.format(side), None) for side in "DHW")
    return tuple(int(value) for value in values if value is not None) or None


def option(operator: Operator, name: str) -> Any:
    """Returns an option that the operator must have."""
    options = operator.options
    value = options.get(name) if isinstance(options, dict) else getattr(options, name, None)
    expect(operator, value is not None, f"lacks the option {name}")
    return value


def choice(operator: Operator, name: str, choices: tuple) -> Any:
    """Returns what a number among the options stands for."""
    value = option(operator, name)
    expect(
        operator,
        0 <= value < len(choices),
        f"has the option {name} = {value}, expected one of 0 to {len(choices) - 1}",
    )
    return choices[value]


def expect(operator: Operator, holds: bool, message: str) -> None:
    """Refuses a file whose operator is not as it must be."""
    if not holds:
        raise TFLiteFileError(
            f"operator {operator.index} ({printable(operator.name)}) {message}: export the file "
            "again"
        )
