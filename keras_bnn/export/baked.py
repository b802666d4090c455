"""What tracing a model gives: its graph, and what is known of its quantized layers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_bnn.export.traced import TracedGraph
from keras_bnn.probe import BinaryKernel, is_plus_minus_one
from keras_bnn.signature import Signature


@dataclass(frozen=True)
class QuantizedLayer:
    """One quantized layer of a model.

    Attributes:
        label: Its name, numbered where several layers share it.
        kind: Its class, or TensorFlow's name of its operation.
        kernel: Its kernel; `None` if a channel of it has more than two values.
        kernel_shape: The kernel's shape.
        input_values: The values that reach its multiplication, sorted; `None` if more than four.
        quantizes_kernel: Whether its author quantized its kernel.
        obstacle: Why it cannot be 1-bit, whatever reaches it, with the remedy.
    """

    label: str
    kind: str
    kernel: BinaryKernel | None
    kernel_shape: tuple[int, ...]
    input_values: tuple[float, ...] | None
    quantizes_kernel: bool = True
    obstacle: str | None = None

    @property
    def binary_input(self) -> bool:
        """Whether all values that reach its multiplication are ±1."""
        return is_plus_minus_one(self.input_values)


@dataclass(frozen=True)
class Baked:
    """A traced model.

    Attributes:
        graph: Its graph.
        signature: Its inputs.
        output_names: The names of its outputs.
        layers: Its quantized layers, in the order of its calls.
        run: Runs the original model on flat inputs and returns its flat outputs.
        misbaked: Runs the original model on flat inputs, and names where baking changed it.
    """

    graph: TracedGraph
    signature: Signature
    output_names: tuple[str, ...]
    layers: list[QuantizedLayer]
    run: Callable[[list[np.ndarray]], list[np.ndarray]]
    misbaked: Callable[[list[np.ndarray]], list[str]]

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of its inputs."""
        return self.signature.input_names
