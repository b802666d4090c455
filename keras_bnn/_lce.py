"""The one file that imports Larq Compute Engine (LCE), and with it TensorFlow."""

import importlib.util

from keras_bnn._keras import tf  # noqa: F401  (chooses Keras 2 before LCE imports TensorFlow)

if importlib.util.find_spec("larq_compute_engine") is None:
    raise ImportError(
        "This part of keras_bnn needs larq-compute-engine, which is not installed. Run: "
        'pip install "keras-bnn[train]"'
    )

from larq_compute_engine.mlir.python.converter import convert_saved_model
from larq_compute_engine.tflite.python.interpreter import Interpreter

__all__ = ["Interpreter", "convert_saved_model"]
