from keras_bnn._keras import keras, larq
from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.layers.products import multiply_dense


@keras.utils.register_keras_serializable("keras_bnn")
class BinaryDense(BinaryLayer, larq.layers.QuantDense):
    """A dense layer of ±1 weights on ±1 inputs.

        y = activation((sign(x) · sign(W)) ⊙ α + bias)

    Takes the arguments of `keras.layers.Dense`, and those of `BinaryLayer`.

    Input shape: (batch, ..., features), real.   Output shape: (batch, ..., units), real: sums of
    `features` products of ±1.

    >>> layer = BinaryDense(2, kernel_initializer="ones")
    >>> layer(tf.constant([[0.3, -2.0, 0.0]])).numpy()
    array([[1., 1.]], dtype=float32)

    References:
        Hubara et al., Binarized Neural Networks, 2016. https://arxiv.org/abs/1602.02830
    """

    def __init__(self, units, *args, **kwargs):
        # Keras refuses 0 filters, but of a dense layer negative units only.
        if units == 0:
            raise ValueError(f"units is {units}, expected a positive integer.")
        super().__init__(units, *args, **kwargs)

    def multiply(self, inputs, kernel):
        """The product over the last axis of `inputs`."""
        return multiply_dense(inputs, kernel)
