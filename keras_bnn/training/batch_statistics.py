"""Means and variances of batch norms, computed instead of learnt along the way."""

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.probe import replaced_calls
from keras_bnn.signature import signature_of

_BATCH = 256


def recompute_batch_statistics(model, norms: Sequence, arrays: Sequence[np.ndarray]) -> None:
    """Sets the moving means and variances of `norms` to what they are on `arrays`.

    They are averages over batches of up to 256 samples. All other layers work as in inference.

    Args:
        model: A built model. It is changed.
        norms: Batch normalizations in it.
        arrays: One a model input, as its signature orders them.
    """
    signature = signature_of(model)
    batches = 1 if signature.specs[0].shape[0] else math.ceil(len(arrays[0]) / _BATCH)
    parts = zip(*(np.array_split(array, batches) for array in arrays), strict=True)
    with _as_in_training(norms):
        for number, part in enumerate(parts):
            for norm in norms:
                norm.momentum = number / (number + 1)
            model(signature.pack([tf.constant(array) for array in part]), training=False)


@contextlib.contextmanager
def _as_in_training(norms: Sequence) -> Iterator[None]:
    momenta = [norm.momentum for norm in norms]
    try:
        with replaced_calls({norm: _in_training(norm.call) for norm in norms}):
            yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _in_training(call):
    return lambda inputs, training=None, **options: call(inputs, training=True, **options)
