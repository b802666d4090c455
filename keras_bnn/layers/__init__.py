"""Binary layers: larq's quantized layers with the defaults of a binary network."""

from keras_bnn.layers.binary_conv1d import BinaryConv1D
from keras_bnn.layers.binary_conv2d import BinaryConv2D
from keras_bnn.layers.binary_dense import BinaryDense

__all__ = ["BinaryConv1D", "BinaryConv2D", "BinaryDense"]
