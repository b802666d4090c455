"""Quantizers: the sign forward, a usable gradient backward.

Each is a Keras layer that a layer's `input_quantizer` or `kernel_quantizer` takes, as an object or
by its name (`"ste_sign"`). sign(0) is +1 everywhere. The values have the dtype of the input
(`autocast=False`: by itself a Keras layer casts its input to its own dtype).

Importing this makes their names activations too, as larq's documentation has them:

>>> tf.keras.layers.Activation("ste_sign")(np.array([-0.2, 0.0])).numpy()
array([-1.,  1.], dtype=float32)
"""

from keras_bnn.quantizers import activations
from keras_bnn.quantizers.approx_sign import ApproxSign
from keras_bnn.quantizers.magnitude_aware_sign import MagnitudeAwareSign
from keras_bnn.quantizers.resolve import get
from keras_bnn.quantizers.ste_sign import SteSign
from keras_bnn.quantizers.swish_sign import SwishSign

__all__ = ["ApproxSign", "MagnitudeAwareSign", "SteSign", "SwishSign", "get"]

activations.register()
