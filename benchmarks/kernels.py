"""Times every kernel that runs here, alone in cache on one core: python benchmarks/kernels.py.

Convolutions are 3×3 with one-padding, in binary multiply-accumulates per second; the rest is in
bytes of input per second. The best of many runs counts: what disturbs a run makes it longer.
Ratios between rows mean something, for they come from one run on one machine.
"""

import ctypes
import sys
import time
from pathlib import Path

import numpy as np
from instructions import CONVOLUTIONS

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import native_kernels as native

from keras_bnn.bits import words_for
from keras_bnn.runtime import machine
from keras_bnn.tables import aligned

SECONDS = 0.3
ROWS, CHANNELS = 256, 256


def best_of(call) -> float:
    """Seconds of the fastest of as many calls as fit."""
    call()
    fastest, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def random_words(rng, *shape):
    return rng.integers(-(2**31), 2**31, shape, np.int32)


def seconds_of(conv, words) -> float:
    output = conv(words)
    arguments = [ctypes.c_void_p(conv._conv), *map(native._pointer, (words, output)), None]
    return best_of(lambda: native.LIBRARY.bnn_bconv2d_run(*arguments))


def convolutions(rng, dtype, isa):
    """Yields shapes and GMAC/s."""
    for size, channels in CONVOLUTIONS:
        words = random_words(rng, 1, size, size, words_for(channels))
        filters = random_words(rng, channels, 3, 3, words_for(channels))
        options = {"threshold": np.zeros(channels, np.int32)} if dtype == "packed" else {}
        if dtype == "int8":
            options["scale"] = 1.0
        conv = native.Bconv2d(
            filters, channels_in=channels, padding="same", pad_values=1, isa=isa, **options
        )
        yield f"{size}²×{channels}", 9 * size**2 * channels**2 / seconds_of(conv, words) / 1e9


def others(rng, operator, dtype, isa):
    if operator == "quantize":
        values = rng.integers(0, 2, (ROWS, CHANNELS)).astype(dtype)
        seconds, size = best_of(lambda: native.quantize(values, isa=isa)), values.nbytes
    else:
        words = random_words(rng, 1, 28, 28, words_for(CHANNELS))
        size = words.nbytes
        if operator == "dequantize":
            seconds = best_of(lambda: native.dequantize(words, CHANNELS, dtype, isa=isa))
        else:
            seconds = best_of(lambda: native.bmaxpool2d(words, (3, 3), (2, 2), isa=isa))
    yield f"{size:,} bytes", f"{size / seconds / 1e9:.2f} GB/s"


def main() -> None:
    rng = np.random.default_rng(0)
    rows = [("operator", "type", "set", "shape", "speed")]
    for operator, dtype, isa in native.KERNELS:
        if operator == "bconv2d":
            found = [(at, f"{speed:,.0f} GMAC/s") for at, speed in convolutions(rng, dtype, isa)]
        else:
            found = others(rng, operator, dtype, isa)
        rows += [(operator, dtype, isa, shape, speed) for shape, speed in found]
    print(machine.processor())
    print(aligned(rows, right=[4]))


if __name__ == "__main__":
    main()
