"""Every kernel of the native library that runs here, forced in turn, equals `reference`."""

import re
import time
from pathlib import Path

import native_kernels
import numpy as np
import pytest
import single_operator
from hypothesis import given, settings
from hypothesis import strategies as st
from native_kernels import AVAILABLE, KERNELS, Bconv2d, Threads
from single_operator import DEPTHS, draw_convolution

from keras_bnn import bits, reference

EXPECTED = {
    ("bconv2d", "float32"),
    ("bconv2d", "int8"),
    ("bconv2d", "packed"),
    ("bmaxpool2d", "packed"),
    ("dequantize", "float32"),
    ("dequantize", "int8"),
    ("dequantize", "bool"),
    ("quantize", "float32"),
    ("quantize", "int8"),
    ("quantize", "bool"),
}


def kernels(operator):
    return [(dtype, isa) for name, dtype, isa in KERNELS if name == operator]


def equal(got, expected):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


def test_every_set_that_the_processor_reports_has_its_kernels():
    """A set that is here and has no kernel would be skipped by all tests below."""
    flags = Path("/proc/cpuinfo").read_text().split()
    sets = {"avx2": "avx2", "avx512": "avx512_vpopcntdq", "neon": "asimd"}
    here = {isa for isa, flag in sets.items() if flag in flags} | {"portable"}
    assert set(AVAILABLE) == here
    assert {isa for _, isa in kernels("bconv2d")} == here
    for complete in here & {"portable", "neon"}:
        assert {
            (operator, dtype) for operator, dtype, isa in KERNELS if isa == complete
        } == EXPECTED


@pytest.mark.parametrize(("dtype", "isa"), kernels("quantize"))
def test_quantize(dtype, isa):
    rng = np.random.default_rng(0)
    for channels in DEPTHS:
        for rows in ((1,), (3,), (2, 5)):
            values = rng.integers(-3, 3, (*rows, channels)).astype(dtype)
            zero_point = 0
            if dtype == "int8":
                zero_point = int(rng.integers(-4, 4))
                values[rng.random(values.shape) < 0.1] = rng.choice([-128, 127])
            if dtype == "float32":
                special = np.float32([-0.0, 0, np.nan, -1e-40, 1e-40, np.inf, -np.inf])
                where = rng.random(values.shape) < 0.3
                values[where] = rng.choice(special, where.sum())
            got = native_kernels.quantize(values, zero_point=zero_point, isa=isa)
            equal(got, reference.quantize(values, zero_point))


@pytest.mark.parametrize(("dtype", "isa"), kernels("dequantize"))
def test_dequantize(dtype, isa):
    rng = np.random.default_rng(1)
    for channels in DEPTHS:
        words = bits.pack(rng.choice(np.float32([-1, 1]), (3, channels)))
        for scale, zero_point in ((1, 0), (0.3, 126), (0.004, -128), (2.5, 7), (2, 7)):
            options = {"scale": scale, "zero_point": zero_point} if dtype == "int8" else {}
            got = native_kernels.dequantize(words, channels, dtype, **options, isa=isa)
            equal(got, reference.dequantize(words, channels, dtype, **options))


@pytest.mark.parametrize(("dtype", "isa"), kernels("bmaxpool2d"))
@settings(deadline=None, max_examples=100)
@given(case=st.data())
def test_bmaxpool2d(dtype, isa, case):
    size = case.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    strides = case.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    padding = case.draw(st.sampled_from(["same", "valid"]))
    least = size if padding == "valid" else (1, 1)
    shape = [case.draw(st.integers(1, 3))]
    shape += [case.draw(st.integers(smallest, 9)) for smallest in least]
    rng = np.random.default_rng(case.draw(single_operator.seeds))
    words = rng.integers(-(2**31), 2**31, (*shape, case.draw(st.integers(1, 3))), np.int32)
    got = native_kernels.bmaxpool2d(words, size, strides, padding, isa=isa)
    equal(got, reference.bmaxpool2d(words, size, strides, padding))


