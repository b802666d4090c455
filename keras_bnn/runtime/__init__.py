"""Run .tflite files, 1-bit or not.

Files without 1-bit operators run on LiteRT and need no TensorFlow. Files with them run on the
interpreter of Larq Compute Engine, which brings TensorFlow (`pip install "keras-bnn[train]"`).
"""

from keras_bnn.runtime.interpreter import Interpreter
from keras_bnn.runtime.timing import Timing, fastest, time_side_by_side

__all__ = ["Interpreter", "Timing", "fastest", "time_side_by_side"]
