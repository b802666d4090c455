"""What every engine has in common."""

import abc
import contextlib
import textwrap
from collections.abc import Iterator

import numpy as np

from keras_bnn.errors import InputError
from keras_bnn.tflite._names import printable


class Engine(abc.ABC):
    """Runs a file, so many samples at a time as it was made for, from arrays to arrays.

    Attributes:
        name: What people call it.
        batch: How many samples the file takes at once; 0 for any number.
    """

    name: str
    batch: int = 0

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Returns the outputs, one after another where the file's batch is less than the inputs'.

        Raises:
            InputError: If the engine refuses the file.
        """
        count = len(inputs[0])
        size = self.batch or count
        with one_line(self.name):
            parts = [
                self._run([array[i : i + size] for array in inputs]) for i in range(0, count, size)
            ]
            if len(parts) == 1:
                return parts[0]
            return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    @abc.abstractmethod
    def _run(self, inputs: list[np.ndarray]) -> list[np.ndarray]: ...


@contextlib.contextmanager
def one_line(engine: str) -> Iterator[None]:
    """Makes what an engine raises for a file that it cannot run an `InputError`."""
    try:
        yield
    # What pybind11 makes of the exceptions of C++.
    except (IndexError, MemoryError, OverflowError, RuntimeError, ValueError) as error:
        # Names in the file may hold anything, line breaks and control characters too.
        text = printable(" ".join(str(error).split()))
        reason = textwrap.shorten(text, 300, placeholder=" …").rstrip(".")
        raise InputError(
            f"{engine} cannot run this file: {reason}. It may be damaged, or have operators that "
            f"{engine} lacks: export it again."
        ) from error
