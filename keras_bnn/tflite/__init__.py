"""Read .tflite files: what is in them, which layers are 1-bit, and where the bytes go.

Nothing here needs TensorFlow.
"""

from keras_bnn.tflite.description import Description, describe
from keras_bnn.tflite.drawing import draw
from keras_bnn.tflite.file import TFLiteFileError, read, write
from keras_bnn.tflite.graph import Graph
from keras_bnn.tflite.metadata import Metadata, Normalization

__all__ = [
    "Description",
    "Graph",
    "Metadata",
    "Normalization",
    "TFLiteFileError",
    "describe",
    "draw",
    "read",
    "write",
]
