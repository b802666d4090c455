from keras_bnn._keras import keras, larq


@keras.utils.register_keras_serializable("keras_bnn")
class ApproxSign(larq.quantizers.ApproxSign):
    r"""Binarizes to ±1; its gradient is that of a piecewise quadratic close to the sign.

    Forward, and the gradient used in its place:

        q(x)  = +1 if x >= 0 else -1
        dq/dx =  2 - 2|x| if |x| <= 1 else 0

    Input shape: any.   Output shape: the same; values exactly -1.0 or +1.0.

    >>> ApproxSign()(np.array([-0.2, 0.0, 3.0])).numpy()
    array([-1.,  1.,  1.])

    References:
        Liu et al., Bi-Real Net, section 3.2, 2018. https://arxiv.org/abs/1808.00278
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
