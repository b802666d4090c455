"""What runs a file: one class an engine, each from arrays to arrays, positional."""

import numpy as np

from keras_bnn.tflite.graph import Graph

# Larq Compute Engine's kernels for LceBconv2d. The reference kernel is right for every operator
# but refuses true-zero padding of an odd number of channels; the others are wrong where such
# padding meets a map smaller than the kernel, and the default one refuses groups.
LCE_KERNELS = {
    "reference": {"use_reference_bconv": True},
    "default": {},
    "indirect": {"use_indirect_bgemm": True},
    "default with XNNPACK": {"use_xnnpack": True},
    "indirect with XNNPACK": {"use_indirect_bgemm": True, "use_xnnpack": True},
}


class LceEngine:
    """The interpreter of Larq Compute Engine. It keeps the batch of the file."""

    def __init__(self, data: bytes, num_threads: int, kernel: str):
        from keras_bnn import _lce

        self.name = f"LCE ({kernel})"
        self._interpreter = _lce.Interpreter(
            data, num_threads=num_threads, **LCE_KERNELS[kernel]
        ).interpreter
        self._batch = self._interpreter.input_shapes[0][0]

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        count = len(inputs[0])
        parts = [
            self._interpreter.predict([array[i : i + self._batch] for array in inputs])
            for i in range(0, count, self._batch)
        ]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


class LiteRTEngine:
    """Stock LiteRT with XNNPACK. It runs a batch of any size at once."""

    def __init__(self, data: bytes, num_threads: int):
        from ai_edge_litert.interpreter import Interpreter

        self.name = "LiteRT"
        self._interpreter = Interpreter(model_content=data, num_threads=num_threads)
        self._shapes: list[tuple[int, ...]] = []

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        interpreter = self._interpreter
        details = interpreter.get_input_details()
        shapes = [array.shape for array in inputs]
        if shapes != self._shapes:
            for detail, shape in zip(details, shapes, strict=True):
                interpreter.resize_tensor_input(detail["index"], shape)
            interpreter.allocate_tensors()
            self._shapes = shapes
        for detail, array in zip(details, inputs, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        return [
            interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()
        ]


def engine_for(graph: Graph, data: bytes, num_threads: int = 1, lce_kernel: str | None = None):
    """The engine that runs a file.

    Args:
        graph: The file's graph.
        data: The file.
        num_threads: Threads for one prediction.
        lce_kernel: A key of `LCE_KERNELS`. `None`: the reference kernel, or where that refuses
            the file the default one.
    """
    if not any(operator.name.startswith("Lce") for operator in graph.operators):
        return LiteRTEngine(data, num_threads)
    if lce_kernel is None:
        lce_kernel = "default" if _reference_refuses(graph) else "reference"
    return LceEngine(data, num_threads, lce_kernel)


def _reference_refuses(graph: Graph) -> bool:
    """Whether true zeros surround an odd number of channels somewhere."""
    return any(
        operator.name == "LceBconv2d"
        and operator.options["padding"] == 0
        and operator.options["pad_values"] == 0
        and operator.options["channels_in"] % 2
        for operator in graph.operators
    )
