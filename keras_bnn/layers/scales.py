"""XNOR-Net's scales: α from the latent weights, K from the real inputs.

Rastegari et al., XNOR-Net, 2016. https://arxiv.org/abs/1603.05279
"""

from keras_bnn._keras import tf

WEIGHT_SCALES = ("mean_abs", "abs_mean")


def weight_scale(latent, kind: str):
    """The scale α of each output channel, from latent weights.

    `mean_abs` is mean(|W|), the least-squares optimum of |W - α sign(W)|²; `abs_mean` is
    |mean(W)|, as some introductions define it, which is never larger.

    Args:
        latent: Real weights of shape (..., channels).
        kind: `"mean_abs"` or `"abs_mean"`.

    Returns:
        Shape (channels,), dtype of `latent`, >= 0. Differentiable in `latent`.

    >>> float(weight_scale(tf.constant([[0.2], [0.2], [-0.6], [-0.6]]), "mean_abs")[0])
    0.4000000059604645
    """
    axes = list(range(len(latent.shape) - 1))
    if kind == "mean_abs":
        return tf.reduce_mean(tf.abs(latent), axis=axes)
    return tf.abs(tf.reduce_mean(latent, axis=axes))


def input_scale(inputs, window, strides, dilations, groups: int = 1):
    """The scale K of each output position: the mean of |input| over the convolution's window.

    K = A ∗ k, with A the mean of |input| over the channels of a group and k a box filter of value
    1 / (number of taps). `inputs` come padded, and every window is divided by all of its taps.

    Args:
        inputs: Real inputs, channels last, padded as the convolution's input is.
        window: Kernel size, one number a spatial axis.
        strides: Strides, one number a spatial axis.
        dilations: Dilation rates, one number a spatial axis.
        groups: Groups of the convolution, a divisor of the channels.

    Returns:
        Shape (batch, *output positions, groups).

    >>> input_scale(tf.constant([[[1.0], [-3.0], [0.0]]]), [2], [1], [1]).numpy().tolist()
    [[[2.0], [1.5]]]
    """
    magnitude = tf.abs(inputs)
    if groups > 1:
        shape = [-1 if n is None else n for n in magnitude.shape]
        if shape.count(-1) > 1:
            shape[:-1] = tf.unstack(tf.shape(magnitude))[:-1]
        magnitude = tf.reshape(magnitude, [*shape[:-1], groups, inputs.shape[-1] // groups])
        magnitude = tf.reduce_mean(magnitude, axis=-1)
    else:
        magnitude = tf.reduce_mean(magnitude, axis=-1, keepdims=True)
    # TensorFlow pools with no stride that is larger than the window.
    skips = any(stride > size for stride, size in zip(strides, window, strict=True))
    scale = tf.nn.pool(
        magnitude,
        window,
        "AVG",
        strides=[1] * len(window) if skips else list(strides),
        padding="VALID",
        dilations=list(dilations),
    )
    return (
        scale[(slice(None), *(slice(None, None, stride) for stride in strides))] if skips else scale
    )
