from typing import Any

from keras_bnn import quantizers
from keras_bnn._keras import keras


@keras.utils.register_keras_serializable("keras_bnn")
class RSign(keras.layers.Layer):
    """The sign of what lies above a learned threshold of each channel.

        y = quantizer(x - t)

    Place it in front of a binary layer with `input_quantizer=None`. Behind a binary convolution
    that is not padded with zeros (and its batch normalization) the exported file computes it for
    nothing, as one of the integer thresholds of a packed chain; elsewhere it is one subtraction.

    Args:
        quantizer: What takes the sign and has its gradient: a sign quantizer, or the name of one.
            The default is that of the paper.

    Weights: `threshold`, t above, of shape (channels,), zeros at first.

    Input shape: (..., channels), channels last.   Output shape: the same; values -1.0 or +1.0.

    Raises:
        ValueError: If the channels are open.

    >>> layer = RSign()
    >>> layer.build((None, 3))
    >>> layer.set_weights([np.array([0.5, 0.0, -0.5])])
    >>> layer(tf.zeros((1, 3))).numpy()
    array([[-1.,  1.,  1.]], dtype=float32)

    References:
        Liu et al., ReActNet, section 4.2, 2020. https://arxiv.org/abs/2003.03488
    """

    def __init__(self, quantizer: Any = "approx_sign", **kwargs):
        super().__init__(**kwargs)
        if quantizer is None:
            raise ValueError(
                f"{self.name}: quantizer is None, expected a sign quantizer such as 'approx_sign'."
            )
        self.quantizer: Any = quantizers.get(quantizer)

    def build(self, input_shape):
        self.threshold = channel_weight(self, "threshold", input_shape, "zeros")
        super().build(input_shape)

    def call(self, inputs):
        return self.quantizer(inputs - self.threshold)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "quantizer": keras.utils.serialize_keras_object(self.quantizer),
        }


def channel_weight(layer, name: str, input_shape, initializer: Any, constraint: Any = None):
    """Adds a weight with one value a channel to `layer`, whose input has `input_shape`."""
    if input_shape[-1] is None:
        raise ValueError(
            f"{layer.name}: the input has shape {tuple(input_shape)}, expected a fixed number of "
            "channels on the last axis."
        )
    return layer.add_weight(
        name=name, shape=(input_shape[-1],), initializer=initializer, constraint=constraint
    )
