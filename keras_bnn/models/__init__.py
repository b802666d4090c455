"""Networks to start from, and the float network that a binary one is compared with.

All networks are functions of the same arguments,

    f(input_shape, num_classes, weights=None, include_top=True)

Args:
    input_shape: Height, width and channels of an image (or frames, mels and 1; or steps and
        channels), none of them open.
    num_classes: The number of classes, 2 or more.
    weights: A file of weights for the same network and arguments, as `model.save_weights` of
        Keras 2 writes it; `None` starts at random. For the networks that Larq Zoo has, the `.h5`
        files that it published (without the top: `..._notop.h5`).
    include_top: Whether there is a classifier; else the outputs are the last map.

They return a functional Keras model, not compiled, from (batch, *input_shape), real, to logits of
shape (batch, num_classes): a softmax, where wanted, is left to the loss or to the user. They raise
an `InputError` if the input shape or the number of classes cannot be, or the file does not fit.

Every binary layer of every network is exported as 1-bit.

Figures of Larq Zoo are those of its functions' documentation, version 2.3.2; what it calls MB are
MiB.
"""

from keras_bnn.models.alex_net import BinaryAlexNet, XNORNet
from keras_bnn.models.b_next import BNextTiny
from keras_bnn.models.bi_real_net import BiRealNet18, BiRealNet34
from keras_bnn.models.binary_dense_net import BinaryDenseNet28, BinaryDenseNet37, BinaryDenseNet45
from keras_bnn.models.binary_net import BinaryNet
from keras_bnn.models.keyword_net import KeywordNet
from keras_bnn.models.melius_net import MeliusNet22
from keras_bnn.models.quick_net import QuickNet, QuickNetLarge, QuickNetSmall, QuickNetTiny
from keras_bnn.models.react_net import ReActNetA
from keras_bnn.models.real_to_binary_net import RealToBinaryNet
from keras_bnn.models.res_net_e import ResNetE18
from keras_bnn.models.sensor_net import SensorNet
from keras_bnn.models.twin import float_twin
from keras_bnn.models.zoo import ZOO, build

__all__ = [
    "ZOO",
    "BNextTiny",
    "BiRealNet18",
    "BiRealNet34",
    "BinaryAlexNet",
    "BinaryDenseNet28",
    "BinaryDenseNet37",
    "BinaryDenseNet45",
    "BinaryNet",
    "KeywordNet",
    "MeliusNet22",
    "QuickNet",
    "QuickNetLarge",
    "QuickNetSmall",
    "QuickNetTiny",
    "ReActNetA",
    "RealToBinaryNet",
    "ResNetE18",
    "SensorNet",
    "XNORNet",
    "build",
    "float_twin",
]
