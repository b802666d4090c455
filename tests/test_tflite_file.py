"""Reading and writing .tflite files, and refusing what is none."""

import random
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from hand_made import FLOAT32, hand_made

from keras_bnn import tflite
from keras_bnn.tflite import Graph, TFLiteFileError, read, write


@pytest.fixture(scope="session")
def data():
    """A converted model: a float convolution, two binary ones, a pool and a float dense layer."""
    import larq as lq
    import larq_compute_engine as lce
    from tf_keras import Model, layers, utils

    utils.set_random_seed(1)
    binary = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}
    image = layers.Input((8, 8, 3), name="image")
    x = layers.Conv2D(32, 3, padding="same", name="stem")(image)
    x = lq.layers.QuantConv2D(40, 3, padding="same", pad_values=1.0, name="one", **binary)(x)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPool2D(2)(x)
    x = lq.layers.QuantConv2D(32, 3, name="two", **binary)(x)
    x = layers.Dense(5, name="scores")(layers.Flatten()(x))
    return lce.convert_keras_model(Model(image, x))


@pytest.fixture
def model(data):
    return read(data)


def same(a, b):
    """Whether two objects of the schema hold the same."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dict__"):
        return type(a) is type(b) and all(same(vars(a)[name], vars(b)[name]) for name in vars(a))
    return a == b


def error_of(source):
    with pytest.raises(TFLiteFileError) as raised:
        read(source)
    message = str(raised.value)
    assert message.isprintable(), f"more than one line: {message!r}"
    return message


def test_graph_shows_the_operators_in_order(model):
    graph = Graph(model)
    assert [operator.name for operator in graph.operators] == [
        "CONV_2D",
        "LceQuantize",
        "LceBconv2d",
        "LceBMaxPool2d",
        "LceBconv2d",
        "RESHAPE",
        "FULLY_CONNECTED",
    ]
    assert [operator.index for operator in graph.operators] == list(range(7))
    assert graph.operators[0].options.strideH == 1
    assert graph.operators[1].options == {}
    assert graph.operators[2].options == {
        "channels_in": 32,
        "dilation_height_factor": 1,
        "dilation_width_factor": 1,
        "fused_activation_function": 0,
        "pad_values": 1,
        "padding": 0,
        "stride_height": 1,
        "stride_width": 1,
    }
    assert graph.operators[3].options == {
        "filter_height": 2,
        "filter_width": 2,
        "padding": 1,
        "stride_height": 2,
        "stride_width": 2,
    }


def test_graph_names_inputs_and_outputs_after_the_signature(model):
    graph = Graph(model)
    assert [port.name for port in graph.inputs] == ["image"]
    assert [port.name for port in graph.outputs] == ["scores"]
    assert graph.tensor(graph.inputs[0].tensor).shape == (1, 8, 8, 3)
    assert graph.tensor(graph.outputs[0].tensor).shape == (1, 5)

    model.signatureDefs = None
    graph = Graph(model)
    assert [port.name for port in graph.inputs] == [graph.tensor(graph.inputs[0].tensor).name]


def test_graph_names_an_output_that_occurs_twice(model):
    (output,) = model.signatureDefs[0].outputs
    twin = type(output)(name=b"again", tensorIndex=output.tensorIndex)
    model.signatureDefs[0].outputs = [output, twin]
    model.subgraphs[0].outputs = [output.tensorIndex, output.tensorIndex]
    assert [port.name for port in Graph(model).outputs] == ["scores", "again"]


def test_graph_knows_tensors_and_constants(model):
    graph = Graph(model)
    _, _, first, pool, second, *_ = graph.operators
    packed = graph.tensor(first.outputs[0])
    assert (packed.shape, packed.dtype, packed.is_constant) == ((1, 8, 8, 2), np.int32, False)
    assert graph.constant(packed.index) is None
    assert first.inputs[2:4] == (-1, -1)
    assert graph.constant(first.inputs[1]).shape == (40, 3, 3, 1)
    assert graph.constant(first.inputs[4]).shape == (40,)
    assert graph.constant(second.inputs[1]).dtype == np.int32
    assert not graph.constant(second.inputs[1]).flags.writeable
    assert graph.producer(packed.index) == first
    assert graph.consumers(packed.index) == [pool]
    assert graph.producer(graph.inputs[0].tensor) is None
    assert graph.consumers(graph.outputs[0].tensor) == []
    with pytest.raises(IndexError, match="got -1"):
        graph.tensor(-1)


def test_a_constant_must_fit_its_shape(model):
    graph = Graph(model)
    index = graph.operators[2].inputs[1]
    model.subgraphs[0].tensors[index].shape = [40, 3, 3, 2]
    with pytest.raises(TFLiteFileError, match="has 1440 bytes, expected 2880"):
        Graph(model).constant(index)


def test_every_form_of_input_reads_the_same(data, model, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    for source in (path, str(path), bytearray(data), memoryview(data)):
        assert same(read(source), model)


def test_writing_loses_nothing(data, model):
    written = write(model)
    assert written[4:8] == b"TFL3"
    assert same(read(written), model)
    assert write(read(written)) == written
    assert len(written) < len(data) * 1.05


def test_written_buffers_are_aligned(model):
    contents = [random.Random(size).randbytes(size) for size in (33, 100, 1001)]
    for content in contents:
        data = np.frombuffer(content, np.uint8)
        model.buffers.append(type(model.buffers[0])(data=data))
    written = write(model)
    assert [written.index(content) % 16 for content in contents] == [0, 0, 0]


def _first(model):
    return next(i for i, b in enumerate(model.buffers) if b.data is not None and len(b.data))


def test_a_written_file_runs_and_answers_the_same(data, model):
    import larq_compute_engine as lce

    images = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
    expected = lce.testing.Interpreter(data).predict(images)
    assert np.array_equal(lce.testing.Interpreter(write(model)).predict(images), expected)


def test_buffers_given_as_bytes_or_lists_are_written(model):
    first = _first(model)
    expected = model.buffers[first].data.copy()
    for data in (list(expected), bytes(expected)):
        model.buffers[first].data = data
        assert np.array_equal(read(write(model)).buffers[first].data, expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty, expected a .tflite file"),
        (b"layers:\n  - conv\n", "got text that begins 'layers:"),
        (b"PK\x03\x04" + bytes(60), "a zip archive, perhaps a .keras file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), "an HDF5 file"),
        (b"\x93NUMPY" + bytes(60), "a NumPy array"),
        (b"version https://git-lfs", "git lfs pull"),
        (bytes(100), "got the identifier b'\\x00\\x00\\x00\\x00'"),
        (b"TFL3", "expected the identifier b'TFL3' at byte 4, got text"),
        (b"\x1c\0\0\0TFL3", "damaged or cut short"),
        (b"\0\0\0\0TFL3" + bytes(60), "damaged or cut short"),
    ],
)
def test_other_files_are_refused(content, expected, tmp_path):
    path = tmp_path / "some.file"
    path.write_bytes(content)
    message = error_of(path)
    assert str(path) in message
    assert expected in message
    assert expected in error_of(content)


def test_paths_without_a_file_are_refused(tmp_path):
    assert "does not exist" in error_of(tmp_path / "missing.tflite")
    assert "is a directory" in error_of(tmp_path)
    assert "is a directory" in error_of(str(tmp_path))
    assert "null" in error_of("model\0.tflite")
    assert "does not exist" in error_of("two\nlines.tflite")
    assert "cannot be read (File name too long)" in error_of("x" * 5000)
    with pytest.raises(TypeError, match="got NoneType"):
        read(None)


def test_wrong_identifier_is_refused(data):
    assert "got the identifier b'TFL2'" in error_of(data[:4] + b"TFL2" + data[8:])


def test_files_cut_short_are_refused(data):
    for size in [*range(0, len(data), 97), *range(len(data) - 64, len(data))]:
        error_of(data[:size])


def test_a_string_that_ends_outside_is_refused(data):
    name = data.index(b"image")
    assert data[name - 4 : name] == struct.pack("<I", 5)
    longer = struct.pack("<I", len(data))
    assert "damaged or cut short" in error_of(data[: name - 4] + longer + data[name:])


def _damaged(data, rng):
    """The file with some bytes overwritten, half of them in the tables at its two ends."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        middle = rng.randrange(8, len(data))
        end = rng.choice((rng.randrange(8, 1000), len(data) - rng.randrange(1, 5000)))
        damaged[rng.choice((middle, end))] = rng.choice((0, 1, 127, 128, 255))
    return damaged


