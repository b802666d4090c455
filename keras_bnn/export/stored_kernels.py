"""Finds in a .tflite file the kernels of a model's layers, by their bits.

Names in the file are cut, joined and shifted to neighbours; the signs of a kernel are not. LCE
flips the channels of a kernel whose batch normalization has a negative factor, and moves factors
into float kernels, so channels are compared up to a sign, and magnitudes not at all.
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
        words: Packed signs, int32 of shape (outputs, height, width, words).
        zero_channels: Outputs whose weights are all 0, so that they have no signs.
        bytes: Bytes of the weights in the file.
    """

    operator: Operator
    words: np.ndarray
    zero_channels: np.ndarray
    bytes: int

    @property
    def is_1bit(self) -> bool:
        return self.operator.name == "LceBconv2d"

    def holds(self, signs: np.ndarray) -> bool:
        """Whether these are the weights `signs`, ±1 of shape (height, width, inputs, outputs)."""
        ohwi = np.transpose(signs, (3, 0, 1, 2))
        words, negated = bits.pack(ohwi), bits.pack(-ohwi)
        if words.shape != self.words.shape:
            return False
        axes = (1, 2, 3)
        equal = (words == self.words).all(axes) | (negated == self.words).all(axes)
        return bool((equal | self.zero_channels).all())


def stored_kernels(graph: Graph) -> list[StoredKernel]:
    """The weights of all operators whose weights could be those of a quantized layer."""
    found = []
    for operator in graph.operators:
        if operator.name == "LceBconv2d":
            words = graph.constant(operator.inputs[1])
            if words is not None:
                none = np.zeros(len(words), bool)
                found.append(StoredKernel(operator, words, none, words.nbytes))
        elif operator.name in _FLOAT_OPERATORS:
            values = graph.constant(operator.inputs[1])
            if values is not None and values.dtype == np.float32:
                if values.ndim == 2:
                    values = values[:, np.newaxis, np.newaxis]
                zero = ~values.any((1, 2, 3))
                found.append(StoredKernel(operator, bits.pack(values), zero, values.nbytes))
    return found
