"""The packing rule: one sign a bit, 32 channels a word.

Bit i of word j, counted from the least significant, is channel 32·j + i of the last axis. A bit of
0 is +1 and a bit of 1 is −1. Every row (all axes but the last) starts a new word, and the bits
past its last channel are 0, so they are equal in any two rows and never count as different.
"""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

WORD_BITS = 32

_ONES_IN_BYTE = np.array([value.bit_count() for value in range(256)], np.uint8)


def words_for(channels: int) -> int:
    """Counts the words that hold one row of `channels` signs: ceil(channels / 32).

    Raises:
        ValueError: If `channels` is not positive.

    >>> words_for(32), words_for(33)
    (1, 2)
    """
    if channels < 1:
        raise ValueError(f"Got {channels} channels; a packed row has at least 1.")
    return -(-channels // WORD_BITS)


def pack(values: ArrayLike, zero_point: int = 0) -> np.ndarray:
    """Packs the signs of `values` along the last axis.

        bit = 1 if x < zero_point else 0        (bool: bit = 1 if not x else 0)

    0, −0.0 and NaN are not below zero, so their bit is 0: they count as +1. A negative denormal is
    −1; LCE's x86 build alone reads it as 0.

    Args:
        values: Array of float, int8 or bool, with at least one axis.
        zero_point: The int8 value that stands for 0, from −128 to 127. Only int8 has one.

    Input shape: (…, channels).   Output shape: (…, ceil(channels / 32)), int32; the bits past
    the last channel are 0.

    Raises:
        ValueError: If `values` has another dtype (int32 is refused because packed words are
            int32), no axis or no channels, or if `zero_point` does not fit the dtype.

    >>> pack(np.array([[-1.0, 1.0, -2.5, 0.0]]))
    array([[5]], dtype=int32)
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fb" and values.dtype != np.int8:
        raise ValueError(
            f"Got values of {values.dtype}; expected float, int8 or bool: convert them."
        )
    if values.ndim == 0:
        raise ValueError("Got a single number; expected an array whose last axis is the channels.")
    if not (-128 <= zero_point <= 127 if values.dtype == np.int8 else zero_point == 0):
        raise ValueError(
            f"Got zero_point={zero_point} with {values.dtype}; expected -128 to 127 with int8, "
            "and 0 with any other dtype."
        )
    negative = ~values if values.dtype == bool else values < zero_point
    channels = values.shape[-1]
    padded = np.zeros((*values.shape[:-1], words_for(channels) * WORD_BITS), bool)
    padded[..., :channels] = negative
    return np.packbits(padded, axis=-1, bitorder="little").view("<i4").astype(np.int32)


def unpack(words: ArrayLike, channels: int, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Writes packed signs out as −1 and +1; the inverse of `pack`.

        x = 1 − 2·bit

    Args:
        words: int32 array.
        channels: How many signs a row holds; the words alone do not tell.
        dtype: Signed dtype of the result.

    Input shape: (…, ceil(channels / 32)).   Output shape: (…, channels).

    Raises:
        ValueError: If `words` is not int32, if its last axis is not `words_for(channels)` long,
            if a bit past the last channel is set, or if `dtype` cannot hold −1.

    >>> unpack(np.array([[5]], np.int32), 4)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    words = np.asarray(words)
    if words.dtype != np.int32 or words.ndim == 0:
        raise ValueError(
            f"Got words of {words.dtype}, shape {words.shape}; expected an int32 array."
        )
    if words.shape[-1] != words_for(channels):
        raise ValueError(
            f"Got {words.shape[-1]} words a row; {channels} channels take {words_for(channels)}: "
            "change `channels` or the last axis."
        )
    if np.dtype(dtype).kind not in "fi":
        raise ValueError(
            f"Got dtype={np.dtype(dtype)}; -1 needs a float or a signed integer dtype."
        )
    octets = np.ascontiguousarray(words, "<i4").view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")
    if bits[..., channels:].any():
        raise ValueError(
            f"Got bits set past channel {channels}; those must be 0: pack the values again."
        )
    return 1 - 2 * bits[..., :channels].astype(dtype)


def different(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Counts the channels in which two packed rows have different signs: popcount(a ^ b).

    The ±1 dot product over k channels follows as `k - 2 * different(a, b)`, for every product is
    +1 where the signs agree and −1 where they differ.

    Input shapes: (…, words), int32; all axes but the last broadcast against each other.
    Output shape: (…), int32.

    Raises:
        ValueError: If `a` or `b` is not int32 or has no axis, or if their rows differ in words.

    >>> different(pack(np.array([[1.0, -1.0, -1.0]])), pack(np.array([1.0, 1.0, 1.0])))
    array([2], dtype=int32)
    """
    a, b = np.asarray(a), np.asarray(b)
    for words in (a, b):
        if words.dtype != np.int32 or words.ndim == 0:
            raise ValueError(
                f"Got words of {words.dtype}, shape {words.shape}; expected an int32 array."
            )
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"Got rows of {a.shape[-1]} and {b.shape[-1]} words; expected as many in both: pack "
            "the same number of channels."
        )
    octets = np.ascontiguousarray(a ^ b).view(np.uint8)
    return _ONES_IN_BYTE[octets].sum(axis=-1, dtype=np.int32)
