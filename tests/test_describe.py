"""What `describe` says of converted models and of small ones built by hand."""

import json

import numpy as np
import pytest
from hand_made import FLOAT16, FLOAT32, INT4, INT8, INT32, hand_made

from keras_bnn.tflite import TFLiteFileError, describe, write


@pytest.fixture(scope="session")
def converted():
    """16×16×3 → float stem 32 → binary 64 → binary 64, stride 2 → binary 64, dilation 2 → dense 10.

    The first binary layer writes packed bits; the dense layer is binary but stays float.
    """
    import larq as lq
    import larq_compute_engine as lce
    from tf_keras import Model, initializers, layers, utils

    utils.set_random_seed(1)
    binary = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}

    def normalized(x):
        # Different numbers in every layer, so that the converter merges no constants.
        names = ("beta", "gamma", "moving_mean", "moving_variance")
        draws = {f"{name}_initializer": initializers.RandomUniform(0.5, 1.5) for name in names}
        return layers.BatchNormalization(**draws)(x)

    image = layers.Input((16, 16, 3), name="image")
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="stem")(image)
    x = normalized(x)
    x = lq.layers.QuantConv2D(64, 3, padding="same", pad_values=1.0, name="first", **binary)(x)
    x = normalized(x)
    x = lq.layers.QuantConv2D(64, 3, strides=2, padding="same", name="second", **binary)(x)
    x = normalized(x)
    x = lq.layers.QuantConv2D(64, 3, dilation_rate=2, activation="relu", name="third", **binary)(x)
    x = normalized(x)
    x = lq.layers.QuantDense(10, name="scores", **binary)(layers.Flatten()(x))
    return lce.convert_keras_model(Model(image, x, name="model"))


@pytest.fixture(scope="session")
def description(converted):
    return describe(converted)


@pytest.fixture(scope="session")
def float_operators():
    """Every operator with weights but FULLY_CONNECTED, and two binary groups at the end."""
    import larq as lq
    import larq_compute_engine as lce
    from tf_keras import Model, layers

    image = layers.Input((8, 8, 4), name="image")
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(image)
    x = layers.Conv2DTranspose(5, 2, strides=2, padding="same")(x)
    x = layers.Conv3D(2, (3, 4, 2), strides=(1, 3, 1))(layers.Reshape((12, 12, 5, 1))(x))
    x = layers.Conv2D(64, (1, 3), groups=2)(layers.Reshape((10, 12, 2))(x))
    x = lq.layers.QuantConv2D(
        96, 3, groups=2, input_quantizer="ste_sign", kernel_quantizer="ste_sign"
    )(x)
    return describe(lce.convert_keras_model(Model(image, x)))


BINARY = {
    "channels_in": 40,
    "dilation_height_factor": 1,
    "dilation_width_factor": 1,
    "fused_activation_function": 0,
    "pad_values": 1,
    "padding": 0,
    "stride_height": 1,
    "stride_width": 1,
}


def binary_layer(options=(), weights=(6, 1, 3, 2), result=(INT8, (2, 4, 4, 6)), inputs=5):
    """A file of one LceBconv2d: two 4×4 images of 40 channels, six filters of 1×3."""
    words = np.zeros((6, 1, 3, 2), np.int32)
    tensors = [(INT32, (2, 4, 4, 2), None), (INT32, weights, words), (*result, None)]
    operators = [
        ("LceBconv2d", [0, 1, -1, -1, -1][:inputs], [2], {**BINARY, **dict(options)}),
    ]
    return hand_made(tensors, operators)


def fields(layer, names):
    return tuple(getattr(layer, name) for name in names.split())


def test_operators_are_counted_in_order(description):
    assert list(description.operators.items()) == [
        ("CONV_2D", 1),
        ("MUL", 1),
        ("ADD", 1),
        ("LceQuantize", 3),
        ("LceBconv2d", 3),
        ("RESHAPE", 1),
        ("LceDequantize", 1),
        ("FULLY_CONNECTED", 1),
    ]
    assert description.graphs == 1
    assert description.path is None


def test_inputs_and_outputs(description):
    (image,), (scores,) = description.inputs, description.outputs
    assert fields(image, "name dtype shape") == ("image", "float32", (1, 16, 16, 3))
    assert fields(scores, "name dtype shape") == ("scores", "float32", (1, 10))


