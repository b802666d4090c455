"""Constraints: what keeps latent weights where gradients still reach them, and shares in [0, 1]."""

from keras_bnn._keras import from_registered, keras, larq, tf

__all__ = ["UnitInterval", "WeightClip", "get"]


@keras.utils.register_keras_serializable("keras_bnn")
class WeightClip(larq.constraints.WeightClip):
    """Clips latent weights to [-clip_value, clip_value] after every update.

    A latent weight that has left the region in which its quantizer passes gradients would never
    come back; clipping keeps it at the edge. Also available as `"weight_clip"`.

    Args:
        clip_value: The largest magnitude, > 0, in units of the weight.

    Input shape: any.   Output shape: the same.

    Raises:
        ValueError: If `clip_value` is zero or negative.

    >>> WeightClip()(tf.constant([-1.5, 0.25, 3.0])).numpy()
    array([-1.  ,  0.25,  1.  ], dtype=float32)

    References:
        Hubara et al., Binarized Neural Networks, 2016. https://arxiv.org/abs/1602.02830
    """

    def __init__(self, clip_value: float = 1.0):
        if not clip_value > 0:
            raise ValueError(f"clip_value is {clip_value}, expected a number above 0.")
        super().__init__(clip_value)


@keras.utils.register_keras_serializable("keras_bnn")
class UnitInterval(keras.constraints.Constraint):
    """Clips weights to [0, 1] after every update: shares of two things that are mixed.

    Input shape: any.   Output shape: the same.

    >>> UnitInterval()(tf.constant([-1.5, 0.25, 3.0])).numpy()
    array([0.  , 0.25, 1.  ], dtype=float32)
    """

    def __call__(self, w):
        return tf.clip_by_value(w, 0.0, 1.0)


def get(identifier):
    """Returns the constraint that `identifier` stands for: `"weight_clip"` or what Keras knows.

    >>> get("weight_clip").clip_value
    1.0
    """
    if identifier == "weight_clip":
        return WeightClip()
    if isinstance(identifier, dict) and (constraint := from_registered(identifier)):
        return constraint
    return keras.constraints.get(identifier)
