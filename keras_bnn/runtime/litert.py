"""Stock LiteRT: XNNPACK for float operators, our delegate for the 1-bit ones."""

from pathlib import Path

import numpy as np

from keras_bnn.runtime import native
from keras_bnn.runtime.engine import Engine, one_line


class LiteRTEngine(Engine):
    """Runs a batch of any size at once, if the file takes that.

    Args:
        data: The file.
        num_threads: Threads for one prediction.
        library: The delegate's; `None` for files without 1-bit operators.
    """

    def __init__(self, data: bytes, num_threads: int, library: Path | None = None):
        from ai_edge_litert.interpreter import Interpreter, load_delegate

        self.name = "LiteRT"
        delegates = []
        if library:
            self.name = f"LiteRT + keras-bnn ({native.instruction_set()})"
            delegates = [load_delegate(str(library))]
        with one_line(self.name):
            self._interpreter = Interpreter(
                model_content=data, num_threads=num_threads, experimental_delegates=delegates
            )
            self._inputs = self._interpreter.get_input_details()
            self._outputs = self._interpreter.get_output_details()
        self._shapes: list[tuple[int, ...]] = []
        # -1 where the file leaves the batch open; one input that fixes it decides.
        self.batch = max(0, *(int(detail["shape_signature"][0]) for detail in self._inputs))

    def _run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        interpreter = self._interpreter
        shapes = [array.shape for array in inputs]
        if shapes != self._shapes:
            # Before the first allocation, too: open heights and widths are stored as 1 and would
            # not fit. Until all of it is done, there are neither the old shapes nor the new ones.
            self._shapes = []
            for detail, shape in zip(self._inputs, shapes, strict=True):
                interpreter.resize_tensor_input(detail["index"], shape)
            interpreter.allocate_tensors()
            self._shapes = shapes
        for detail, array in zip(self._inputs, inputs, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(detail["index"]) for detail in self._outputs]