@pytest.mark.parametrize(("dtype", "isa"), kernels("bconv2d"))
def test_bconv2d(dtype, isa):
    for seed in range(150):
        words, filters, options = draw_convolution(np.random.default_rng(seed), dtype)
        got = native_kernels.bconv2d(words, filters, isa=isa, **options)
        expected = reference.bconv2d(words, filters, **options)
        np.testing.assert_array_equal(got, expected, f"seed {seed}: {options}")


@pytest.mark.parametrize(("dtype", "isa"), kernels("bconv2d"))
def test_bconv2d_of_every_number_of_channels(dtype, isa):
    rng = np.random.default_rng(2)
    image = bits.pack(rng.choice(np.float32([-1, 1]), (1, 3, 5, 40)))
    for outputs in range(1, 258):
        filters = bits.pack(rng.choice(np.float32([-1, 1]), (outputs, 1, 2, 40)))
        constants = {"multiplier": rng.normal(size=outputs).astype(np.float32), "bias": None}
        if dtype == "int8":
            constants["scale"] = 0.7
        if dtype == "packed":
            constants = {"threshold": rng.integers(20, 60, outputs).astype(np.int32)}
        got = native_kernels.bconv2d(image, filters, channels_in=40, isa=isa, **constants)
        equal(got, reference.bconv2d(image, filters, channels_in=40, **constants))


@pytest.mark.parametrize("isa", AVAILABLE)
def test_the_largest_counts_do_not_overflow(isa):
    """Every sign different, at the depth where sums of bytes are full just before they widen."""
    for depth in (31 * 32, 32 * 32, 4608, 65536):
        image, filters = np.ones((1, 1, 1, depth)), -np.ones((33, 1, 1, depth))
        words, kernel = bits.pack(image), bits.pack(filters)
        got = native_kernels.bconv2d(words, kernel, channels_in=depth, isa=isa)
        assert set(got.ravel()) == {-depth}


@pytest.mark.parametrize("isa", AVAILABLE)
@pytest.mark.parametrize(("taps", "words"), [(3, 1000), (2, 2047), (2, 2048), (5, 700)])
def test_more_words_than_sums_of_16_bits_hold(isa, taps, words):
    seed = taps * words
    rng = np.random.default_rng(seed)
    image = rng.integers(-(2**31), 2**31, (1, 1, taps + 6, words), np.int32)
    filters = np.concatenate(
        [~image[:, :, 2 : 2 + taps], rng.integers(-(2**31), 2**31, (40, 1, taps, words), np.int32)]
    )
    options = {"channels_in": 32 * words}
    expected = reference.bconv2d(image, filters, **options)
    assert expected[0, 0, 2, 0] == -32 * words * taps
    equal(native_kernels.bconv2d(image, filters, isa=isa, **options), expected)


@pytest.mark.parametrize("isa", AVAILABLE)
def test_int8_outputs_at_halves_beside_them_and_out_of_range(isa):
    halves = np.arange(-128, 128, dtype=np.float32) + np.float32(0.5)
    beside = [np.nextafter(halves, np.float32(limit)) for limit in (-999, 999)]
    beyond_int32 = np.float32([-1e38, -3e9, 3e9, 1e38])
    multiplier = np.concatenate([halves, *beside, beyond_int32])
    filters = bits.pack(np.ones((len(multiplier), 1, 1, 1), np.float32))
    options = {"channels_in": 1, "multiplier": multiplier, "scale": 1.0}
    image = bits.pack(np.ones((1, 1, 7, 1), np.float32))
    got = native_kernels.bconv2d(image, filters, isa=isa, **options)
    equal(got, reference.bconv2d(image, filters, **options))
    exact = multiplier.astype(np.float64)
    away = np.copysign(np.floor(np.abs(exact) + 0.5), exact)
    equal(got[0, 0, 0], np.clip(away, -128, 127).astype(np.int8))


