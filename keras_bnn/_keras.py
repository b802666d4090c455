"""The one place that picks Keras 2 (`tf_keras`), or explains why it cannot.

larq is written for Keras 2, and TensorFlow chooses its Keras when it is imported. Everything that
needs TensorFlow, Keras or larq imports `tf`, `keras` or `larq` from here.
"""

import contextlib
import importlib.util
import inspect
import os
from collections.abc import Iterator
from typing import Any

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
    _flag = os.environ.get("TF_USE_LEGACY_KERAS")
    if _flag in (None, "1", "true", "True"):
        _remedy = (
            "Move `import keras_bnn` above the first import of tensorflow (keras, tf_keras and "
            "larq import it too), or set TF_USE_LEGACY_KERAS=1 before Python starts."
        )
    else:
        _remedy = f"TF_USE_LEGACY_KERAS is {_flag!r}: set it to 1, or not at all."
    raise ImportError(
        f"TensorFlow was imported with Keras 3, but keras_bnn and larq need Keras 2. {_remedy}"
    )

import tf_keras as keras  # noqa: E402

_minor = ".".join(tf.__version__.split(".")[:2])
if ".".join(keras.__version__.split(".")[:2]) != _minor:
    raise ImportError(
        f"tf_keras {keras.__version__} does not fit TensorFlow {tf.__version__}: their first two "
        f"numbers must be equal. Run: pip install tf-keras=={_minor}.*"
    )

import larq  # noqa: E402  (only now: without Keras 2 its own import fails, with an error of larq's)

__all__ = ["from_registered", "keras", "larq", "tf"]


@contextlib.contextmanager
def _quantized_scope(quantize: bool) -> Iterator[bool]:
    """Larq's own, but closed by an exception too.

    larq 0.14 leaves it open when a layer's call fails. From then on every kernel of that thread
    reads as ±1, and those signs are what is trained and saved.
    """
    scope = larq.context._quantized_scope
    backup = larq.context.should_quantize()
    scope.should_quantize = quantize
    try:
        yield quantize
    finally:
        scope.should_quantize = backup


# larq's layers look it up there at every call.
larq.context.quantized_scope = _quantized_scope


_keras_wrapper_from_config = keras.layers.Wrapper.from_config.__func__


def _wrapper_from_config(cls, config: dict, custom_objects: dict | None = None):
    """Keras' own, but the layer inside a wrapper such as TimeDistributed is of the right package.

    tf_keras 2.21 looks it up without its package, unlike every other layer, so that it finds none,
    or one that another package has registered under its bare name.
    """
    entry = config["layer"]
    name = entry.get("registered_name")
    if keras.utils.get_registered_object(name, custom_objects) is not None:
        config = {**config, "layer": {**entry, "class_name": name}}
    return _keras_wrapper_from_config(cls, config, custom_objects)


keras.layers.Wrapper.from_config = classmethod(_wrapper_from_config)


def from_registered(configuration: dict) -> Any:
    """Makes the object of a saved `configuration` if its class or function is registered, or None.

    For `.h5` files Keras looks classes up without their packages, so that one of larq's comes back
    for one of ours (or of the user's) that has the same name, and it finds no functions at all.
    """
    name = configuration.get("registered_name")
    if name == "function":
        return keras.utils.get_registered_object(configuration["config"])
    cls = keras.utils.get_registered_object(name)
    return cls.from_config(configuration["config"]) if inspect.isclass(cls) else None