def test_damaged_files_raise_nothing_else(data):
    one_line = set()
    for seed in range(400):
        damaged = _damaged(data, random.Random(seed))
        try:
            str(tflite.describe(damaged))
            tflite.draw(damaged)
        except TFLiteFileError as error:
            one_line.add(str(error).isprintable())
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")
    assert one_line == {True}


@pytest.mark.parametrize("zeros", [True, False])
def test_a_long_list_of_nothing_is_refused_at_once(zeros):
    """Zeros read as tables at their own place, and one table can be listed a million times."""
    count = 1_000_000
    vtable = struct.pack("<7Hxx", 14, 8, 0, 0, 0, 0, 4)
    head = struct.pack("<I4s", 24, b"TFL3") + vtable + struct.pack("<iII", 16, 4, count)
    last = len(head) + 4 * count + 4
    places = np.zeros(count) if zeros else last - len(head) - 4 * np.arange(count)
    empty = struct.pack("<HHi", 4, 4, 4)
    started = time.perf_counter()
    # Room for a million tables, if they are zeros: not their number gives them away.
    room = bytes(5_000_000 if zeros else 0)
    assert "damaged" in error_of(head + places.astype("<u4").tobytes() + empty + room)
    assert time.perf_counter() - started < 5


def _set(path, value):
    def change(model):
        *parents, last = path.split(".")
        for name in parents:
            model = model[int(name)] if name.isdigit() else getattr(model, name)
        setattr(model, last, value)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_set("subgraphs", None), "no graph in the file"),
        (_set("subgraphs", []), "no graph in the file"),
        (_set("version", 4), "schema version 4, expected 3"),
        (_set("operatorCodes", None), "operator 0 of the graph refers to operator code 0"),
        (_set("subgraphs.0.operators.1.opcodeIndex", 99), "refers to operator code 99"),
        (_set("subgraphs.0.operators.1.inputs", [-2]), "refers to tensor -2"),
        (_set("subgraphs.0.operators.1.inputs", [999]), "refers to tensor 999"),
        (_set("subgraphs.0.operators.1.outputs", [999]), "operator 1 of the graph refers to"),
        (_set("subgraphs.0.operators.1.intermediates", [999]), "refers to tensor 999"),
        (_set("subgraphs.0.inputs", [-1]), "an input of the graph refers to tensor -1"),
        (_set("subgraphs.0.outputs", [999]), "an output of the graph refers to tensor 999"),
        (_set("subgraphs.0.tensors", None), "an input of the graph refers to tensor"),
        (_set("subgraphs.0.tensors.2.buffer", 999), "tensor 2 refers to buffer 999"),
        (_set("subgraphs.0.tensors.2.shape", [1, -8]), "tensor 2 has the shape [1, -8]"),
        (_set("subgraphs.0.tensors.2.externalBuffer", 1), "tensor 2 is in another file"),
        (_set("signatureDefs.0.subgraphIndex", 7), "a signature refers to graph 7"),
        (_set("signatureDefs.0.inputs.0.tensorIndex", 999), "a signature refers to tensor 999"),
        (_set("metadata.0.buffer", 999), "metadata refers to buffer 999"),
    ],
)
def test_inconsistent_files_are_refused(model, change, expected):
    change(model)
    assert expected in error_of(write(model))


