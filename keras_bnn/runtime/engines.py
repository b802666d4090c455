"""What runs a file: one class an engine, each from arrays to arrays, positional."""

import abc
import contextlib
import textwrap
from collections.abc import Iterator

import numpy as np

from keras_bnn.errors import InputError
from keras_bnn.tflite.graph import Graph, Operator

# Larq Compute Engine's kernels for LceBconv2d. The reference kernel is right for every operator
# but refuses true-zero padding of an odd number of channels and ends the process where such padding
# meets packed output; the others are wrong where it meets a map smaller than the kernel, and the
# default one refuses groups.
LCE_KERNELS = {
    "reference": {"use_reference_bconv": True},
    "default": {},
    "indirect": {"use_indirect_bgemm": True},
    "default with XNNPACK": {"use_xnnpack": True},
    "indirect with XNNPACK": {"use_indirect_bgemm": True, "use_xnnpack": True},
}


class Engine(abc.ABC):
    """Runs a file, so many samples at a time as it was made for.

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
        with _one_line(self.name):
            parts = [
                self._run([array[i : i + size] for array in inputs]) for i in range(0, count, size)
            ]
            if len(parts) == 1:
                return parts[0]
            return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    @abc.abstractmethod
    def _run(self, inputs: list[np.ndarray]) -> list[np.ndarray]: ...


class LceEngine(Engine):
    """The interpreter of Larq Compute Engine. It keeps the batch of the file."""

    def __init__(self, data: bytes, num_threads: int, kernel: str):
        from keras_bnn import _lce

        self.name = f"LCE ({kernel})"
        with _one_line(self.name):
            self._interpreter = _lce.Interpreter(
                data, num_threads=num_threads, **LCE_KERNELS[kernel]
            ).interpreter
            self.batch = self._interpreter.input_shapes[0][0]

    def _run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return self._interpreter.predict(inputs)


class LiteRTEngine(Engine):
    """Stock LiteRT with XNNPACK. It runs a batch of any size at once, if the file takes that."""

    def __init__(self, data: bytes, num_threads: int):
        from ai_edge_litert.interpreter import Interpreter

        self.name = "LiteRT"
        with _one_line(self.name):
            self._interpreter = Interpreter(model_content=data, num_threads=num_threads)
            self._inputs = self._interpreter.get_input_details()
            self._outputs = self._interpreter.get_output_details()
        self._shapes: list[tuple[int, ...]] = []
        # -1 where the file leaves the batch open; one input that fixes it decides.
        self.batch = max(0, *(int(detail["shape_signature"][0]) for detail in self._inputs))

    def _run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        interpreter = self._interpreter
        shapes = [array.shape for array in inputs]
        if shapes != self._shapes:
            # Until all of it is done, the interpreter has neither the old shapes nor the new ones.
            self._shapes = []
            for detail, shape in zip(self._inputs, shapes, strict=True):
                interpreter.resize_tensor_input(detail["index"], shape)
            interpreter.allocate_tensors()
            self._shapes = shapes
        for detail, array in zip(self._inputs, inputs, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in self._outputs]


@contextlib.contextmanager
def _one_line(engine: str) -> Iterator[None]:
    """Makes what an engine raises for a file that it cannot run an `InputError`."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        reason = textwrap.shorten(str(error), 300, placeholder=" …").rstrip(".")
        raise InputError(
            f"{engine} cannot run this file: {reason}. It may be damaged, or have operators that "
            f"{engine} lacks: export it again."
        ) from error


def engine_for(
    graph: Graph, data: bytes, num_threads: int = 1, lce_kernel: str | None = None
) -> Engine:
    """The engine that runs a file.

    Args:
        graph: The file's graph.
        data: The file.
        num_threads: Threads for one prediction.
        lce_kernel: A key of `LCE_KERNELS`. `None`: the reference kernel, or where that refuses
            the file the default one.

    Raises:
        InputError: If the file's inputs have no batch in common, or the engine refuses the file.
    """
    _check_batch(graph)
    if not any(operator.name.startswith("Lce") for operator in graph.operators):
        return LiteRTEngine(data, num_threads)
    if lce_kernel is None:
        lce_kernel = "default" if _reference_refuses(graph) else "reference"
    return LceEngine(data, num_threads, lce_kernel)


def _check_batch(graph: Graph) -> None:
    signatures = [graph.tensor(port.tensor).shape_signature for port in graph.inputs]
    expected = "expected inputs whose first axes are one batch"
    if not signatures or () in signatures:
        got = "an input that is a single number" if signatures else "no inputs"
        raise InputError(f"The file has {got}, {expected}.")
    batches = {signature[0] for signature in signatures if signature[0] > 0}
    if len(batches) > 1:
        raise InputError(f"The file has inputs of {sorted(batches)} samples each, {expected}.")


def _reference_refuses(graph: Graph) -> bool:
    """Whether true zeros surround an odd number of channels somewhere, or make packed output.

    Of the latter the reference kernel does not say so, but reads what is not there; the default
    one refuses it.
    """
    return any(
        operator.name == "LceBconv2d"
        # What an operator lacks, LCE reads as 0.
        and operator.options.get("padding", 0) == 0
        and operator.options.get("pad_values", 0) == 0
        and (operator.options.get("channels_in", 0) % 2 or _is_packed(graph, operator))
        for operator in graph.operators
    )


def _is_packed(graph: Graph, operator: Operator) -> bool:
    return any(graph.tensor(output).type == "int32" for output in operator.outputs)