@pytest.mark.parametrize("isa", AVAILABLE)
def test_convolutions_of_one_size_keep_their_own_weights(isa):
    rng = np.random.default_rng(4)
    words = bits.pack(rng.choice(np.float32([-1, 1]), (1, 3, 3, 64)))
    filters = [bits.pack(rng.choice(np.float32([-1, 1]), (33, 1, 1, 64))) for _ in range(4)]
    filters[2] = filters[0]
    convs = [Bconv2d(each, channels_in=64, isa=isa) for each in filters]
    del convs[0]
    for conv, each in zip(convs, filters[1:], strict=True):
        equal(conv(words), reference.bconv2d(words, each, channels_in=64))


@pytest.mark.parametrize("isa", AVAILABLE)
def test_one_convolution_follows_its_inputs(isa):
    """Other addresses, other shapes, up and down, batches past those that the table holds."""
    rng = np.random.default_rng(3)
    filters = bits.pack(rng.choice(np.float32([-1, 1]), (40, 3, 3, 50)))
    options = {"channels_in": 50, "padding": "same", "pad_values": 0}
    conv = Bconv2d(filters, **options, isa=isa)
    for shape in [(1, 5, 7), (1, 5, 7), (33, 5, 7), (2, 1, 1), (3, 60, 70), (1, 9, 2)]:
        words = bits.pack(rng.choice(np.float32([-1, 1]), (*shape, 50)))
        equal(conv(words), reference.bconv2d(words, filters, **options))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_threads_change_nothing(count):
    with Threads(count) as threads:
        for seed in range(40):
            rng = np.random.default_rng(seed)
            dtype = ("float32", "int8", "packed")[seed % 3]
            words, filters, options = draw_convolution(rng, dtype)
            alone = native_kernels.bconv2d(words, filters, isa=AVAILABLE[0], **options)
            shared = native_kernels.bconv2d(
                words, filters, isa=AVAILABLE[0], threads=threads, **options
            )
            np.testing.assert_array_equal(alone, shared, f"seed {seed}: {options}")
            values = rng.normal(size=(seed + 1, 45)).astype(np.float32)
            packed = native_kernels.quantize(values, isa=AVAILABLE[0], threads=threads)
            equal(packed, bits.pack(values))


def tasks_of_this_process():
    return {path.name for path in Path("/proc/self/task").iterdir()}


def times_gone_to_sleep(task):
    status = Path(f"/proc/self/task/{task}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[1])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are looked at in /proc")
def test_a_thread_that_sleeps_is_woken():
    words = bits.pack(np.ones((1, 30, 30, 32), np.float32))
    conv = Bconv2d(bits.pack(np.ones((64, 3, 3, 32), np.float32)), channels_in=32, isa="portable")
    before = tasks_of_this_process()
    with Threads(2) as threads:
        (worker,) = tasks_of_this_process() - before
        first, end = times_gone_to_sleep(worker), time.monotonic() + 60
        while times_gone_to_sleep(worker) < first + 5:
            assert time.monotonic() < end, "it sleeps on"
            time.sleep(0.001)  # longer than it looks before it sleeps
            conv(words, threads)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": (0, 1)}, "Got 0, expected 1 or more"),
        ({"channels_in": 64, "filters": (3, 1, 1, 1)}, "2 groups of 64 input and 3 output"),
        ({"scale": -1.0}, "scale -1, expected more than 0"),
    ],
)
def test_what_a_convolution_refuses(change, message):
    options = {"channels_in": 32, "filters": (2, 1, 1, 1), "isa": "portable", **change}
    filters = np.zeros(options.pop("filters"), np.int32)
    with pytest.raises(ValueError, match=message):
        Bconv2d(filters, **options)


def test_a_window_larger_than_the_image_is_refused():
    conv = Bconv2d(np.zeros((1, 3, 1, 1), np.int32), channels_in=7, isa="portable")
    with pytest.raises(ValueError, match="a window of 3 rows, expected at most the 2 of the image"):
        conv(np.zeros((1, 2, 2, 1), np.int32))
