"""Where `describe` sees numbers between two layers that could hand on bits, and why."""

import numpy as np
import pytest
from hand_made import BINARY, FLOAT32, INT32, hand_made

from keras_bnn.tflite import describe


def chain(*operators, channels=64, padding=1):
    """A file: packed input → LceBconv2d "conv" → each operator, from one tensor to the next.

    Args:
        operators: Names. "ADD" adds the input "shortcut" instead of a constant.
        channels: Of every tensor.
        padding: 1 with 1.0, 0 with zeros.
    """
    words = np.zeros((channels, 3, 3, channels // 32), np.int32)
    scale = np.ones(channels, np.float32)
    numbers, packed = (FLOAT32, (1, 4, 4, channels), None), (INT32, (1, 4, 4, channels // 32), None)
    tensors = [packed, (INT32, words.shape, words), (FLOAT32, (channels,), scale), numbers, numbers]
    convolution = {**BINARY, "channels_in": channels, "pad_values": padding}
    steps = [("LceBconv2d", [0, 1, 2, 2, -1], [4], convolution)]
    for name in operators:
        source = len(tensors) - 1
        more = {"MUL": [2], "ADD": [3]}.get(name, [])
        tensors.append(packed if name == "LceQuantize" else numbers)
        steps.append((name, [source, *more], [source + 1], None))
    names = {0: "bits", 3: "shortcut", 4: "conv", len(tensors) - 1: "last"}
    return hand_made(tensors, steps, names=names, inputs=[0, 3])


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            chain("MAX_POOL_2D", "MUL", "LceQuantize"),
            "MAX_POOL_2D between conv and its sign; put batch norm first",
        ),
        (
            chain("RELU", "MAX_POOL_2D", "LceQuantize"),
            "MAX_POOL_2D between conv and its sign; put batch norm first",
        ),
        (
            chain("AVERAGE_POOL_2D", "LceQuantize"),
            "AVERAGE_POOL_2D between conv and its sign; use max pooling after the batch norm, or "
            "strides",
        ),
        (
            chain("PRELU", "LceQuantize"),
            "PRELU between conv and its sign; use relu before the batch norm, or no activation",
        ),
        (chain("ADD", "LceQuantize"), "ADD joins conv with another branch before its sign"),
        (
            chain("LceQuantize", padding=0),
            "conv pads with zeros, which are no bits; use pad_values=1.0",
        ),
        (
            chain("RELU", "MUL", "LceQuantize"),
            "RELU, MUL between conv and its sign; use no bias and no scale before the activation; "
            "batch norm does both",
        ),
        (chain("NEG", "LceQuantize"), "NEG between conv and its sign"),
    ],
)
def test_a_break_names_its_cause_and_remedy(file, expected):
    (found,) = describe(file).breaks
    assert str(found) == expected
    assert (found.layer, found.reader) == ("conv", "last")
    assert f"breaks in packed chains:\n  {expected}\n" in str(describe(file))


def test_a_break_lists_the_operators_between():
    (found,) = describe(chain("MAX_POOL_2D", "MUL", "LceQuantize")).breaks
    assert found.operators == ("MAX_POOL_2D", "MUL")
    plain = describe(chain("ADD", "LceQuantize")).to_dict()["breaks"]
    assert [entry["remedy"] for entry in plain] == [None]


@pytest.mark.parametrize(
    "operators",
    [("MEAN",), ("MUL", "FULLY_CONNECTED"), ("ADD", "ADD", "LceQuantize")],
    ids=["output", "float layer", "second join"],
)
def test_where_the_binary_part_ends_nothing_is_broken(operators):
    """Behind a second sum the layer is one of many parts, so it is not named again."""
    if operators[-1] == "FULLY_CONNECTED":
        weights = np.ones((8, 1024), np.float32)
        file = hand_made(
            [
                (INT32, (1, 4, 4, 2), None),
                (INT32, (64, 3, 3, 2), np.zeros((64, 3, 3, 2), np.int32)),
                (FLOAT32, (1, 4, 4, 64), None),
                (FLOAT32, weights.shape, weights),
                (FLOAT32, (1, 8), None),
                (INT32, (1, 1), None),
            ],
            [
                ("LceBconv2d", [0, 1, -1, -1, -1], [2], {**BINARY, "channels_in": 64}),
                ("FULLY_CONNECTED", [2, 3], [4], None),
                ("LceQuantize", [4], [5], None),
            ],
        )
    else:
        file = chain(*operators)
    assert describe(file).breaks == ()


def test_an_output_that_numbers_leave_by_keeps_its_layer_from_packing():
    """conv → sign, and conv itself is an output of the model."""
    words = np.zeros((64, 1, 1, 2), np.int32)
    tensors = [
        (INT32, (1, 4, 4, 2), None),
        (INT32, words.shape, words),
        (FLOAT32, (1, 4, 4, 64), None),
        (INT32, (1, 4, 4, 2), None),
    ]
    steps = [
        ("LceBconv2d", [0, 1, -1, -1, -1], [2], {**BINARY, "channels_in": 64}),
        ("LceQuantize", [2], [3], None),
    ]
    (found,) = describe(hand_made(tensors, steps, outputs=[2, 3])).breaks
    assert found.cause == "t2 is read by LceQuantize and the caller, which needs numbers"


def unpacked(*operators, weights=None):
    """A file: packed input "bits" → LceDequantize → each operator → FULLY_CONNECTED "dense"."""
    weights = np.ones((8, 64), np.float32) if weights is None else weights
    tensors = [(INT32, (1, 2), None), (FLOAT32, weights.shape, weights), (FLOAT32, (1, 64), None)]
    steps = [("LceDequantize", [0], [2], None)]
    for name in (*operators, "FULLY_CONNECTED"):
        source, dense = len(tensors) - 1, name == "FULLY_CONNECTED"
        tensors.append((FLOAT32, (1, 8 if dense else 64), None))
        steps.append((name, [source, 1] if dense else [source], [source + 1], None))
    return hand_made(tensors, steps, names={0: "bits", len(tensors) - 1: "dense"})


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            unpacked(),
            "FULLY_CONNECTED dense reads signs as numbers; export it with keras_bnn, which makes "
            "dense layers 1-bit",
        ),
        (
            unpacked(weights=np.arange(512, dtype=np.float32).reshape(8, 64)),
            "FULLY_CONNECTED dense reads signs as numbers: its weights are not binary",
        ),
        (
            unpacked("MAX_POOL_2D"),
            "MAX_POOL_2D between the sign bits and dense; put the sign after it",
        ),
        (unpacked("PAD"), "PAD between the sign bits and dense; use the layer's own padding"),
    ],
)
def test_a_chain_that_a_float_layer_ends_says_why(file, expected):
    (found,) = describe(file).breaks
    assert str(found) == expected
    assert (found.layer, found.reader) == ("bits", "dense")


def test_bits_that_are_unpacked_and_packed_again_are_one_break():
    """conv, which writes bits → LceDequantize → NEG → LceQuantize."""
    words = np.zeros((64, 1, 1, 2), np.int32)
    packed, real = (INT32, (1, 4, 4, 2), None), (FLOAT32, (1, 4, 4, 64), None)
    tensors = [packed, (INT32, words.shape, words), packed, real, real, packed]
    steps = [
        ("LceBconv2d", [0, 1, -1, -1, -1], [2], {**BINARY, "channels_in": 64}),
        ("LceDequantize", [2], [3], None),
        ("NEG", [3], [4], None),
        ("LceQuantize", [4], [5], None),
    ]
    (found,) = describe(hand_made(tensors, steps)).breaks
    assert str(found) == "NEG between the sign t2 and t5"


def test_signs_that_leave_the_model_are_no_break():
    tensors = [(INT32, (1, 2), None), (FLOAT32, (1, 64), None)]
    assert describe(hand_made(tensors, [("LceDequantize", [0], [1], None)])).breaks == ()
