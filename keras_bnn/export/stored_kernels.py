"""Finds in a .tflite file the kernels of a model's layers, by their bits.

Names in the file are cut, joined and shifted to neighbours; the signs of a kernel are not. LCE
flips the channels of a kernel whose batch normalization has a negative factor, and moves factors
into float kernels, so channels are compared up to a sign, and magnitudes not at all. A dense kernel
can have got a height and a width, so only the order of the weights counts.
"""

from dataclasses import dataclass

import numpy as np

from keras_bnn import bits
from keras_bnn.tflite.graph import Graph, Operator

_FLOAT_OPERATORS = ("CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class StoredKernel:
    """The weights of one operator of the file.

    Attributes:
        operator: The operator that multiplies with them.
        words: Packed signs, int32 of shape (outputs, words), in the order height, width, inputs.
        inputs: Weights of one output.
        zero_channels: Outputs whose weights are all 0, so that they have no signs.
        bytes: Bytes of the weights in the file.
    """

    operator: Operator
    words: np.ndarray
    inputs: int
    zero_channels: np.ndarray
    bytes: int

    @property
    def is_1bit(self) -> bool:
        return self.operator.name == "LceBconv2d"

    def holds(self, signs: np.ndarray) -> bool:
        """Whether these are the weights `signs`, ±1 of shape (..., inputs, outputs)."""
        rows = signs.reshape(-1, signs.shape[-1]).T
        if rows.shape != (len(self.words), self.inputs):
            return False
        equal = (bits.pack(rows) == self.words).all(1) | (bits.pack(-rows) == self.words).all(1)
        return bool((equal | self.zero_channels).all())


def stored_kernels(graph: Graph) -> list[StoredKernel]:
    """The weights of all operators whose weights could be those of a quantized layer."""
    found = []
    for operator in graph.operators:
        if operator.name == "LceBconv2d":
            words = graph.constant(operator.inputs[1])
            if words is not None:
                values = bits.unpack(words, _channels(operator, words), np.int8)
                found.append(_stored(operator, values, words.nbytes))
        elif operator.name in _FLOAT_OPERATORS:
            values = graph.constant(operator.inputs[1])
            if values is not None and values.dtype == np.float32:
                found.append(_stored(operator, values, values.nbytes))
    return found


def _channels(operator: Operator, words: np.ndarray) -> int:
    """Input channels of a group."""
    channels = operator.options["channels_in"]
    groups = bits.words_for(channels) // words.shape[-1]
    return channels // groups


def _stored(operator: Operator, values: np.ndarray, size: int) -> StoredKernel:
    rows = values.reshape(len(values), -1)
    return StoredKernel(operator, bits.pack(rows), rows.shape[1], ~rows.any(1), size)
