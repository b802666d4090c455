"""What `describe` says of converted models, and of the bytes of small ones built by hand."""

import json

import numpy as np
import pytest
from fields import fields
from hand_made import FLOAT32, INT4, INT8, INT32, binary_layer, hand_made

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
