from keras_bnn._keras import keras, larq
from keras_bnn.quantizers.ste_sign import check_clip_value


@keras.utils.register_keras_serializable("keras_bnn")
class MagnitudeAwareSign(larq.quantizers.MagnitudeAwareSign):
    r"""Binarizes a kernel to ±s with one magnitude s per output channel.

    For kernels only. The scale is part of the kernel; a layer's `weight_scale="mean_abs"` has the
    same values, but multiplies after the convolution, where sums of ±1 stay exact integers, and
    lets gradients through the scale. Prefer that one for new networks.

    Forward, and the gradient used in its place (s counts as a constant):

        s_o   = mean of |w| over all axes but the last
        q(w)  = s_o if w >= 0 else -s_o
        dq/dw = s_o if |w| <= clip_value else 0

    Args:
        clip_value: Half-width of the region that lets the gradient pass, > 0, in units of w.
            `None` never blocks it.

    Input shape: (..., channels), channels last.   Output shape: the same.

    Raises:
        ValueError: If `clip_value` is zero or negative.

    >>> MagnitudeAwareSign()(np.array([[0.5, 1.0], [-1.5, 3.0]])).numpy()
    array([[ 1.,  2.],
           [-1.,  2.]])

    References:
        Liu et al., Bi-Real Net, section 3.3, 2018. https://arxiv.org/abs/1808.00278
    """

    def __init__(self, clip_value: float | None = 1.0, **kwargs):
        super().__init__(clip_value=check_clip_value(clip_value), autocast=False, **kwargs)
