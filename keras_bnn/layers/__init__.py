"""Binary layers: larq's quantized layers with the defaults of a binary network."""

from keras_bnn._keras import keras
from keras_bnn.layers.binary_conv1d import BinaryConv1D
from keras_bnn.layers.binary_conv2d import BinaryConv2D
from keras_bnn.layers.binary_dense import BinaryDense

__all__ = ["BinaryConv1D", "BinaryConv2D", "BinaryDense"]

# Keras looks the layer inside a wrapper such as TimeDistributed up without its package.
for _layer in (BinaryConv1D, BinaryConv2D, BinaryDense):
    keras.utils.get_custom_objects()[_layer.__name__] = _layer