def test_layers_in_the_order_of_execution(description):
    stem, first, second, third, scores = description.layers
    names = "operator kind input_shape output_shape filter_shape"
    assert fields(stem, names) == (
        "CONV_2D",
        "float",
        (1, 16, 16, 3),
        (1, 16, 16, 32),
        (3, 3, 3, 32),
    )
    assert fields(first, names) == (
        "LceBconv2d",
        "1-bit",
        (1, 16, 16, 32),
        (1, 16, 16, 64),
        (3, 3, 32, 64),
    )
    assert fields(second, "input_shape output_shape") == ((1, 16, 16, 64), (1, 8, 8, 64))
    assert fields(third, "input_shape output_shape") == ((1, 8, 8, 64), (1, 4, 4, 64))
    assert fields(scores, names) == ("FULLY_CONNECTED", "float", (1, 1024), (1, 10), (1024, 10))
    assert "stem" in stem.name
    assert [layer.index for layer in description.layers] == [0, 4, 5, 7, 11]

    names = "groups stride dilation padding activation output"
    assert fields(stem, names) == (1, (1, 1), (1, 1), "same zero", "relu", "float")
    assert fields(first, names) == (1, (1, 1), (1, 1), "same one", "none", "packed")
    assert fields(second, names) == (1, (2, 2), (1, 1), "same zero", "none", "float")
    assert fields(third, names) == (1, (1, 1), (2, 2), "valid", "relu", "float")
    assert fields(scores, names) == (1, None, None, None, "none", "float")


def test_multiply_accumulates(description):
    assert [layer.macs for layer in description.layers] == [
        16 * 16 * 32 * 3 * 3 * 3,
        16 * 16 * 64 * 3 * 3 * 32,
        8 * 8 * 64 * 3 * 3 * 64,
        4 * 4 * 64 * 3 * 3 * 64,
        10 * 1024,
    ]
    assert description.binary_macs == 4_718_592 + 2_359_296 + 589_824
    assert description.float_macs == 221_184 + 10_240
    assert description.macs == {"1-bit": 7_667_712, "float": 231_424}


