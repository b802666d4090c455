from keras_bnn._keras import keras, larq


@keras.utils.register_keras_serializable("keras_bnn")
class SteSign(larq.quantizers.SteSign):
    r"""Binarizes to ±1 and passes the gradient straight through near zero.

    Use it for weights and activations alike; it is the default of every layer here.

    Forward, and the gradient used in its place:

        q(x)  = +1 if x >= 0 else -1
        dq/dx =  1 if |x| <= clip_value else 0

    Args:
        clip_value: Half-width of the region that lets the gradient pass, > 0, in units of x.
            `None` never blocks it.

    Input shape: any.   Output shape: the same; values exactly -1.0 or +1.0.

    Raises:
        ValueError: If `clip_value` is zero or negative.

    >>> SteSign()(np.array([-0.2, 0.0, 3.0])).numpy()
    array([-1.,  1.,  1.])

    References:
        Hubara et al., Binarized Neural Networks, 2016. https://arxiv.org/abs/1602.02830
    """

    def __init__(self, clip_value: float | None = 1.0, **kwargs):
        super().__init__(clip_value=check_clip_value(clip_value), autocast=False, **kwargs)


def check_clip_value(clip_value: float | None) -> float | None:
    """Returns `clip_value`, or raises a `ValueError` where it would stop every gradient."""
    if clip_value is not None and not clip_value > 0:
        raise ValueError(
            f"clip_value is {clip_value}, expected a number above 0, or None to let every "
            "gradient pass."
        )
    return clip_value
