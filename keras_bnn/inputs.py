"""What users pass as the inputs of a model or a file, put into its order."""

from collections.abc import Sequence
from typing import Any

from keras_bnn.errors import InputError


def in_order(inputs: Any, names: Sequence[str]) -> list:
    """Flattens an array, a list in order, or a dict by name.

    Where there is one input only, its name does not matter.

    Raises:
        InputError: If the names or their number do not fit.

    >>> in_order({"b": 2, "a": 1}, ["a", "b"])
    [1, 2]
    """
    if isinstance(inputs, dict) and len(inputs) == len(names) == 1:
        return list(inputs.values())
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


def wrong_shape(name: str, shape: Sequence[int], expected: Sequence[int | None]) -> InputError:
    """The error for an input whose shape is not the expected one, `None` where it is open.

    >>> str(wrong_shape("x", (8,), (None, 8)))
    "Input 'x' has shape (8,), expected (any, 8): add a batch axis, as in array[None]."
    """
    sizes = ", ".join("any" if size is None else str(size) for size in expected)
    has_no_batch = len(shape) == len(expected) - 1 and all(
        size in (None, got) for size, got in zip(expected[1:], shape, strict=True)
    )
    remedy = ": add a batch axis, as in array[None]" if has_no_batch else ""
    closing = ",)" if len(expected) == 1 else ")"
    return InputError(
        f"Input {name!r} has shape {tuple(shape)}, expected ({sizes}{closing}{remedy}."
    )
