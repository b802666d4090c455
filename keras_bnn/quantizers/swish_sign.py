from keras_bnn._keras import keras, larq


@keras.utils.register_keras_serializable("keras_bnn")
class SwishSign(larq.quantizers.SwishSign):
    r"""Binarizes to ±1; its gradient is that of the SignSwish, which dips below 0 outside.

    Forward, and the gradient used in its place:

        q(x)  = +1 if x >= 0 else -1
        dq/dx = beta (2 - beta x tanh(beta x / 2)) / (1 + cosh(beta x))

    Args:
        beta: Steepness, > 0: larger values come closer to the sign.

    Input shape: any.   Output shape: the same; values exactly -1.0 or +1.0.

    Raises:
        ValueError: If `beta` is zero or negative.

    >>> SwishSign()(np.array([-0.2, 0.0, 3.0])).numpy()
    array([-1.,  1.,  1.])

    References:
        Darabi et al., BNN+: Improved Binary Network Training, 2018.
        https://arxiv.org/abs/1812.11800
    """

    def __init__(self, beta: float = 5.0, **kwargs):
        if not beta > 0:
            raise ValueError(f"beta is {beta}, expected a number above 0.")
        super().__init__(beta=beta, autocast=False, **kwargs)
