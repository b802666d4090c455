"""The one place that picks Keras 2 (`tf_keras`), or explains why it cannot.

larq is written for Keras 2, and TensorFlow chooses its Keras when it is imported. Everything that
needs TensorFlow or Keras imports `tf` and `keras` from here.
"""

import importlib.util

_INSTALL = 'pip install "keras-bnn[train]"'

for _package, _name in (
    ("tensorflow", "TensorFlow"),
    ("tf_keras", "tf_keras (Keras 2)"),
    ("larq", "larq"),
):
    if importlib.util.find_spec(_package) is None:
        raise ImportError(
            f"This part of keras_bnn needs {_name}, which is not installed. Run: {_INSTALL}"
        )

import tensorflow as tf  # noqa: E402

# Asking `tf.keras` for its version would itself make the choice; this flag only reports it.
if not tf._tf_uses_legacy_keras:
    raise ImportError(
        "TensorFlow was imported with Keras 3, but keras_bnn and larq need Keras 2. Put "
        "`import keras_bnn` above the first `import tensorflow`, or set TF_USE_LEGACY_KERAS=1 "
        "in the environment before Python starts."
    )

import tf_keras as keras  # noqa: E402

if keras.__version__.split(".")[:2] != tf.__version__.split(".")[:2]:
    raise ImportError(
        f"tf_keras {keras.__version__} does not fit TensorFlow {tf.__version__}: their first two "
        f"numbers must be equal. Run: pip install tf-keras=={'.'.join(tf.__version__.split('.')[:2])}.*"
    )

__all__ = ["keras", "tf"]
