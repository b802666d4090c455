"""What `describe` says of single layers: their shapes, their work and how weights are stored."""

import numpy as np
import pytest
from fields import fields
from hand_made import BINARY, FLOAT16, FLOAT32, INT8, INT32, binary_layer, hand_made

from keras_bnn.tflite import TFLiteFileError, describe


def test_int8_output_and_batch():
    (layer,) = describe(binary_layer()).layers
    assert fields(layer, "output kind padding") == ("int8", "1-bit", "same one")
    assert layer.filter_shape == (1, 3, 40, 6)
    assert layer.macs == 2 * 4 * 4 * 6 * 3 * 40
    assert layer.weight_bytes == 6 * 3 * 2 * 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"options": {"channels_in": 65}}, "reads 65 channels as int32 [2, 4, 4, 2]"),
        ({"options": {"channels_in": 0}}, "reads 0 channels"),
        ({"options": {"channels_in": -1}}, "reads -1 channels"),
        ({"options": {"padding": 2}}, "has the option padding = 2, expected one of 0 to 1"),
        ({"options": {"pad_values": -1}}, "has the option pad_values = -1"),
        ({"options": {"fused_activation_function": 9}}, "fused_activation_function = 9"),
        ({"options": {"stride_width": "1"}}, "expected a map of integers"),
        ({"inputs": 4}, "has 4 inputs, not 5"),
        ({"weights": (6, 1, 3, 1)}, "filters as int32 [6, 1, 3, 1], which does not fit"),
        ({"weights": (6, 3, 2)}, "has a tensor of shape [6, 3, 2], expected 4 dimensions"),
        ({"weights": (6, 1, 3, 0)}, "which does not fit"),
        ({"weights": (6, 1, 5, 2)}, "has 144 bytes, expected 240 for int32 of shape"),
        ({"result": (INT32, (2, 4, 4, 6))}, "writes int32 [2, 4, 4, 6]"),
        ({"result": (FLOAT16, (2, 4, 4, 6))}, "writes float16 [2, 4, 4, 6]"),
    ],
)
def test_contradictions_are_refused(change, expected):
    with pytest.raises(TFLiteFileError) as raised:
        describe(binary_layer(**change))
    assert expected in str(raised.value)
    assert str(raised.value).isprintable()


def test_missing_options_and_tensors_are_refused():
    kernel = np.ones((2, 1, 1, 3), np.float32)
    tensors = [
        (FLOAT32, (1, 4, 4, 3), None),
        (FLOAT32, kernel.shape, kernel),
        (FLOAT32, (1, 4, 4, 2), None),
    ]
    with pytest.raises(TFLiteFileError, match=r"operator 0 \(CONV_2D\) lacks the option padding"):
        describe(hand_made(tensors, [("CONV_2D", [0, 1], [2], None)]))
    with pytest.raises(TFLiteFileError, match="lacks an input or an output"):
        describe(hand_made(tensors, [("CONV_2D", [0, -1], [2], None)]))
    with pytest.raises(TFLiteFileError, match="lacks an input or an output"):
        describe(hand_made(tensors, [("CONV_2D", [0, 1], [], None)]))
    with pytest.raises(TFLiteFileError, match=r"has \d+ inputs, not 5"):
        describe(hand_made(tensors, [("LceBconv2d", [0, 1], [2], None)]))


def dense(kind, weights, source=FLOAT32):
    """A file of one FULLY_CONNECTED layer with these weights, shaped (outputs, inputs)."""
    outputs, inputs = weights.shape
    tensors = [
        (source, (1, inputs), None),
        (kind, weights.shape, weights),
        (source, (1, outputs), None),
    ]
    (layer,) = describe(hand_made(tensors, [("FULLY_CONNECTED", [0, 1], [2], None)])).layers
    return layer


def test_binary_weights_stored_wider_are_found():
    signs = np.where(np.arange(12).reshape(3, 4) % 3, 1, -1)
    scaled = (signs * np.array([[0.3], [2.5], [1e-6]])).astype(np.float32)
    assert dense(FLOAT32, scaled).binary_weights
    assert dense(FLOAT16, scaled.astype(np.float16)).binary_weights
    assert dense(INT8, (127 * signs).astype(np.int8), INT8).binary_weights

    ternary = scaled.copy()
    ternary[0, 0] = 0
    assert not dense(FLOAT32, ternary).binary_weights
    assert not dense(FLOAT32, np.zeros((3, 4), np.float32)).binary_weights
    assert not dense(FLOAT32, np.full((3, 4), np.nan, np.float32)).binary_weights
    # One weight a filter says nothing.
    assert not dense(FLOAT32, scaled[:, :1]).binary_weights


