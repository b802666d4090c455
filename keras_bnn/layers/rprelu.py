from keras_bnn._keras import keras, tf
from keras_bnn.layers.rsign import channel_weight


@keras.utils.register_keras_serializable("keras_bnn")
class RPReLU(keras.layers.Layer):
    """A PReLU between two learned shifts, all of them for each channel.

        y = prelu(x - γ) + ζ,   prelu(v) = v if v >= 0 else β · v

    It moves and reshapes the distribution of what a binary convolution gives, so that the next
    signs carry more; the float operators that it costs stand between the 1-bit ones.

    Weights: `shift` γ (zeros at first), `slope` β (0.25) and `offset` ζ (zeros), each (channels,).

    Input shape: (..., channels), channels last.   Output shape: the same.

    Raises:
        ValueError: If the channels are open.

    >>> layer = RPReLU()
    >>> layer.build((None, 1))
    >>> layer.set_weights([np.array([1.0]), np.array([0.5]), np.array([10.0])])
    >>> layer(tf.constant([[3.0], [-1.0]])).numpy().ravel()
    array([12.,  9.], dtype=float32)

    References:
        Liu et al., ReActNet, section 4.2, 2020. https://arxiv.org/abs/2003.03488
    """

    def build(self, input_shape):
        self.shift = channel_weight(self, "shift", input_shape, "zeros")
        quarter = {"class_name": "Constant", "config": {"value": 0.25}}
        self.slope = channel_weight(self, "slope", input_shape, quarter)
        self.offset = channel_weight(self, "offset", input_shape, "zeros")
        super().build(input_shape)

    def call(self, inputs):
        shifted = inputs - self.shift
        # The form, and the rank of the slope, in which TensorFlow Lite's converter finds its PRELU.
        slope = tf.reshape(self.slope, [1] * (inputs.shape.rank - 2) + [-1])
        negative = -slope * keras.activations.relu(-shifted)
        return keras.activations.relu(shifted) + negative + self.offset

    def compute_output_shape(self, input_shape):
        return input_shape
