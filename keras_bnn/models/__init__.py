"""Networks to start from, and the float network that a binary one is compared with."""

from keras_bnn.models.binary_net import BinaryNet
from keras_bnn.models.twin import float_twin
from keras_bnn.models.zoo import ZOO, build

__all__ = ["ZOO", "BinaryNet", "build", "float_twin"]