def test_a_dead_filter_does_not_hide_binary_weights():
    weights = np.where(np.arange(12).reshape(3, 4) % 3, 1, -1).astype(np.float32)
    weights[1] = 0
    assert dense(FLOAT32, weights).binary_weights


def test_kind_follows_the_input_and_weights_the_storage():
    weights = np.arange(12, dtype=np.int8).reshape(3, 4)
    assert fields(dense(INT8, weights, INT8), "kind weights weight_bytes output") == (
        "int8",
        "int8",
        12,
        "int8",
    )
    assert fields(dense(INT8, weights), "kind weights output") == ("float", "int8", "float")


def test_weights_behind_dequantize_and_computed_weights():
    half = np.arange(12, dtype=np.float16).reshape(3, 4)
    tensors = [
        (FLOAT32, (1, 4), None),
        (FLOAT16, (3, 4), half),
        (FLOAT32, (3, 4), None),
        (FLOAT32, (1, 3), None),
    ]
    product = ("FULLY_CONNECTED", [0, 2], [3], None)
    found = describe(hand_made(tensors, [("DEQUANTIZE", [1], [2], None), product]))
    assert fields(found.layers[0], "kind weights weight_bytes") == ("float", "float16", 24)
    assert found.bytes["float"] == 24
    found = describe(hand_made(tensors, [("ABS", [1], [2], None), product]))
    assert fields(found.layers[0], "weights weight_bytes macs") == ("computed", 0, 12)


@pytest.mark.parametrize("transposed", [False, True])
def test_matrix_products(transposed):
    from ai_edge_litert.schema_py_generated import BatchMatMulOptionsT

    weights = np.where(np.arange(20).reshape(5, 4) % 3, 1, -1).astype(np.float32)
    weights *= np.arange(1, 5, dtype=np.float32)
    shape = (4, 5) if transposed else (5, 4)
    tensors = [
        (FLOAT32, (2, 3, 5), None),
        (FLOAT32, shape, weights.T if transposed else weights),
        (FLOAT32, (2, 3, 4), None),
    ]
    options = BatchMatMulOptionsT(adjY=transposed)
    (layer,) = describe(hand_made(tensors, [("BATCH_MATMUL", [0, 1], [2], options)])).layers
    assert fields(layer, "filter_shape macs stride padding") == ((5, 4), 2 * 3 * 4 * 5, None, None)
    assert layer.binary_weights


def test_channels_whose_sign_never_changes():
    """k = 3·40 products: a threshold of 120 is never crossed, 119 can be, −1 always is."""
    words = np.zeros((6, 1, 3, 2), np.int32)
    thresholds = np.array([-(2**31), -1, 0, 119, 120, 2**31 - 1], np.int32)
    tensors = [
        (INT32, (1, 4, 4, 2), None),
        (INT32, words.shape, words),
        (INT32, (6,), thresholds),
        (INT32, (1, 4, 4, 1), None),
    ]
    found = describe(hand_made(tensors, [("LceBconv2d", [0, 1, -1, -1, 2], [3], BINARY)]))
    assert fields(found.layers[0], "always_plus always_minus") == ((4, 5), (0, 1))
    assert "sign never changes:\n  t3: 2 always +1, 2 always −1, of 6\n" in str(found)


def test_thresholds_must_fit_the_filters():
    words, thresholds = np.zeros((6, 1, 3, 2), np.int32), np.zeros(5, np.int32)
    tensors = [
        (INT32, (1, 4, 4, 2), None),
        (INT32, words.shape, words),
        (INT32, (5,), thresholds),
        (INT32, (1, 4, 4, 1), None),
    ]
    file = hand_made(tensors, [("LceBconv2d", [0, 1, -1, -1, 2], [3], BINARY)])
    with pytest.raises(TFLiteFileError, match=r"has int32 thresholds of shape \[5\], expected 6"):
        describe(file)


def test_spare_bytes_are_those_that_fill_the_words():
    """6 filters × 3 taps hold 2 words for 40 channels: 24 of 64 bits are spare."""
    found = describe(binary_layer())
    assert found.layers[0].spare_bytes == 6 * 3 * 24 // 8
    assert "32 channels:\n  t2: 24 more input channels, 54 bytes\n" in str(found)
    full = describe(binary_layer({"channels_in": 64}))
    assert full.layers[0].spare_bytes == 0
    assert "would cost no bytes" not in str(full)