def test_weights(description):
    names = "weights weight_bytes binary_weights"
    assert [fields(layer, names) for layer in description.layers] == [
        ("float32", 3 * 3 * 3 * 32 * 4, False),
        ("1-bit", 3 * 3 * 64 * 32 // 8, True),
        ("1-bit", 3 * 3 * 64 * 64 // 8, True),
        ("1-bit", 3 * 3 * 64 * 64 // 8, True),
        ("float32", 1024 * 10 * 4, True),
    ]


def test_bytes_by_kind_sum_to_the_file(description, converted):
    assert description.bytes == {
        "1-bit": 2304 + 4608 + 4608,
        "int8": 0,
        # Kernel and bias of the stem, its normalization; multiplier and bias of two binary layers;
        # the dense layer's kernel.
        "float": (864 + 32 + 2 * 32 + 2 * 2 * 64 + 10 * 1024) * 4,
        # Thresholds of the packed layer, the shape that RESHAPE reads.
        "other": (64 + 2) * 4,
        # The converter's min_runtime_version.
        "metadata": 16,
        "structure": len(converted) - 11_520 - 45_824 - 264 - 16,
    }
    assert description.file_bytes == sum(description.bytes.values()) == len(converted)
    assert 0 < description.bytes["structure"] < 6000


def test_float_operators_and_groups(float_operators):
    names = "operator filter_shape groups stride macs weight_bytes output_shape"
    assert [fields(layer, names) for layer in float_operators.layers] == [
        ("DEPTHWISE_CONV_2D", (3, 3, 1, 8), 4, (1, 1), 6 * 6 * 8 * 9, 72 * 4, (1, 6, 6, 8)),
        ("TRANSPOSE_CONV", (2, 2, 8, 5), 1, (2, 2), 6 * 6 * 8 * 4 * 5, 160 * 4, (1, 12, 12, 5)),
        (
            "CONV_3D",
            (3, 4, 2, 1, 2),
            1,
            (1, 3, 1),
            10 * 3 * 4 * 2 * 24,
            48 * 4,
            (1, 10, 3, 4, 2),
        ),
        ("CONV_2D", (1, 3, 1, 64), 2, (1, 1), 10 * 10 * 64 * 3, 192 * 4, (1, 10, 10, 64)),
        ("LceBconv2d", (3, 3, 32, 96), 2, (1, 1), 8 * 8 * 96 * 288, 96 * 36, (1, 8, 8, 96)),
    ]
    assert float_operators.macs == {"1-bit": 1_769_472, "float": 2592 + 5760 + 5760 + 19_200}


GOLDEN = """\
.tflite file, {file:,} bytes

input   image   float32  1×16×16×3
output  scores  float32  1×10

layer                     operator         input       filter     stride  dilation  padding    \
activation  output       MACs  weights     bytes
{names[0]:.23}…  CONV_2D          1×16×16×3   3×3×3×32   1×1     1×1       same zero  \
relu        float     221,184  float32     3,456
{names[1]:.23}…  LceBconv2d       1×16×16×32  3×3×32×64  1×1     1×1       same one   \
none        packed  4,718,592  1-bit       2,304
{names[2]:.23}…  LceBconv2d       1×16×16×64  3×3×64×64  2×2     1×1       same zero  \
none        float   2,359,296  1-bit       4,608
{names[3]:.23}…  LceBconv2d       1×8×8×64    3×3×64×64  1×1     2×2       valid      \
relu        float     589,824  1-bit       4,608
{names[4]:.23}…  FULLY_CONNECTED  1×1024      1024×10    -       -         -          \
none        float      10,240  float32 ±  40,960
± Each filter holds one value and its negative: binary, but not stored as 1 bit.

activations at the peak: 65,536 bytes at MUL {peak:.23}…
breaks in packed chains:
  {names[2]:.23}… pads with zeros, which are no bits; use pad_values=1.0
  RESHAPE between {names[3]:.23}… and its sign
  FULLY_CONNECTED {names[4]:.23}… reads signs as numbers; export it with keras_bnn, which makes \
dense layers 1-bit

MACs               share
1-bit  7,667,712  97.1 %
float    231,424   2.9 %

bytes                     share
1-bit weights    11,520  {binary:.1f} %
int8 constants        0   0.0 %
float constants  45,824  {float:.1f} %
other constants     264   0.4 %
metadata             16   0.0 %
structure         {structure:,}   {rest:.1f} %

operator         count
CONV_2D              1
MUL                  1
ADD                  1
LceQuantize          3
LceBconv2d           3
RESHAPE              1
LceDequantize        1
FULLY_CONNECTED      1"""


def test_text(description):
    """Tensor names and the size of the structure are the converter's; all else is known before."""
    file, structure = description.file_bytes, description.bytes["structure"]
    assert str(description) == GOLDEN.format(
        names=[layer.name for layer in description.layers],
        peak=description.peak.layer,
        file=file,
        structure=structure,
        binary=100 * 11_520 / file,
        float=100 * 45_824 / file,
        rest=100 * structure / file,
    )


def test_dictionary_is_plain_json(description, converted):
    plain = description.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["file_bytes"] == len(converted)
    assert plain["macs"] == {"1-bit": 7_667_712, "float": 231_424}
    assert plain["layers"][1]["filter_shape"] == [3, 3, 32, 64]
    assert plain["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 16, 16, 3]}]


def test_path_is_named_in_text_and_errors(converted, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(converted)
    found = describe(path)
    assert found.path == str(path)
    assert str(found).startswith(f"{path}, {len(converted):,} bytes\n")
    path.write_bytes(binary_layer({"padding": 2}))
    with pytest.raises(TFLiteFileError, match=r"model\.tflite: operator 0 \(LceBconv2d\) has the"):
        describe(path)


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


def test_shared_buffers_count_once():
    """One buffer as float32 and as int8, in two graphs: it counts once, as int8."""
    data = np.zeros(100, np.float32)
    tensors = [(FLOAT32, (100,), data), (INT8, (400,), data), (INT4, (800,), data)]
    file = hand_made(tensors, [("ABS", [0], [0], None)], subgraphs=2)
    found = describe(file)
    assert found.graphs == 2
    assert found.bytes == {
        "1-bit": 0,
        "int8": 400,
        "float": 0,
        "other": 0,
        "metadata": 0,
        "structure": len(file) - 400,
    }
    assert "Only the first of 2 graphs is listed." in str(found)


def test_overlapping_buffers_are_refused():
    """Each of two tensors claims all of the file but its first bytes."""
    from keras_bnn.tflite import read

    tensors = [(INT8, (9,), np.zeros(9, np.int8)), (INT8, (8,), np.zeros(8, np.int8))]
    model = read(hand_made(tensors, []))
    for start, buffer in enumerate(model.buffers[1:], 8):
        buffer.data, buffer.offset, buffer.size = None, start, 100
    size = len(write(model)) - 10
    for buffer in model.buffers[1:]:
        buffer.size = size
    with pytest.raises(TFLiteFileError, match="the data of its tensors overlaps"):
        describe(write(model))


def test_packed_constants_are_one_bit():
    words = np.zeros((1, 4), np.int32)
    thresholds = np.zeros(7, np.int32)
    tensors = [
        (INT32, (1, 4), words),
        (INT32, (7,), thresholds),
        (FLOAT32, (1, 128), None),
    ]
    found = describe(hand_made(tensors, [("LceDequantize", [0], [2], None)]))
    assert (found.bytes["1-bit"], found.bytes["other"]) == (16, 28)
    assert found.layers == ()
    assert found.macs == {"1-bit": 0, "float": 0}
    assert "layer" not in str(found)


def test_open_dimensions_and_odd_names_in_text():
    from keras_bnn.tflite import read

    model = read(hand_made([(FLOAT32, (1, 4), None), (FLOAT32, (), None)], []))
    first, last = model.subgraphs[0].tensors
    first.shapeSignature = [-1, 4]
    first.name, last.name = "new\nline\x1b[31m", "x" * 100
    found = describe(write(model))
    assert found.inputs[0].shape == (-1, 4)
    text = str(found)
    assert "input   new�line�[31m             float32  ?×4\n" in text
    assert "output  xxxxxxxxxxxxxxxxxxxxxxx…  float32  -\n" in text


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
