"""The networks that `keras-bnn train` knows by name."""

from collections.abc import Callable

from keras_bnn._keras import keras
from keras_bnn.errors import InputError
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


def binarynet_float(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """The float twin of `BinaryNet`."""
    return float_twin(BinaryNet(input_shape, num_classes))


ZOO: dict[str, Callable[..., keras.Model]] = {
    "binarynet": BinaryNet,
    "binarynet_float": binarynet_float,
    "binary_alexnet": BinaryAlexNet,
    "binary_densenet28": BinaryDenseNet28,
    "binary_densenet37": BinaryDenseNet37,
    "binary_densenet45": BinaryDenseNet45,
    "birealnet18": BiRealNet18,
    "birealnet34": BiRealNet34,
    "bnext_tiny": BNextTiny,
    "keyword_net": KeywordNet,
    "meliusnet22": MeliusNet22,
    "quicknet_tiny": QuickNetTiny,
    "quicknet_small": QuickNetSmall,
    "quicknet": QuickNet,
    "quicknet_large": QuickNetLarge,
    "reactnet_a": ReActNetA,
    "real_to_binary_net": RealToBinaryNet,
    "resnet_e18": ResNetE18,
    "sensor_net": SensorNet,
    "xnornet": XNORNet,
}
"""By name, functions from an input shape and a number of classes to a fresh model."""


def build(name: str, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds the network `name` of the zoo.

    Args:
        name: A key of `ZOO`.
        input_shape: Height, width and channels of an image.
        num_classes: The number of classes.

    Raises:
        InputError: If there is no such network, or it does not take such images.

    >>> build("binarynet", (8, 8, 1), 10).output_shape
    (None, 10)
    """
    if name not in ZOO:
        raise InputError(f"Unknown model {name!r}. Expected one of {', '.join(ZOO)}.")
    return ZOO[name](input_shape, num_classes)
