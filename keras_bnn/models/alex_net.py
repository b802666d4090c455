"""AlexNet in binary: BinaryAlexNet, and XNOR-Net with scaled kernels."""

from keras_bnn._keras import keras
from keras_bnn.layers import BinaryConv2D, BinaryDense
from keras_bnn.models.assembly import (
    binary_conv,
    network,
    network_input,
    norm,
    real_conv,
    relu,
)

# Smaller ones are gone before the third pool.
_SMALLEST = 57
# Of the map in front of XNOR-Net's first dense layer, for 224×224.
_LAST_MAP = 6


def BinaryAlexNet(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """AlexNet whose convolutions and dense layers are all binary; only the images are real.

    ImageNet, 224×224×3: 36.30 % top-1, 61,859,192 parameters, 7.49 MiB (Larq Zoo, whose file of
    weights, `binary_alexnet`, loads here; Hubara et al. state 41.8 %, and published code that
    is up to three times as wide).

    Args: those of every network, see `keras_bnn.models`; images of 57×57 or more.

    >>> BinaryAlexNet((64, 64, 3), 10).output_shape
    (None, 10)

    References:
        Hubara et al., Binarized Neural Networks, 2016. https://arxiv.org/abs/1602.02830
    """
    image = network_input(input_shape, num_classes, _SMALLEST)
    x = BinaryConv2D(
        64, 11, strides=4, padding="same", pad_values=0.0, input_quantizer=None, name="stem"
    )(image)
    x = norm(_pooled(x, "stem_pool"), "stem_norm", **_norm(1e-3))
    for number, (filters, size) in enumerate(((192, 5), (384, 3), (384, 3), (256, 3)), 1):
        x = binary_conv(x, filters, size, f"binary_{number}", kernel_initializer="glorot_uniform")
        if number in (1, 4):
            x = _pooled(x, f"pool_{number}")
        x = norm(x, f"norm_{number}", **_norm(1e-3))
    if include_top:
        x = keras.layers.Flatten(name="flatten")(x)
        for name, units in (("dense_1", 4096), ("dense_2", 4096), ("logits", num_classes)):
            x = norm(BinaryDense(units, name=name)(x), f"{name}_norm", **_norm(1e-3))
    return network(image, x, "binary_alexnet", weights)


def XNORNet(input_shape, num_classes: int, weights=None, include_top=True) -> keras.Model:
    """AlexNet in binary, first and last layer real, each binary kernel scaled by its mean of |W|.

    ImageNet, 224×224×3: 44.2 % top-1 (the paper states; 43.3 % its authors' weights); 44.96 %,
    62,396,768 parameters, 22.81 MiB (Larq Zoo, whose file of weights, `xnornet`, loads here). Like
    Larq Zoo's, and unlike the paper's, it has no K, the scale of the inputs. The first dense layer
    reads 6×6 positions of the last map, or all of a map that is smaller.

    Args: those of every network, see `keras_bnn.models`; images of 57×57 or more. Without the top
        the outputs are those of the first dense layer.

    >>> XNORNet((64, 64, 3), 10).output_shape
    (None, 10)

    References:
        Rastegari et al., XNOR-Net, 2016. https://arxiv.org/abs/1603.05279
    """
    image = network_input(input_shape, num_classes, _SMALLEST)
    x = real_conv(image, 96, 11, "stem", strides=4, kernel_initializer="glorot_uniform")
    x = _pooled(relu(norm(x, "stem_norm", **_norm(1e-5)), "stem_relu"), "stem_pool")
    x = norm(x, "stem_pool_norm", **_norm(1e-4))
    for number, (filters, size) in enumerate(((256, 5), (384, 3), (384, 3), (256, 3)), 1):
        x = _scaled(x, filters, size, f"binary_{number}")
        if number in (1, 4):
            x = _pooled(x, f"pool_{number}")
        x = norm(x, f"norm_{number}", **_norm(1e-4))
    last_map = [min(_LAST_MAP, size) for size in x.shape[1:3]]
    x = _scaled(x, 4096, last_map, "dense_1", padding="valid")
    x = norm(x, "dense_1_norm", **_norm(1e-4))
    if include_top:
        x = norm(_scaled(x, 4096, 1, "dense_2"), "dense_2_norm", **_norm(1e-3))
        x = keras.layers.Flatten(name="flatten")(relu(x, "top_relu"))
        x = keras.layers.Dense(num_classes, use_bias=False, name="logits")(x)
    return network(image, x, "xnornet", weights)


def _scaled(x, filters: int, size, name: str, **options):
    options = {"kernel_initializer": "glorot_uniform", "weight_scale": "mean_abs", **options}
    return binary_conv(x, filters, size, name, **options)


def _pooled(x, name: str):
    return keras.layers.MaxPool2D(3, strides=2, name=name)(x)


def _norm(epsilon: float) -> dict:
    return {"epsilon": epsilon, "scale": False}
