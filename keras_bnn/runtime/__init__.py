"""Run .tflite files, 1-bit or not, on stock LiteRT. Nothing here needs TensorFlow."""

from keras_bnn.runtime.benchmarking import benchmark
from keras_bnn.runtime.engines import ENGINES
from keras_bnn.runtime.interpreter import Interpreter
from keras_bnn.runtime.measurements import Benchmark, Measurement
from keras_bnn.runtime.timing import Timing, fastest, time_side_by_side

__all__ = [
    "ENGINES",
    "Benchmark",
    "Interpreter",
    "Measurement",
    "Timing",
    "benchmark",
    "fastest",
    "time_side_by_side",
]
