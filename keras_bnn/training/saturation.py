"""How many latent weights have gone as far as their clip."""

from keras_bnn._keras import keras, larq, tf
from keras_bnn.errors import InputError
from keras_bnn.training.bop import Bop
from keras_bnn.training.optimizer_group import OptimizerGroup


@keras.utils.register_keras_serializable("keras_bnn")
class Saturation(keras.metrics.Mean):
    """The share of latent weights that are at their clip or beyond it, averaged over updates.

    A saturated weight has to come all the way back before its sign can change; beyond the clip of
    a straight-through estimator it gets no gradient at all.

    Args:
        clip_value: Where the weights are clipped, above 0.
        name: The metric's name.
        dtype: Of the mean; the default is Keras' own.

    Raises:
        InputError: If `clip_value` is not above 0.

    >>> saturation = Saturation()
    >>> saturation.update_state([1.0, -1.0, 0.3, -0.9])
    >>> float(saturation.result())
    0.5
    """

    def __init__(self, clip_value: float = 1.0, name="saturation", dtype=None):
        if not clip_value > 0:
            raise InputError(f"clip_value is {clip_value}, expected a number above 0.")
        super().__init__(name=name, dtype=dtype)
        self.clip_value = clip_value

    def update_state(self, values, sample_weight=None):
        """Adds latent weights, of any shape."""
        values = tf.abs(tf.convert_to_tensor(values))
        saturated = tf.cast(values >= tf.cast(self.clip_value, values.dtype), tf.float32)
        super().update_state(saturated, sample_weight=sample_weight)

    def get_config(self):
        return {**super().get_config(), "clip_value": self.clip_value}


def clip_of(kernel) -> float | None:
    """Where the latent weights of a quantized `kernel` are clipped, or lose their gradient."""
    for part in (kernel.constraint, kernel.quantizer):
        clip_value = getattr(part, "clip_value", None)
        if clip_value is not None:
            return float(clip_value)
    return None


def has_latent_weights(optimizer) -> bool:
    """Whether `optimizer` moves latent weights, rather than flipping signs as Bop does."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # Of a scaled loss.
    if isinstance(optimizer, OptimizerGroup):
        optimizer = optimizer.binary
    if isinstance(optimizer, larq.optimizers.CaseOptimizer):
        return all(map(has_latent_weights, optimizer.optimizers))
    return not isinstance(optimizer, (Bop, larq.optimizers.Bop))
