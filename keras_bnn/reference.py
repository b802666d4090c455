"""Every operator of Larq Compute Engine (LCE) 0.16 in NumPy: the oracle of all kernels and files.

Tensors come and go as the operators store them, packed as `keras_bnn.bits` says. In between there
are no bits: values are ±1, a convolution is a loop over its taps, and floats are rounded exactly
where LCE (https://github.com/larq/compute-engine) rounds them, so results are compared with `==`.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from keras_bnn.bits import WORD_BITS, pack, unpack

Pair: TypeAlias = int | tuple[int, int]

quantize = pack  # LceQuantize is the packing rule and nothing else.


def dequantize(
    words: ArrayLike, channels: int, dtype: str = "float32", scale: float = 1.0, zero_point: int = 0
) -> np.ndarray:
    """LceDequantize: writes packed signs out.

        float32:  ±1          bool:  sign > 0
        int8:     max(−128, min(127, zero_point ± round(1 / scale)))

    Args:
        words, channels: As in `bits.unpack`.
        dtype: Of the result: "float32", "int8" or "bool".
        scale, zero_point: Of an int8 result; scale > 0.

    Input shape: (…, ceil(channels / 32)).   Output shape: (…, channels).

    Raises:
        ValueError: If `dtype` is none of the three, or as `bits.unpack` does.

    >>> dequantize(np.array([[5]], np.int32), 4, "int8", scale=0.02, zero_point=-3)
    array([[-53,  47, -53,  47]], dtype=int8)
    """
    signs = unpack(words, channels)
    _expect_positive("scale", scale)
    one = np.floor(float(1 / np.float32(scale)) + 0.5)
    results = {"float32": signs, "bool": signs > 0, "int8": _to_int8(zero_point + signs * one)}
    if dtype not in results:
        raise ValueError(f"Got dtype={dtype!r}; expected 'float32', 'int8' or 'bool'.")
    return results[dtype]


def dot_products(
    values: ArrayLike,
    kernel: ArrayLike,
    strides: Pair = 1,
    dilations: Pair = 1,
    padding: str = "valid",
    pad_values: int = 1,
) -> np.ndarray:
    """Convolves ±1 values with ±1 kernels: the integers that every output is made of.

        sums[n, y, x, o] = Σ values[n, y·stride + i·dilation − before, …, c] · kernel[o, i, j, c]

    "same" gives ceil(size / stride) outputs, half of the missing pixels (rounded down) before the
    image and the rest after it; "valid" stays inside. There are as many groups as the kernel's
    depth goes into C; output channel o sees input group o // (O / groups).

    Args:
        values, kernel: ±1.
        strides, dilations: Rows and columns from one output, or tap, to the next, > 0.
        padding: "same" or "valid".
        pad_values: What the pixels outside the image are: +1, or 0, a third value.

    Input shapes: (N, H, W, C) and (O, KH, KW, C / groups).   Output shape: (N, OH, OW, O), int32.

    Raises:
        ValueError: If a value is not ±1, if shapes or options do not fit, or if no window fits into
            the image.

    >>> dot_products(np.ones((1, 1, 3, 5)), -np.ones((1, 1, 3, 5)), 1, 1, "same", 0).ravel()
    array([-10, -15, -10], dtype=int32)
    """
    values, kernel = np.asarray(values, np.float32), np.asarray(kernel, np.float32)
    _expect_images(values, kernel)
    _expect_signs("values", values)
    _expect_signs("kernel", kernel)
    channels, (filters, *size, depth) = values.shape[-1], kernel.shape
    groups = channels // max(depth, 1)
    if groups * depth != channels or filters % max(groups, 1):
        raise ValueError(
            f"Got kernels {kernel.shape} for {channels} channels; expected equal groups of both."
        )
    if pad_values not in (0, 1):
        raise ValueError(f"Got pad_values={pad_values}; expected 0 or 1.")
    by_group = kernel.reshape(groups, -1, *size, depth)
    sums = np.int32(0)
    for i, j, pixels in _taps(values, tuple(size), strides, dilations, padding, pad_values):
        inputs = np.split(pixels, groups, axis=-1)
        # float32 holds every sum of up to 2^24 signs exactly, and its matrix product is fast.
        parts = [x @ w[:, i, j].T for x, w in zip(inputs, by_group, strict=True)]
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
    padding: str = "valid",
    pad_values: int = 1,
    activation: str = "NONE",
    scale: float | None = None,
    zero_point: int = 0,
) -> np.ndarray:
    """LceBconv2d: a binary convolution with float32, int8 or packed output.

    With a = `dot_products` of k = KH·KW·C / groups products, and `fl` one rounding to float32:

        float32:  y = fl(fl(v · −multiplier) + fl(bias + k·multiplier)),  v = k − clamp(a)
        int8:     y with −multiplier / scale and (bias + k·multiplier) / scale + zero_point, each
                  rounded once from double; then round(y), halves away from 0, in −128…127
        packed:   bit = 1 (−1) if (k − a) / 2 > threshold else 0 (+1)

    v is twice the number of different signs, y is clamp(a)·multiplier + bias as LCE rounds it.
    Output is packed if there is a `threshold`, int8 if there is a `scale`, else float32.

    True zeros (`pad_values=0`) in a float32 convolution without activation are a correction: a and
    y are computed with +1 outside the image, then y := fl(y + fl(c · −multiplier)), where c sums
    the weights outside. So do LCE's default and indirect kernels, which refuse every other output
    and are wrong where the image is smaller than the dilated kernel. LCE's reference kernel has the
    zeros in a itself (for even C, and not for packed output), as this function has for int8, packed
    and activated outputs; its float32 outputs differ from the other kernels' in the last bits.

    Args:
        words: Packed input, int32.
        filters: Packed kernels, int32. In several groups, a group's depth is a multiple of 32.
        channels_in: C, the input's true depth.
        multiplier, bias: Applied in this order after the activation, float32; 1 and 0 if None.
        threshold: int32, from `thresholds`; instead of multiplier, bias and scale.
        strides, dilations, padding, pad_values: As in `dot_products`.
        activation: Clamps a to [0, ∞) RELU, [−1, 1] RELU_N1_TO_1, [0, 6] RELU6. A packed output
            ignores it, for its thresholds contain it.
        scale, zero_point: Of the int8 output; scale > 0, zero_point 0 without it.

    Input shapes: (N, H, W, ceil(C / 32)), (O, KH, KW, ceil(C / groups / 32)), and (O,) each.
    Output shape: (N, OH, OW, O) float32 or int8, or (N, OH, OW, ceil(O / 32)) int32.

    Raises:
        ValueError: If shapes, dtypes or options do not fit.

    >>> image, kernel = pack(np.ones((1, 1, 1, 3))), pack(-np.ones((1, 1, 1, 3)))
    >>> bconv2d(image, kernel, channels_in=3, multiplier=[2.0], bias=[0.5])
    array([[[[-5.5]]]], dtype=float32)
    """
    words, filters = np.asarray(words), np.asarray(filters)
    _expect_images(words, filters)
    groups = max(words.shape[-1] // max(filters.shape[-1], 1), 1)
    if groups > 1 and channels_in != groups * filters.shape[-1] * WORD_BITS:
        raise ValueError(f"Got {channels_in} channels, {groups} groups; each takes 32, 64, 96...")
    if scale is None and zero_point:
        raise ValueError(f"Got zero_point={zero_point} without scale; only int8 outputs have one.")
    values, kernel = unpack(words, channels_in), unpack(filters, channels_in // groups)
    geometry = strides, dilations, padding
    count, k, (low, high) = len(kernel), kernel[0].size, _clamp(activation, kernel[0].size)
    sums = dot_products(values, kernel, *geometry, pad_values)
    if threshold is not None:
        if multiplier is not None or bias is not None or scale is not None:
            raise ValueError("Got threshold with multiplier, bias or scale: pass only one of them.")
        _expect_int32("threshold", threshold)
        limit = _per_channel("threshold", threshold, count, dtype=np.int32)
        return pack(k - sums <= 2 * limit.astype(np.int64))
    factor = -_per_channel("multiplier", multiplier, count, 1).astype(np.float64)
    offset = _per_channel("bias", bias, count).astype(np.float64) - k * factor
    if scale is not None:
        _expect_positive("scale", scale)
        factor, offset = factor / np.float32(scale), offset / np.float32(scale) + zero_point
    factor, offset = factor.astype(np.float32), offset.astype(np.float32)
    correct = padding == "same" and pad_values == 0 and activation == "NONE" and scale is None
    inner = dot_products(values, kernel, *geometry, 1) if correct else sums
    result = (k - np.clip(inner, low, high)).astype(np.float32) * factor + offset
    if scale is not None:
        return _to_int8(result)
    return result + (inner - sums).astype(np.float32) * factor if correct else result


def bmaxpool2d(words: ArrayLike, pool_size: Pair, strides: Pair, padding="valid") -> np.ndarray:
    """LceBMaxPool2d: the largest sign in a window, −1 only if all are; padding is left out.

    Args:
        words: Packed input, int32.
        pool_size: Rows and columns of a window, > 0.
        strides, padding: As in `dot_products`.

    Input shape: (N, H, W, words).   Output shape: (N, OH, OW, words), int32.

    Raises:
        ValueError: If `words` is not NHWC int32, or if no window fits into the image.

    >>> bmaxpool2d(np.array([[[[0b011], [0b110]]]], np.int32), (1, 2), 1)
    array([[[[2]]]], dtype=int32)
    """
    words = np.asarray(words)
    _expect_images(words)
    values = unpack(words, words.shape[-1] * WORD_BITS, np.int8)
    # Every window holds a pixel of the image, so −1 outside of it never decides a maximum.
    windows = _taps(values, _pair("pool_size", pool_size), strides, 1, padding, -1)
    return pack(np.maximum.reduce([pixels for _, _, pixels in windows]))


def thresholds(multiplier: ArrayLike, bias: ArrayLike, k: int, activation="NONE") -> np.ndarray:
    """Turns "clamp(a)·multiplier + bias < 0" into "more than so many signs are different".

        INT32_MIN (always −1)        if the output is < 0 at both ends of the clamp
        INT32_MAX (always +1)        if it is ≥ 0 at both ends, for an output of 0 is +1
        floor((b / |m| + k) / 2)     else

    The converter computes this in float32 up to the halving. A channel with m < 0 comes out right
    only if its kernel is flipped (multiplied by −1), which is the caller's to do.

    Args:
        multiplier, bias, activation: m and b, float32, and the clamp, as in `bconv2d`.
        k: Products in a sum: KH·KW·C / groups.

    Input shapes: (O,).   Output shape: (O,), int32.

    Raises:
        ValueError: If the shapes differ or are not (O,), or if `activation` is unknown.

    >>> thresholds([0.5, -1.0, 2.0], [0.25, 0.0, -99.0], 9)
    array([          4,           4, -2147483648], dtype=int32)
    """
    multiplier = _per_channel("multiplier", multiplier, np.size(multiplier))
    bias = _per_channel("bias", bias, len(multiplier))
    magnitude, (low, high) = np.abs(multiplier), _clamp(activation, k)
    start = np.where(multiplier < 0, np.float32(-high), np.float32(low)) * magnitude + bias
    end = np.where(multiplier < 0, np.float32(-low), np.float32(high)) * magnitude + bias
    crossing = (start < 0) != (end < 0)
    ratio = np.divide(bias, magnitude, out=np.zeros_like(bias), where=crossing)
    limit = np.floor(0.5 * (ratio + np.float32(k)).astype(np.float64))
    constant = np.where(start < 0, np.iinfo(np.int32).min, np.iinfo(np.int32).max)
    return np.where(crossing, limit, constant).astype(np.int32)


def _expect_images(*arrays: np.ndarray):
    if any(array.ndim != 4 for array in arrays):
        raise ValueError(f"Got {[a.shape for a in arrays]}; expected 4 axes, NHWC (and OHWI).")


def _expect_signs(name: str, values: np.ndarray):
    wrong = values[abs(values) != 1]
    if wrong.size:
        raise ValueError(f"Got {name} with {wrong[0]}; expected -1 and +1: quantize them first.")


def _expect_int32(name: str, values: ArrayLike):
    values, limits = np.asarray(values), np.iinfo(np.int32)
    if values.dtype.kind not in "iu" or ((values < limits.min) | (values > limits.max)).any():
        raise ValueError(
            f"Got {name} of {values.dtype}; expected integers from {limits.min} to {limits.max}."
        )


def _per_channel(name, values, channels, default: float = 0, dtype: DTypeLike = np.float32):
    values = np.full(channels, default, dtype) if values is None else np.asarray(values, dtype)
    if values.shape != (channels,):
        raise ValueError(f"Got {name} of shape {values.shape}; expected ({channels},).")
    return values


def _pair(name: str, value: Pair) -> tuple[int, int]:
    rows, columns = value if isinstance(value, tuple | list) else (value, value)
    _expect_positive(name, rows, columns)
    return rows, columns


def _expect_positive(name: str, *values: float):
    if not all(value > 0 for value in values):
        raise ValueError(f"Got {name}={values}; expected more than 0.")


def _taps(values, size, strides, dilations, padding, outside):
    """Yields row, column and pixels (N, OH, OW, C) of each tap of a window."""
    strides, dilations = _pair("strides", strides), _pair("dilations", dilations)
    axes = zip(values.shape[1:3], size, strides, dilations, strict=True)
    (out_height, *above), (out_width, *beside) = (_span(*axis, padding) for axis in axes)
    padded = np.pad(values, ((0, 0), above, beside, (0, 0)), constant_values=outside)
    for i, j in np.ndindex(size):
        pixels = padded[:, i * dilations[0] :: strides[0], j * dilations[1] :: strides[1]]
        yield i, j, pixels[:, :out_height, :out_width]


def _span(size: int, taps: int, stride: int, dilation: int, padding: str):
    """Returns the outputs along one axis and the pixels missing before and after the image."""
    extent = (taps - 1) * dilation + 1
    if padding == "same":
        outputs = -(-size // stride)
        missing = max((outputs - 1) * stride + extent - size, 0)
        return outputs, missing // 2, missing - missing // 2
    if padding != "valid":
        raise ValueError(f"Got padding={padding!r}; expected 'same' or 'valid'.")
    if extent > size:
        raise ValueError(f"Got a window of {extent} pixels, but only {size}: use padding='same'.")
    return (size - extent) // stride + 1, 0, 0


def _clamp(activation: str, k: int) -> tuple[int, int]:
    clamps = {"NONE": (-k, k), "RELU": (0, k), "RELU_N1_TO_1": (-1, 1), "RELU6": (0, 6)}
    if activation not in clamps:
        raise ValueError(f"Got activation={activation!r}; expected one of {', '.join(clamps)}.")
    return clamps[activation]


def _to_int8(values: np.ndarray) -> np.ndarray:
    # NumPy rounds halves to even; and float32 is too narrow to add 0.5 to 0.49999997.
    rounded = np.trunc(values + np.copysign(0.5, values, dtype=np.float64))
    return np.clip(rounded, -128, 127).astype(np.int8)
