"""What users pass as the inputs of a model or a file, put into its order."""

from collections.abc import Sequence
from typing import Any

from keras_bnn.errors import InputError


def in_order(inputs: Any, names: Sequence[str]) -> list:
    """Flattens an array, a list in order, or a dict by name.

    Raises:
        InputError: If the names or their number do not fit.

    >>> in_order({"b": 2, "a": 1}, ["a", "b"])
    [1, 2]
    """
    if isinstance(inputs, dict):
        if set(inputs) != set(names):
            raise InputError(
                f"The inputs are named {sorted(map(str, inputs))}, expected {sorted(names)}."
            )
        return [inputs[name] for name in names]
    inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if len(inputs) != len(names):
        raise InputError(f"Got {len(inputs)} inputs, expected {len(names)}: {list(names)}.")
    return inputs
