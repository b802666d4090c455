"""Train binarized neural networks in Keras and run them as 1-bit TFLite files.

Importing this package imports neither TensorFlow nor Keras: every name below is loaded when it
is first used, and what only runs models (`runtime`, `tflite`, `bits`, `reference`) never needs
TensorFlow.
"""

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_bnn import (
        bits,
        compare,
        constraints,
        data,
        export,
        layers,
        models,
        quantizers,
        reference,
        runtime,
        tflite,
        training,
    )
    from keras_bnn._summary import summary
    from keras_bnn.binary_weights import load_binary_weights, save_binary_weights
    from keras_bnn.saving import load_model

__version__ = "0.1.0"

_MODULES = (
    "bits",
    "compare",
    "constraints",
    "data",
    "export",
    "layers",
    "models",
    "quantizers",
    "reference",
    "runtime",
    "tflite",
    "training",
)
_FUNCTIONS = {
    "load_binary_weights": "binary_weights",
    "load_model": "saving",
    "save_binary_weights": "binary_weights",
    "summary": "_summary",
}

__all__ = [
    "bits",
    "compare",
    "constraints",
    "data",
    "export",
    "layers",
    "load_binary_weights",
    "load_model",
    "models",
    "quantizers",
    "reference",
    "runtime",
    "save_binary_weights",
    "summary",
    "tflite",
    "training",
]

# larq is written for Keras 2. TensorFlow decides between Keras 2 and 3 once, when it is
# imported, so the choice has to be in the environment before that.
if (
    "tensorflow" not in sys.modules
    and "TF_USE_LEGACY_KERAS" not in os.environ
    and importlib.util.find_spec("tf_keras")
):
    os.environ["TF_USE_LEGACY_KERAS"] = "1"


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"keras_bnn.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"keras_bnn.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'keras_bnn' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
