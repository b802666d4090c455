"""Every operator of Larq Compute Engine (LCE) in NumPy: the oracle of all kernels and files.

Tensors come and go as the operators store them, with signs packed as `keras_bnn.bits` says. In
between there are no bits: values are ±1, a convolution is a loop over its taps, and a float is
rounded exactly where LCE rounds it, so results are compared with `==`.

References:
    Larq Compute Engine 0.16. https://github.com/larq/compute-engine
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from keras_bnn.bits import WORD_BITS, pack, unpack

Activation: TypeAlias = Literal["NONE", "RELU", "RELU_N1_TO_1", "RELU6"]
Padding: TypeAlias = Literal["same", "valid"]
Pair: TypeAlias = int | tuple[int, int]


def quantize(values: ArrayLike, zero_point: int = 0) -> np.ndarray:
    """LceQuantize: packs the signs of float, int8 or bool values, as `bits.pack` does.

    A negative denormal float is −1 here. LCE's own x86 build reads it as 0, hence +1.

    >>> quantize(np.array([[-0.5, 0.0, 2.0]], np.float32))
    array([[1]], dtype=int32)
    """
    return pack(values, zero_point)


def dequantize(
    words: ArrayLike,
    channels: int,
    dtype: Literal["float32", "int8", "bool"] = "float32",
    scale: float = 1.0,
    zero_point: int = 0,
) -> np.ndarray:
    """LceDequantize: writes packed signs out.

        float32:  ±1          bool:  sign > 0
        int8:     max(−128, min(127, zero_point ± round(1 / scale)))

    Args:
        words: int32 array.
        channels: How many signs a row holds.
        dtype: Of the result.
        scale: Of an int8 result, > 0.
        zero_point: Of an int8 result.

    Input shape: (…, ceil(channels / 32)).   Output shape: (…, channels).

    Raises:
        ValueError: If `dtype` is none of the three, or as `bits.unpack` does.

    >>> dequantize(np.array([[5]], np.int32), 4, "int8", scale=0.02, zero_point=-3)
    array([[-53,  47, -53,  47]], dtype=int8)
    """
    signs = unpack(words, channels)
    if dtype == "int8":
        return _to_int8(zero_point + signs * _round(np.float32(1) / np.float32(scale)))
    if dtype not in ("float32", "bool"):
        raise ValueError(f"Got dtype={dtype!r}; expected 'float32', 'int8' or 'bool'.")
    return signs > 0 if dtype == "bool" else signs


def dot_products(
    values: ArrayLike,
    kernel: ArrayLike,
    strides: Pair = 1,
    dilations: Pair = 1,
    padding: Padding = "valid",
    pad_values: Literal[0, 1] = 1,
) -> np.ndarray:
    """Convolves ±1 values with ±1 kernels: the integers that every output is made of.

        sums[n, y, x, o] = Σ values[n, y·stride + i·dilation − before, …, c] · kernel[o, i, j, c]

    "same" gives ceil(size / stride) outputs, half of the missing pixels (rounded down) before the
    image and the rest after it; "valid" stays inside. The number of groups is the quotient of the
    two depths; output channel o sees input group o // (O / groups).

    Args:
        values: ±1.
        kernel: ±1.
        strides: Rows and columns from one output to the next, > 0.
        dilations: Rows and columns from one tap to the next, > 0.
        padding: "same" or "valid".
        pad_values: What the pixels outside the image are: +1, or 0, a third value.

    Input shapes: (N, H, W, C) and (O, KH, KW, C / groups).   Output shape: (N, OH, OW, O), int32.

    Raises:
        ValueError: If shapes or options do not fit, or if no window fits into the image.

    >>> dot_products(np.ones((1, 1, 3, 5)), -np.ones((1, 1, 3, 5)), padding="same", pad_values=0)
    array([[[[-10],
             [-15],
             [-10]]]], dtype=int32)
    """
    values, kernel = np.asarray(values, np.float32), np.asarray(kernel, np.float32)
    if values.ndim != 4 or kernel.ndim != 4:
        raise ValueError(f"Got {values.ndim} and {kernel.ndim} axes; expected NHWC and OHWI.")
    channels, (filters, *size, depth) = values.shape[-1], kernel.shape
    groups = channels // max(depth, 1)
    if groups * depth != channels or filters % groups:
        raise ValueError(
            f"Got {channels} channels and {filters} kernels of depth {depth}; the depth must divide "
            "the channels, and their quotient the number of kernels: change the kernel's shape."
        )
    if pad_values not in (0, 1):
        raise ValueError(f"Got pad_values={pad_values}; expected 0 or 1.")
    by_group = kernel.reshape(groups, -1, *size, depth)
    sums = np.int32(0)
    for i, j, pixels in _taps(values, tuple(size), strides, dilations, padding, pad_values):
        # float32 holds every sum of up to 2^24 signs exactly, and its matrix product is fast.
        parts = [
            pixels[..., group * depth : (group + 1) * depth] @ by_group[group, :, i, j].T
            for group in range(groups)
        ]
        sums = sums + np.concatenate(parts, axis=-1).astype(np.int32)
    return np.asarray(sums)


def bconv2d(
    words: ArrayLike,
    filters: ArrayLike,
    *,
    channels_in: int,
    multiplier: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    threshold: ArrayLike | None = None,
    strides: Pair = 1,
    dilations: Pair = 1,
    padding: Padding = "valid",
    pad_values: Literal[0, 1] = 1,
    activation: Activation = "NONE",
    scale: float | None = None,
    zero_point: int = 0,
) -> np.ndarray:
    """LceBconv2d: a binary convolution with float32, int8 or packed output.

    With a = `dot_products`, k = KH·KW·C / groups products in each, and `fl` one rounding to
    float32, per output channel:

        float32:  v = k − clamp(a, activation)
                  y = fl(fl(v · −multiplier) + fl(bias + k·multiplier))
        int8:     y with −multiplier / scale and (bias + k·multiplier) / scale + zero_point instead,
                  each rounded once from double; then to the nearest integer, halves away from 0,
                  and into −128…127
        packed:   bit = 1 (−1) if (k − a) / 2 > threshold else 0 (+1)

    v is twice the number of different signs, y is a·multiplier + bias as LCE rounds it. Output is
    packed with a `threshold`, int8 with a `scale`, else float32.

    True zeros (`pad_values=0`) in a float32 convolution without activation are a correction: a and
    y are computed with +1 outside the image, then y := fl(y + fl(c · −multiplier)), where c sums
    the weights that lie outside. So do LCE's default and indirect kernels, which refuse every other
    output here and are wrong where the image is smaller than the dilated kernel. LCE's reference
    kernel has the zeros in a itself (for even C only), as this function has for int8, packed and
    activated outputs; so its float32 outputs can differ from the default kernel's in the last bits.

    Args:
        words: Packed input, int32.
        filters: Packed kernels, int32. In several groups, a group's depth is a multiple of 32.
        channels_in: C, the input's true depth.
        multiplier: Applied after the activation, float32; ones if None.
        bias: Added last, float32; zeros if None.
        threshold: int32, from `thresholds`; instead of multiplier, bias and scale.
        strides, dilations, padding, pad_values: As in `dot_products`.
        activation: Clamps to [0, ∞) RELU, [−1, 1] RELU_N1_TO_1, [0, 6] RELU6. A packed output
            ignores it, for its thresholds contain it.
        scale: Of the int8 output, > 0.
        zero_point: Of the int8 output.

    Input shapes: (N, H, W, ceil(C / 32)), (O, KH, KW, ceil(C / groups / 32)), and (O,) each.
    Output shape: (N, OH, OW, O) float32 or int8, or (N, OH, OW, ceil(O / 32)) int32.

    Raises:
        ValueError: If shapes, dtypes or options do not fit.

    >>> bconv2d(pack(np.ones((1, 1, 1, 3))), pack(-np.ones((1, 1, 1, 3))), channels_in=3, bias=[0.5])
    array([[[[-2.5]]]], dtype=float32)
    """
    values, kernel = _unpack_operands(words, filters, channels_in)
    count, k, geometry = len(kernel), kernel[0].size, (strides, dilations, padding)
    low, high = _clamp(activation, k)
    sums = dot_products(values, kernel, *geometry, pad_values)
    if threshold is not None:
        if multiplier is not None or bias is not None or scale is not None:
            raise ValueError("Got threshold with multiplier, bias or scale: pass only one of them.")
        limit = _per_channel("threshold", threshold, count, np.int32)
        return pack(k - sums <= 2 * limit.astype(np.int64))
    factor = -_per_channel(
        "multiplier", np.ones(count) if multiplier is None else multiplier, count
    )
    offset = _per_channel("bias", np.zeros(count) if bias is None else bias, count)
    # From here to the rounding in double, where the products and sums of float32 are exact.
    factor, offset = factor.astype(np.float64), offset.astype(np.float64)
    offset = offset - k * factor
    if scale is not None:
        factor, offset = factor / np.float32(scale), offset / np.float32(scale) + zero_point
    factor, offset = factor.astype(np.float32), offset.astype(np.float32)
    correct = padding == "same" and pad_values == 0 and activation == "NONE" and scale is None
    inner = dot_products(values, kernel, *geometry, 1) if correct else sums
    result = (k - np.clip(inner, low, high)).astype(np.float32) * factor + offset
    if scale is not None:
        return _to_int8(_round(result))
    return result + (inner - sums).astype(np.float32) * factor if correct else result


def bmaxpool2d(
    words: ArrayLike, pool_size: Pair, strides: Pair, padding: Padding = "valid"
) -> np.ndarray:
    """LceBMaxPool2d: the largest sign in each window, which is −1 only if all are.

    Pixels outside the image are left out. Sizes and padding are as in `dot_products`.

    Args:
        words: Packed input, int32.
        pool_size: Rows and columns of a window, > 0.
        strides: Rows and columns from one window to the next, > 0.
        padding: "same" or "valid".

    Input shape: (N, H, W, words).   Output shape: (N, OH, OW, words), int32.

    Raises:
        ValueError: If `words` is not NHWC int32, or if no window fits into the image.

    >>> bmaxpool2d(np.array([[[[0b011], [0b110]]]], np.int32), (1, 2), 1)
    array([[[[2]]]], dtype=int32)
    """
    words = np.asarray(words)
    if words.ndim != 4:
        raise ValueError(f"Got {words.ndim} axes; expected packed NHWC, which has 4.")
    values = unpack(words, words.shape[-1] * WORD_BITS, np.int8)
    # Every window holds a pixel of the image, so −1 outside of it never decides a maximum.
    windows = _taps(values, _pair("pool_size", pool_size), strides, 1, padding, -1)
    return pack(np.maximum.reduce([pixels for _, _, pixels in windows]))


def thresholds(
    multiplier: ArrayLike, bias: ArrayLike, k: int, activation: Activation = "NONE"
) -> np.ndarray:
    """Turns "clamp(a)·multiplier + bias < 0" into "more than so many signs are different".

        INT32_MIN (always −1)        if the output is < 0 at both ends of the clamp
        INT32_MAX (always +1)        if it is ≥ 0 at both ends
        floor((b / |m| + k) / 2)     else

    This is the converter's computation, in float32 up to the halving; the clamp of NONE is [−k, k],
    of RELU [0, k]. A channel with m < 0 comes out right only if its kernel is flipped (multiplied
    by −1), which is the caller's to do. An output of exactly 0 counts as +1.

    Args:
        multiplier: m, float32, as in `bconv2d`.
        bias: b, float32, as in `bconv2d`.
        k: Products in a sum: KH·KW·C / groups.
        activation: As in `bconv2d`.

    Input shapes: (O,).   Output shape: (O,), int32.

    Raises:
        ValueError: If the shapes differ or are not (O,), or if `activation` is unknown.

    >>> thresholds([0.5, -1.0, 2.0], [0.25, 0.0, -99.0], 9)
    array([          4,           4, -2147483648], dtype=int32)
    """
    multiplier = _per_channel("multiplier", multiplier, np.size(multiplier))
    bias = _per_channel("bias", bias, len(multiplier))
    magnitude, (low, high) = np.abs(multiplier), _clamp(activation, k)
    start = np.where(multiplier < 0, -high, low).astype(np.float32) * magnitude + bias
    end = np.where(multiplier < 0, -low, high).astype(np.float32) * magnitude + bias
    crossing = (start < 0) != (end < 0)
    ratio = np.divide(bias, magnitude, out=np.zeros_like(bias), where=crossing)
    limit = np.floor(0.5 * (ratio + np.float32(k)).astype(np.float64)).astype(np.int32)
    ends = np.iinfo(np.int32)
    return np.where(crossing, limit, np.where(start < 0, ends.min, ends.max)).astype(np.int32)


def _unpack_operands(words: ArrayLike, filters: ArrayLike, channels_in: int):
    words, filters = np.asarray(words), np.asarray(filters)
    if words.ndim != 4 or filters.ndim != 4:
        raise ValueError(
            f"Got {words.ndim} and {filters.ndim} axes; expected packed NHWC and OHWI."
        )
    groups = max(words.shape[-1] // max(filters.shape[-1], 1), 1)
    if groups > 1 and channels_in != groups * filters.shape[-1] * WORD_BITS:
        raise ValueError(
            f"Got {channels_in} channels in {groups} groups; a group's depth must be a multiple of "
            "32: change the kernel's shape."
        )
    return unpack(words, channels_in, np.int8), unpack(filters, channels_in // groups, np.int8)


def _per_channel(name: str, values: ArrayLike, channels: int, dtype: DTypeLike = np.float32):
    values = np.asarray(values, dtype)
    if values.shape != (channels,):
        raise ValueError(
            f"Got {name} of shape {values.shape}; expected ({channels},), one a channel."
        )
    return values


def _pair(name: str, value: Pair) -> tuple[int, int]:
    rows, columns = value if isinstance(value, tuple) else (value, value)
    if rows < 1 or columns < 1:
        raise ValueError(f"Got {name}={value}; expected one or two positive integers.")
    return rows, columns


def _taps(values, size, strides, dilations, padding, outside) -> Iterator:
    """Yields row, column and input pixels (N, OH, OW, C) of each tap of a window."""
    strides, dilations = _pair("strides", strides), _pair("dilations", dilations)
    spans = [_span(*axis, padding) for axis in zip(values.shape[1:3], size, strides, dilations)]
    (out_height, *above), (out_width, *beside) = spans
    padded = np.pad(values, ((0, 0), above, beside, (0, 0)), constant_values=outside)
    for i, j in np.ndindex(size):
        pixels = padded[:, i * dilations[0] :: strides[0], j * dilations[1] :: strides[1]]
        yield i, j, pixels[:, :out_height, :out_width]


def _span(size: int, taps: int, stride: int, dilation: int, padding: Padding):
    """Returns the outputs along one axis and the pixels missing before and after the image."""
    extent = (taps - 1) * dilation + 1
    if padding == "same":
        outputs = -(-size // stride)
        missing = max((outputs - 1) * stride + extent - size, 0)
        return outputs, missing // 2, missing - missing // 2
    if padding != "valid":
        raise ValueError(f"Got padding={padding!r}; expected 'same' or 'valid'.")
    if extent > size:
        raise ValueError(
            f"Got a window of {extent} on an image of {size}; no window fits: use padding='same'."
        )
    return (size - extent) // stride + 1, 0, 0


def _clamp(activation: Activation, k: int) -> tuple[int, int]:
    clamps = {"NONE": (-k, k), "RELU": (0, k), "RELU_N1_TO_1": (-1, 1), "RELU6": (0, 6)}
    if activation not in clamps:
        raise ValueError(f"Got activation={activation!r}; expected one of {', '.join(clamps)}.")
    return clamps[activation]


def _round(values: np.ndarray) -> np.ndarray:
    """Rounds halves away from zero; in double, where adding 0.5 to a float32 is exact."""
    values = values.astype(np.float64)
    return np.trunc(values + np.copysign(0.5, values))


def _to_int8(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -128, 127).astype(np.int8)
