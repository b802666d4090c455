"""Read .tflite files: what is in them, which layers are 1-bit, and where the bytes go.

Nothing here needs TensorFlow.
"""

from keras_bnn.tflite.description import Description, describe
from keras_bnn.tflite.file import TFLiteFileError, read, write
from keras_bnn.tflite.graph import Graph

__all__ = ["Description", "Graph", "TFLiteFileError", "describe", "read", "write"]
