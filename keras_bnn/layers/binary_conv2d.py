from keras_bnn._keras import keras, larq
from keras_bnn.layers.binary_conv import BinaryConv


@keras.utils.register_keras_serializable("keras_bnn")
class BinaryConv2D(BinaryConv, larq.layers.QuantConv2D):
    """A 2-D convolution of ±1 weights with ±1 inputs.

        y = activation((sign(x) ⊛ sign(W)) ⊙ α·K + bias)

    Takes the arguments of `keras.layers.Conv2D`, and those of `BinaryLayer` and `BinaryConv`.

    Input shape: (batch, height, width, channels), real.   Output shape: (batch, new height, new
    width, filters), real: sums of height × width × channels (of the kernel) products of ±1.

    >>> layer = BinaryConv2D(1, 3, padding="same", kernel_initializer="ones")
    >>> layer(-tf.ones((1, 2, 2, 1))).numpy().ravel()
    array([1., 1., 1., 1.], dtype=float32)

    References:
        Hubara et al., Binarized Neural Networks, 2016. https://arxiv.org/abs/1602.02830
        Rastegari et al., XNOR-Net, 2016. https://arxiv.org/abs/1603.05279
    """
