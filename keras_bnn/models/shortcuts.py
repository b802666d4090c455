"""Residual binary networks in the shape of ResNet, one shortcut around each binary convolution."""

from keras_bnn._keras import keras
from keras_bnn.models.assembly import binary_conv, norm, real_conv

WIDTHS = (64, 128, 256, 512)


def shortcut(x, filters: int, name: str, **of_norm):
    """`x` itself, or, where a block doubles the channels, its means over 2×2 in real 1×1 sums."""
    if x.shape[-1] == filters:
        return x
    x = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_pool")(x)
    return norm(real_conv(x, filters, 1, f"{name}_pointwise"), f"{name}_norm", **of_norm)


def stages(x, depths, of_norm: dict, **of_conv):
    """`depths` binary convolutions with 64, 128, 256 and 512 filters; each stage but one halves."""
    for stage, (depth, filters) in enumerate(zip(depths, WIDTHS, strict=True), 1):
        for block in range(1, depth + 1):
            name = f"stage_{stage}_{block}"
            around = shortcut(x, filters, f"{name}_shortcut", **of_norm)
            strides = 1 if x.shape[-1] == filters else 2
            y = binary_conv(x, filters, 3, name, strides=strides, **of_conv)
            x = keras.layers.Add(name=f"{name}_add")([norm(y, f"{name}_norm", **of_norm), around])
    return x
