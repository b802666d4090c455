"""The interpreter of Larq Compute Engine, which brings TensorFlow."""

import importlib.util

import numpy as np

from keras_bnn.runtime.engine import Engine, one_line
from keras_bnn.tflite.graph import Graph, Operator

# Its kernels for LceBconv2d. The reference kernel is right for every operator but refuses true-zero
# padding of an odd number of channels and ends the process where such padding meets packed output;
# the others are wrong where it meets a map smaller than the kernel, and the default one refuses
# groups.
LCE_KERNELS = {
    "LCE (reference)": {"use_reference_bconv": True},
    "LCE (default)": {},
    "LCE (indirect)": {"use_indirect_bgemm": True},
    "LCE (default, XNNPACK)": {"use_xnnpack": True},
    "LCE (indirect, XNNPACK)": {"use_indirect_bgemm": True, "use_xnnpack": True},
}


class LceEngine(Engine):
    """Runs a file at the batch that it was written for.

    Args:
        data: The file.
        num_threads: Threads for one prediction.
        name: A key of `LCE_KERNELS`.
    """

    def __init__(self, data: bytes, num_threads: int, name: str):
        from keras_bnn import _lce

        self.name = name
        with one_line(name):
            self._interpreter = _lce.Interpreter(
                data, num_threads=num_threads, **LCE_KERNELS[name]
            ).interpreter
            self.batch = self._interpreter.input_shapes[0][0]

    def _run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return self._interpreter.predict(inputs)


def is_installed() -> bool:
    """Whether there is such an interpreter; nothing is imported for the answer."""
    return importlib.util.find_spec("larq_compute_engine") is not None


def most_exact_kernel(graph: Graph) -> str:
    """The reference kernel, or where that refuses the file the default one."""
    return "LCE (default)" if _reference_refuses(graph) else "LCE (reference)"


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
