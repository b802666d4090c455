"""Where the activations of a file take most memory, and how much."""

import numpy as np
from hand_made import BINARY, FLOAT32, INT4, INT8, INT32, hand_made

from keras_bnn.tflite import describe


def test_peak_of_activations():
    """64 KiB in → 64 KiB → 16 KiB, while a tensor of 4 KiB from the start waits for the end."""
    sizes = [(1, 64, 256), (1, 64, 256), (1, 64, 64), (1, 1024), (1, 64, 64)]
    steps = [
        ("MEAN", [0], [3], None),
        ("RELU", [0], [1], None),
        ("MAX_POOL_2D", [1], [2], None),
        ("ADD", [2, 3], [4], None),
    ]
    peak = describe(hand_made([(FLOAT32, size, None) for size in sizes], steps)).peak
    assert (peak.bytes, peak.packed_bytes) == (65536 + 65536 + 4096, 0)
    assert (peak.index, peak.operator, peak.layer) == (1, "RELU", "t1")


def test_peak_counts_packed_tensors_as_they_are_and_constants_not():
    """40 channels take two words: 4·4·2·4 bytes; the numbers behind them 4·4·6·4."""
    words, result = np.zeros((6, 1, 3, 2), np.int32), (FLOAT32, (1, 4, 4, 6), None)
    tensors = [(INT32, (1, 4, 4, 2), None), (INT32, words.shape, words), result]
    peak = describe(hand_made(tensors, [("LceBconv2d", [0, 1, -1, -1, -1], [2], BINARY)])).peak
    assert (peak.bytes, peak.packed_bytes) == (128 + 384, 128)


def test_outputs_and_states_stay_until_the_end():
    """An output of 100 bytes and a state of 7, which nothing writes, are there at the last step."""
    tensors = [(INT8, (size,), None) for size in (16, 7, 100, 10, 200)]
    steps = [("ADD", [0, 1], [2], None), ("NEG", [0], [3], None), ("EXP", [3], [4], None)]
    assert describe(hand_made(tensors, steps, outputs=[2, 4])).peak.bytes == 7 + 100 + 10 + 200
    assert describe(hand_made(tensors, steps, outputs=[4])).peak.bytes == 7 + 10 + 200


def test_peak_of_half_bytes_and_of_nothing():
    """Five int4 take 3 bytes."""
    tensors = [(INT4, (5,), None), (INT8, (2,), None)]
    assert describe(hand_made(tensors, [("ABS", [0], [1], None)])).peak.bytes == 3 + 2
    empty = describe(hand_made([(FLOAT32, (1, 4), None)], [])).peak
    assert (empty.bytes, empty.operator) == (16, None)
