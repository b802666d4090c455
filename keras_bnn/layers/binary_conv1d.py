from keras_bnn._keras import keras, larq
from keras_bnn.layers.binary_conv import BinaryConv


@keras.utils.register_keras_serializable("keras_bnn")
class BinaryConv1D(BinaryConv, larq.layers.QuantConv1D):
    """A 1-D convolution of ±1 weights with ±1 inputs.

        y = activation((sign(x) ⊛ sign(W)) ⊙ α·K + bias)

    Takes the arguments of `keras.layers.Conv1D`, and those of `BinaryLayer` and `BinaryConv`.
    `padding="causal"` pads with zeros on the left, whatever `pad_values` another padding takes.

    Input shape: (batch, steps, channels), real.   Output shape: (batch, new steps, filters),
    real: sums of kernel size × channels products of ±1.

    >>> layer = BinaryConv1D(1, 2, padding="causal", kernel_initializer="ones")
    >>> layer(tf.constant([[[0.5], [0.5], [-0.5]]])).numpy().ravel()
    array([1., 2., 0.], dtype=float32)

    References:
        Hubara et al., Binarized Neural Networks, 2016. https://arxiv.org/abs/1602.02830
    """
