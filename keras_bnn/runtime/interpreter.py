import os
import threading

import numpy as np

from keras_bnn.errors import InputError
from keras_bnn.inputs import in_order, wrong_shape
from keras_bnn.runtime.engines import engine_for
from keras_bnn.runtime.memory_limit import MemoryLimit
from keras_bnn.tflite.file import read
from keras_bnn.tflite.graph import Graph, Tensor

# Of the library; LiteRT would try to start any number.
MOST_THREADS = 1024


class Interpreter:
    """Runs a .tflite file.

    Args:
        path_or_bytes: The file, or its contents.
        num_threads: Threads that one prediction may use, 1 to 1024.
        engine: What runs it, one of `keras_bnn.runtime.ENGINES`. By default LiteRT, where our own
            library runs the 1-bit operators; if that is missing, LCE's interpreter runs them,
            with a warning.

    Attributes:
        input_names, output_names: In the order of the file.
        engine: Name of what runs the file.

    Raises:
        TFLiteFileError: If there is no such file, or it is no .tflite file.
        InputError: If `num_threads` or `engine` is out of range, the file's inputs have no batch
            in common, a tensor exceeds `KERAS_BNN_MEMORY_LIMIT` (MiB, 4096 by default), or the
            engine refuses the file.

    Several Python threads may call one object: they take turns. To predict at the same time, give
    each thread an interpreter of its own.

    >>> interpreter = Interpreter("model.tflite")  # doctest: +SKIP
    >>> interpreter.predict(images).shape  # doctest: +SKIP
    (16, 10)
    """

    def __init__(
        self,
        path_or_bytes: str | os.PathLike | bytes,
        num_threads: int = 1,
        engine: str | None = None,
    ):
        if not isinstance(num_threads, int) or not 1 <= num_threads <= MOST_THREADS:
            raise InputError(
                f"num_threads is {num_threads!r}, expected an integer from 1 to {MOST_THREADS}."
            )
        model = read(path_or_bytes)
        graph = Graph(model)
        self.input_names = tuple(port.name for port in graph.inputs)
        self.output_names = tuple(port.name for port in graph.outputs)
        self._memory = MemoryLimit(graph)
        self._engine = engine_for(model, num_threads, engine)
        self._inputs = [(port.name, graph.tensor(port.tensor)) for port in graph.inputs]
        self._turn = threading.Lock()
        self.engine = self._engine.name

    def predict(self, inputs) -> np.ndarray | dict[str, np.ndarray]:
        """Runs a batch.

        Args:
            inputs: An array whose first axis is the batch; for several inputs a list in the order
                of the file, or a dict by name.

        Returns:
            The output; for several outputs a dict by name.

        Raises:
            InputError: If number, names, shapes, types or values do not fit the file, a tensor of
                this batch exceeds the limit of memory, or the engine refuses the file.
        """
        arrays = self._checked(inputs)
        self._memory.check(1 if self._engine.batch else len(arrays[0]))
        with self._turn:
            outputs = self._engine.run(arrays)
        if len(outputs) == 1:
            return outputs[0]
        return dict(zip(self.output_names, outputs, strict=True))

    def _checked(self, inputs) -> list[np.ndarray]:
        arrays = [
            _as_array(name, tensor, value)
            for (name, tensor), value in zip(
                self._inputs, in_order(inputs, self.input_names), strict=True
            )
        ]
        batches = {len(array) for array in arrays}
        if len(batches) > 1:
            raise InputError(f"The inputs have batches of {sorted(batches)}, expected the same.")
        return arrays


def _as_array(name: str, tensor: Tensor, value) -> np.ndarray:
    array = np.asarray(value)
    expected = (None, *(size if size > 0 else None for size in tensor.shape_signature[1:]))
    fits = array.ndim == len(expected) and all(
        wanted in (None, size) for wanted, size in zip(expected, array.shape, strict=True)
    )
    if not fits or not array.shape[0]:
        raise wrong_shape(name, array.shape, expected)
    fixed = tensor.shape_signature[0]
    if fixed > 1 and len(array) % fixed:
        raise InputError(
            f"Input {name!r} has a batch of {len(array)}, expected a multiple of {fixed}, the "
            "batch that is fixed in the file."
        )
    dtype = tensor.dtype
    if dtype is None or array.dtype.kind not in "fiub" or array.dtype.kind == "f" != dtype.kind:
        raise InputError(f"Input {name!r} is {array.dtype}, expected {tensor.type}.")
    _check_range(name, array, dtype)
    return np.ascontiguousarray(array, dtype)


def _check_range(name: str, array: np.ndarray, dtype: np.dtype) -> None:
    """NumPy would wrap integers that do not fit, without a word."""
    if dtype.kind not in "iub" or not array.size:
        return
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if array.min() < low or array.max() > high:
        raise InputError(
            f"Input {name!r} has values from {array.min()} to {array.max()}, expected {low} to "
            f"{high}, as {dtype} holds them."
        )
