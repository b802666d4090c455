from keras_bnn import constraints
from keras_bnn._keras import keras, tf
from keras_bnn.layers.rsign import channel_weight


@keras.utils.register_keras_serializable("keras_bnn")
class SqueezeExcitation(keras.layers.Layer):
    """Scales each channel of a convolution's output by a factor computed from real values.

        y = x ⊙ sigmoid(W₂ relu(W₁ z + b₁) + b₂),   z = mean over the map of `source`

    In front of a binary convolution a gate is lost to the sign, behind it it is not, and the
    convolution stays 1-bit. Real-to-Binary takes the convolution's input as `source`. BNext takes
    a learned mixture of input and output,

        z = s ⊙ mean(source) + (1 - s) ⊙ mean(x),   0 <= s <= 1

    Args:
        ratio: Source channels over hidden units; rounded down, at least one unit.
        use_bias: Whether there are b₁ and b₂.
        mixes: Whether z is BNext's mixture. `source` then has as many channels as x.

    Weights: those of two dense layers, `squeeze` and `excitation`, and `mixture` s (0.5 at first).

    Input shape: a list of x, (batch, height, width, channels), and `source`, (batch, any height,
    any width, source channels).   Output shape: that of x.

    Raises:
        ValueError: If x and `source` are not two inputs, or do not mix.

    >>> layer = SqueezeExcitation(ratio=1)
    >>> layer([2 * tf.ones((1, 2, 2, 4)), tf.zeros((1, 5, 5, 4))]).numpy()[0, 0, 0]
    array([1., 1., 1., 1.], dtype=float32)

    References:
        Hu et al., Squeeze-and-Excitation Networks, 2017. https://arxiv.org/abs/1709.01507
        Martinez et al., Real-to-Binary, section 4.3, 2020. https://arxiv.org/abs/2003.11535
        Guo et al., BNext, section 3, 2022. https://arxiv.org/abs/2211.12933
    """

    def __init__(self, ratio: int = 8, use_bias: bool = False, mixes: bool = False, **kwargs):
        super().__init__(**kwargs)
        if ratio < 1:
            raise ValueError(f"{self.name}: ratio is {ratio}, expected 1 or more.")
        self.ratio, self.use_bias, self.mixes = ratio, use_bias, mixes

    def build(self, input_shape):
        if not isinstance(input_shape, (list, tuple)) or len(input_shape) != 2:
            raise ValueError(f"{self.name}: expected a list of two inputs, x and its source.")
        channels, source = (shape[-1] for shape in input_shape)
        if self.mixes and channels != source:
            raise ValueError(
                f"{self.name}: mixes=True mixes {channels} channels with {source} of the source, "
                "expected as many."
            )
        self.squeeze = self._dense(max(source // self.ratio, 1), "relu", "squeeze")
        self.excitation = self._dense(channels, "sigmoid", "excitation")
        if self.mixes:
            half = {"class_name": "Constant", "config": {"value": 0.5}}
            share = constraints.UnitInterval()
            self.mixture = channel_weight(self, "mixture", input_shape[0], half, share)
        super().build(input_shape)

    def _dense(self, units: int, activation: str, name: str):
        options = {"kernel_initializer": "he_normal", "dtype": self.dtype_policy, "name": name}
        return keras.layers.Dense(units, activation, use_bias=self.use_bias, **options)

    def call(self, inputs):
        outputs, source = inputs
        z = tf.reduce_mean(source, [1, 2])
        if self.mixes:
            # The mean of a mixture is the mixture of the means, which are much smaller.
            z = self.mixture * z + (1 - self.mixture) * tf.reduce_mean(outputs, [1, 2])
        gate = self.excitation(self.squeeze(z))
        return outputs * gate[:, None, None, :]

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        own = {"ratio": self.ratio, "use_bias": self.use_bias, "mixes": self.mixes}
        return {**super().get_config(), **own}
