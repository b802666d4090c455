"""Binary layers: larq's quantized layers with the defaults of a binary network.

And the real ones that modern binary networks have around them: learned thresholds and shifts,
channel gates, and pools that blur.
"""

from keras_bnn.layers.binary_conv1d import BinaryConv1D
from keras_bnn.layers.binary_conv2d import BinaryConv2D
from keras_bnn.layers.binary_dense import BinaryDense
from keras_bnn.layers.blur_pool import BlurPool2D
from keras_bnn.layers.rprelu import RPReLU
from keras_bnn.layers.rsign import RSign
from keras_bnn.layers.squeeze_excitation import SqueezeExcitation

__all__ = [
    "BinaryConv1D",
    "BinaryConv2D",
    "BinaryDense",
    "BlurPool2D",
    "RPReLU",
    "RSign",
    "SqueezeExcitation",
]
