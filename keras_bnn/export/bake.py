"""Stage 1: a model becomes a traced graph in which the kernels of quantized layers are known."""

import os

from keras_bnn.export.baked import Baked
from keras_bnn.export.keras_model import bake_keras_model
from keras_bnn.export.saved_model import bake_saved_model


def bake(model) -> Baked:
    """Traces `model`, a Keras model or the folder of a SavedModel; a baked one stays so.

    Raises:
        InputError: If it is neither, or cannot be exported.
    """
    if isinstance(model, Baked):
        return model
    if isinstance(model, (str, os.PathLike)):
        return bake_saved_model(model)
    return bake_keras_model(model)
