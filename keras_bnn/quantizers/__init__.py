"""Quantizers: the sign forward, a usable gradient backward.

Each is a Keras layer that a layer's `input_quantizer` or `kernel_quantizer` takes, as an object or
by its name (`"ste_sign"`). sign(0) is +1 everywhere. The values have the dtype of the input
(`autocast=False`: by itself a Keras layer casts its input to its own dtype).
"""

from keras_bnn.quantizers.approx_sign import ApproxSign
from keras_bnn.quantizers.magnitude_aware_sign import MagnitudeAwareSign
from keras_bnn.quantizers.resolve import get
from keras_bnn.quantizers.ste_sign import SteSign
from keras_bnn.quantizers.swish_sign import SwishSign

__all__ = ["ApproxSign", "MagnitudeAwareSign", "SteSign", "SwishSign", "get"]
