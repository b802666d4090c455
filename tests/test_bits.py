"""The packing rule: lossless, 0 counts as +1, the bits past the last channel are 0."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_bnn import bits

DEPTHS = st.integers(1, 200) | st.sampled_from([256, 1000, 1023, 1024, 1025, 4096])
SEEDS = st.integers(0, 2**32 - 1)
every_depth = settings(deadline=None)


def signs(seed, *shape):
    return np.random.default_rng(seed).choice([-1, 1], shape).astype(np.int8)


def test_by_hand():
    # Channels 0 and 2 are −1: 2^0 + 2^2. Channel 31 is the sign bit of word 0, 32 opens word 1.
    values = np.ones((1, 34))
    values[0, [0, 2, 31, 32]] = -1
    packed = bits.pack(values)
    assert packed.dtype == np.int32
    assert packed.tolist() == [[5 - 2**31, 1]]
    assert packed.astype("<i4").tobytes() == bytes([0b101, 0, 0, 0b10000000, 1, 0, 0, 0])


@every_depth
@given(DEPTHS, st.lists(st.integers(1, 3), max_size=3), SEEDS)
def test_round_trip_is_lossless_and_padding_bits_are_zero(channels, rows, seed):
    values = signs(seed, *rows, channels)
    packed = bits.pack(values)
    assert packed.shape == (*rows, bits.words_for(channels))
    for dtype in (np.float32, np.int8, np.int32):
        unpacked = bits.unpack(packed, channels, dtype)
        assert unpacked.dtype == dtype
        assert np.array_equal(unpacked, values)
    # The same bits as those of a row that is filled up with +1.
    filled = np.ones((*rows, 32 * packed.shape[-1]), np.int8)
    filled[..., :channels] = values
    assert np.array_equal(packed, bits.pack(filled))


@every_depth
@given(DEPTHS, SEEDS)
def test_every_bit_is_where_the_rule_says(channels, seed):
    values = signs(seed, channels)
    words = [int(word) for word in bits.pack(values)]
    for channel, value in enumerate(values):
        assert (words[channel // 32] >> (channel % 32)) & 1 == (value < 0)


@every_depth
@given(DEPTHS, st.integers(-128, 127), SEEDS)
def test_dtypes_agree(channels, zero_point, seed):
    values = np.random.default_rng(seed).integers(-128, 128, channels, np.int8)
    centred = values.astype(np.float32) - zero_point
    packed = bits.pack(values, zero_point)
    for same in (centred, centred.astype(np.float16), centred.astype(np.float64), centred >= 0):
        assert np.array_equal(packed, bits.pack(same))


@every_depth
@given(DEPTHS, SEEDS)
def test_popcount_of_xor_gives_the_dot_product(channels, seed):
    a, b = signs(seed, 3, 1, channels), signs(seed + 1, 4, channels)
    different = bits.different(bits.pack(a), bits.pack(b))
    products = (a.astype(np.int32) * b).sum(axis=-1)
    assert different.dtype == np.int32
    assert np.array_equal(channels - 2 * different, products)


def test_zeros_and_nan_are_plus_one_and_denormals_keep_their_sign():
    values = np.array([0.0, -0.0, np.nan, -np.inf, np.inf, -1e-40, 1e-40], np.float32)
    assert bits.unpack(bits.pack(values), 7).tolist() == [1, 1, 1, -1, 1, -1, 1]
    assert bits.unpack(bits.pack(np.array([False, True])), 2).tolist() == [-1, 1]


def test_any_memory_order_is_read():
    values = signs(0, 40, 6, 2)
    expected = bits.pack(np.ascontiguousarray(values.T))
    assert np.array_equal(bits.pack(values.T), expected)
    assert np.array_equal(bits.unpack(np.asfortranarray(expected), 40, np.int8), values.T)
    assert np.array_equal(bits.unpack(expected[:, ::-2], 40, np.int8), values.T[:, ::-2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bits.pack(np.zeros(3, np.int32)), "int32"),
        (lambda: bits.pack(["a"]), "expected float, int8 or bool"),
        (lambda: bits.pack(1.0), "single number"),
        (lambda: bits.pack(np.zeros((2, 0))), "at least 1"),
        (lambda: bits.pack(np.zeros(3), zero_point=1), "zero_point=1"),
        (lambda: bits.pack(np.zeros(3, np.int8), zero_point=128), "zero_point=128"),
        (lambda: bits.unpack(np.zeros(1, np.int64), 3), "int64"),
        (lambda: bits.unpack(np.zeros((2, 2), np.int32), 32), "32 channels take 1"),
        (lambda: bits.unpack(np.array([8], np.int32), 3), "past channel 3"),
        (lambda: bits.unpack(np.array([8], np.int32), 4, np.uint8), "uint8"),
        (lambda: bits.different(np.zeros(1), np.zeros(1, np.int32)), "float64"),
        (lambda: bits.different(bits.pack(np.ones(3)), bits.pack(np.ones(96))), "1 and 3 words"),
        (lambda: bits.words_for(0), "Got 0 channels"),
    ],
)
def test_errors_say_what_was_got(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
