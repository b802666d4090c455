"""A bound on the memory that a file may ask for, known before any of it is allocated."""

from __future__ import annotations

import math
import os

from keras_bnn.errors import InputError
from keras_bnn.runtime.chosen_sizes import chosen_elements
from keras_bnn.tflite.graph import Graph, Operator, Tensor
from keras_bnn.tflite.memory import bytes_of

VARIABLE = "KERAS_BNN_MEMORY_LIMIT"
_DEFAULT = 4096
_MOST_DIGITS = 30
# LiteRT's kernels count elements in 32 bits.
_MOST_ELEMENTS = 2**31 - 1


class MemoryLimit:
    """Holds the tensors of a file against the limit.

    Args:
        graph: The first graph of a model; tensors of the others count, too.

    Raises:
        InputError: If a tensor is larger as the file has it, or the variable holds no limit.
    """

    def __init__(self, graph: Graph):
        self._limit = limit()
        self._largest: Tensor | None = None
        for each in graph.with_others():
            for tensor in each.tensors():
                self._check(tensor, 1)
                if each is graph and _grows(tensor) and _size(tensor) > _size(self._largest):
                    self._largest = tensor

            for operator in each.operators:
                self._check_chosen(each, operator)

    def check(self, batch: int) -> None:
        """Refuses a batch for which a tensor would be larger than the limit.

        Raises:
            InputError: If so.
        """
        if self._largest:
            self._check(self._largest, batch)

    def _check(self, tensor: Tensor, batch: int) -> None:
        stored = tensor.shape[0] if batch > 1 else 1
        size, elements = (
            -(-amount * batch // stored) for amount in (bytes_of(tensor), math.prod(tensor.shape))
        )
        what = f"Tensor {tensor.index} of shape {list(tensor.shape)}"
        if batch > 1:
            self._refuse(f"{what} with a batch of {batch}", size, elements, "predict fewer samples")
        else:
            self._refuse(what, size, elements, "use a smaller network")

    def _check_chosen(self, graph: Graph, operator: Operator) -> None:
        elements = chosen_elements(graph, operator)
        if elements and operator.outputs and operator.outputs[0] >= 0:
            dtype = graph.tensor(operator.outputs[0]).dtype
            size = elements * (dtype.itemsize if dtype else 1)
            what = f"The output of operator {operator.index}, {operator.name},"
            self._refuse(what, size, elements, "use a smaller network")

    def _refuse(self, what: str, size: int, elements: int, remedy: str) -> None:
        if size > self._limit << 20:
            raise InputError(
                f"{what} needs {-(-size >> 20):,} MiB, the limit is {self._limit:,}: {remedy}, or "
                f"set {VARIABLE} to more MiB if you trust the file."
            )
        if elements > _MOST_ELEMENTS:
            raise InputError(
                f"{what} has {elements:,} elements, expected fewer than 2^31, which LiteRT can "
                f"count: {remedy}."
            )


def limit() -> int:
    """The limit in MiB: what the environment says, or 4096.

    Raises:
        InputError: If it says something else than a positive integer.
    """
    text = os.environ.get(VARIABLE, str(_DEFAULT))
    if not text.isascii() or not text.isdigit() or not text.strip("0"):
        raise InputError(f"{VARIABLE} is {text!r}, expected a positive integer, a number of MiB.")
    # Python reads no integer of thousands of digits; the first ones say that there is no limit.
    return int(text.lstrip("0")[:_MOST_DIGITS])


def _grows(tensor: Tensor) -> bool:
    """Whether a tensor has one entry a sample; LCE's converter writes 1 for an open batch."""
    return (
        not tensor.is_constant
        and bool(tensor.shape)
        and tensor.shape[0] > 0
        and (tensor.shape[0] == 1 or tensor.shape_signature[0] == -1)
    )


def _size(tensor: Tensor | None) -> int:
    return 0 if tensor is None else bytes_of(tensor) // tensor.shape[0]