@pytest.mark.parametrize(
    "options",
    [
        b"\x07",
        b"nothing like a flexbuffer",
        # A vector, a map whose value is a string, and one that claims 200 entries.
        b"\x01\x02\x03\x03\x08\x02\x28\x01",
        b"a\0\x01x\0\x01\x05\x01\x01\x01\x06\x14\x02\x24\x01",
    ],
)
def test_damaged_options_are_refused(model, options):
    model.subgraphs[0].operators[2].customOptions = np.frombuffer(options, np.uint8)
    with pytest.raises(TFLiteFileError, match=r"operator 2 \(LceBconv2d\)"):
        Graph(read(write(model)))


def test_data_behind_the_flatbuffer_is_read(model):
    """Files over 2 GB keep large buffers, and options, behind the flatbuffer."""
    first = _first(model)
    operator = model.subgraphs[0].operators[2]
    expected, options = model.buffers[first].data.tobytes(), operator.customOptions.tobytes()
    model.buffers[first].data = operator.customOptions = None
    for _ in range(2):
        model.buffers[first].size = len(expected)
        operator.largeCustomOptionsSize = len(options)
        file = write(model)
        model.buffers[first].offset = len(file)
        operator.largeCustomOptionsOffset = len(file) + len(expected)
    file = write(model)

    found = read(file + expected + options)
    assert found.buffers[first].data.tobytes() == expected
    assert (found.buffers[first].offset, found.buffers[first].size) == (0, 0)
    assert Graph(found).operators[2].options["channels_in"] == 32
    assert f"buffer {first} is at bytes {len(file)} to" in error_of(file + expected[:-1])
    assert "the options of operator 2 is at" in error_of(file + expected + options[:-1])


def test_write_refuses_what_it_would_lose_or_cannot_hold(model, monkeypatch):
    from flatbuffers import Builder

    with monkeypatch.context() as patch:
        patch.setattr(Builder, "MAX_BUFFER_SIZE", 4096)
        with pytest.raises(TFLiteFileError, match="less than 2 GB"):
            write(model)
    model.subgraphs[0].operators[0].builtinOptionsType = 120
    model.subgraphs[0].operators[0].builtinOptions = None
    with pytest.raises(TFLiteFileError, match="operator 0 has options of the unknown kind 120"):
        write(model)


@pytest.mark.parametrize("name", ["LceQuantize", "LceDequantize", "LceBMaxPool2d", "ABS"])
@pytest.mark.parametrize(("inputs", "outputs"), [([], []), ([-1], [1]), ([0], [-1]), ([0, -1], [])])
def test_operators_without_inputs_or_outputs_are_described(name, inputs, outputs):
    tensors = [(FLOAT32, (), None), (FLOAT32, (1, 4), None)]
    operators = [(name, inputs, outputs, None), ("NEG", [0, -1], [1], None)]
    file = hand_made(tensors, operators)
    assert name in str(tflite.describe(file))
    assert name in tflite.draw(file)


def test_reading_needs_no_tensorflow(data, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    script = f"""
import sys
import keras_bnn.tflite
heavy = {{"tensorflow", "tf_keras", "keras", "larq", "larq_compute_engine", "ai_edge_litert"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
keras_bnn.tflite.write(keras_bnn.tflite.read({str(path)!r}))
assert keras_bnn.tflite.describe({str(path)!r}).layers
assert "LceBconv2d" in keras_bnn.tflite.draw({str(path)!r})
assert heavy & set(sys.modules) == {{"ai_edge_litert"}}
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
