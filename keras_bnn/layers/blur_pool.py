import numpy as np

from keras_bnn._keras import keras, tf

_WEIGHTS = {2: (1, 1), 3: (1, 2, 1), 5: (1, 4, 6, 4, 1)}


@keras.utils.register_keras_serializable("keras_bnn")
class BlurPool2D(keras.layers.DepthwiseConv2D):
    """Blurs each channel with a fixed binomial filter, at every `strides`-th position.

        y = (k ⊗ k) ∗ x,   k = (1, 2, 1) / 4 for `pool_size=3`

    A map that is blurred before it is thinned out keeps what a strided pool or convolution would
    drop or fold. Behind `MaxPool2D(2, strides=1)` it is a max pool without aliasing: QuickNet's
    transition between two stages.

    Args:
        pool_size: Size of the filter: 2, 3 or 5.
        strides: Step in both directions.
        padding: `"same"`, with zeros, or `"valid"`.

    Weights: the filter (size, size, channels, 1), which is not trained.

    Input shape: (batch, height, width, channels).   Output shape: (batch, new height, new width,
    channels).

    Raises:
        ValueError: If there is no filter of `pool_size`.

    >>> BlurPool2D(2)(tf.constant([[[[4.0], [8.0]], [[0.0], [0.0]]]])).numpy().ravel()
    array([3.], dtype=float32)

    References:
        Zhang, Making Convolutional Networks Shift-Invariant Again, 2019.
        https://arxiv.org/abs/1904.11486
    """

    def __init__(self, pool_size: int = 3, strides: int = 2, padding: str = "same", **kwargs):
        if pool_size not in _WEIGHTS:
            raise ValueError(f"pool_size is {pool_size}, expected one of {list(_WEIGHTS)}.")
        super().__init__(
            pool_size, strides=strides, padding=padding, use_bias=False, trainable=False, **kwargs
        )
        self.pool_size = pool_size
        self.depthwise_initializer = _binomial

    def get_config(self):
        own = {"pool_size": self.pool_size, "strides": self.strides[0], "padding": self.padding}
        kept = keras.layers.Layer.get_config(self)
        kept.pop("trainable")
        return {**kept, **own, "data_format": self.data_format}


def _binomial(shape, dtype, **_):
    size, _, channels, multiplier = shape
    row = np.array(_WEIGHTS[size], np.float64)
    kernel = np.outer(row, row) / row.sum() ** 2
    return tf.cast(np.tile(kernel[..., None, None], (1, 1, channels, multiplier)), dtype)
