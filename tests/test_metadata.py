"""Labels, preprocessing, description and versions in a file, where the standard has a place."""

import base64
import io
import json
import random
import zipfile

import networks
import numpy as np
import pytest
from hand_made import FLOAT32, INT8, INT32, hand_made

import keras_bnn as kb
from keras_bnn import cli
from keras_bnn.cli.export import _preprocessing
from keras_bnn.errors import InputError
from keras_bnn.tflite import (
    Graph,
    Metadata,
    Normalization,
    TFLiteFileError,
    describe,
    metadata,
    read,
    write,
)
from keras_bnn.tflite.naming import name_tensors

# Written by tflite-support 0.4.4 for one input and one output, with fields that we do not read: a
# name, an author, image properties, statistics, a vocabulary beside the labels, a score threshold.
OFFICIAL = base64.b64decode(
    "HAAAAE0wMDEUABwAGAAUABAADAAIAAAAAAAEABQAAAAYAAAAIAAAACwAAADoAQAA7AEAAAQCAAAFAAAAMS4wLjEAAAAI"
    "AAAAc29tZWJvZHkAAAAAAQAAABAAAAAMAAwAAAAAAAgABAAMAAAACAAAAMgAAAABAAAAGAAAAAAAEgAQAAwAAAAAAAAA"
    "CAAAAAQAEgAAAAwAAAB0AAAAkAAAAAIAAABIAAAAEAAAAAAACgAQAAwACAAHAAoAAAAAAAACCAAAABAAAAAHAAAATGFi"
    "ZWxzLgAJAAAAbmFtZXMudHh0AAoADAAIAAAABwAKAAAAAAAABQQAAAAOAAAAdm9jYWJ1bGFyeS50eHQAAAEAAAAEAAAA"
    "QP///wwAAAAAAwYACAAEAAYAAAAAAAA/BgAAAHNjb3JlcwAAAQAAABQAAAAQABgAFAAQAAAADAAIAAQAEAAAABQAAAAs"
    "AAAAgAAAAJQAAACkAAAAyP///wgAAAAMAAAAAQAAAAAAAAABAAAAAAB/QwEAAAAMAAAACAAMAAsABAAIAAAAEAAAAAAA"
    "AAEIAAwACAAEAAgAAAAIAAAAFAAAAAMAAAD6fmo+QmBlPmZmZj4DAAAA7FH4PtV46T47388+CAAKAAkABAAIAAAADAAA"
    "AAACBgAIAAcABgAAAAAAAAENAAAAQW4gUkdCIGltYWdlLgAAAAUAAABpbWFnZQAAAAIAAAB2MwAAFQAAAFRlbGxzIGNh"
    "dHMgZnJvbSBkb2dzLgAAAAoAAABjbGFzc2lmaWVyAAA="
)
ABOUT = Metadata(
    description="Tells cats from dogs. °",
    labels={"scores": ("cat", "dog, small")},
    normalization={"image": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))},
    input_descriptions={"image": "An RGB image."},
    versions={"keras-bnn": "0.1.0"},
)


def plain():
    """A model without metadata: "image" with 3 channels to "scores" with 2."""
    tensors = [(FLOAT32, (1, 8, 8, 3), None), (FLOAT32, (1, 2), None)]
    return hand_made(tensors, [("MEAN", [0], [1], None)], names={0: "image", 1: "scores"})


def with_buffer(name, content):
    """The same with one metadata buffer."""
    from ai_edge_litert.schema_py_generated import BufferT, MetadataT

    model = read(plain())
    model.buffers.append(BufferT(data=np.frombuffer(content, np.uint8)))
    model.metadata = [MetadataT(name, len(model.buffers) - 1)]
    return write(model)


def written(about=ABOUT):
    return metadata.write(read(plain()), about)


def test_all_of_it_is_read_as_it_was_written():
    assert describe(written()).metadata == ABOUT
    assert describe(plain()).metadata == Metadata()


def test_what_the_standards_own_tool_writes_is_read():
    file = io.BytesIO(with_buffer("TFLITE_METADATA", OFFICIAL))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vocabulary.txt", "x")
        archive.writestr("names.txt", "cat\r\ndog")
    assert describe(file.getvalue()).metadata == Metadata(
        description="Tells cats from dogs.",
        labels={"scores": ("cat", "dog")},
        normalization={"image": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))},
        input_descriptions={"image": "An RGB image."},
    )


def test_labels_lie_uncompressed_behind_the_flatbuffer():
    """Readers on phones refuse compressed archives."""
    file = written()
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        (entry,) = archive.infolist()
        assert archive.read(entry) == b"cat\ndog, small\n"
    assert (entry.filename, entry.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
    assert file[entry.header_offset :].startswith(b"PK\x03\x04")


def test_the_same_metadata_gives_the_same_bytes(monkeypatch):
    """Whenever and wherever it is written."""
    first = written()
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert written() == first


def test_writing_again_replaces_what_was_there():
    model = read(written())
    again = metadata.write(model, Metadata(description="new", versions={"keras-bnn": "9"}))
    found = describe(again).metadata
    assert (found.description, found.versions) == ("new", {"keras-bnn": "9"})
    assert [entry.name for entry in read(again).metadata] == [b"TFLITE_METADATA", b"keras_bnn"]


def test_versions_are_our_own_buffer_as_json():
    model = read(written(Metadata(versions={"larq": "0.14.0", "keras-bnn": "0.1.0"})))
    (entry,) = model.metadata
    content = bytes(model.buffers[entry.buffer].data)
    assert (entry.name, content) == (
        b"keras_bnn",
        b'{"versions": {"keras-bnn": "0.1.0", "larq": "0.14.0"}}',
    )


def test_a_description_of_the_schema_is_shown_but_not_what_converters_write():
    model = read(plain())
    for text, expected in ((b"Tells birds.", "Tells birds."), (b"MLIR Converted.", None)):
        model.description = text
        assert describe(write(model)).metadata.description == expected
    assert read(metadata.write(model, ABOUT)).description is None


def test_text_shows_all_of_it():
    assert str(describe(written())).split("\n\n")[1].splitlines() == [
        "description             Tells cats from dogs. °",
        "labels of scores        2: cat, dog, small",
        "preprocessing of image  (x − [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]",
        "input image             An RGB image.",
        "written by              keras-bnn 0.1.0",
    ]
    four = Metadata(labels={"scores": ("a", "b", "c", "d")})
    assert "labels of scores  4: a, b, c, …" in str(describe(written(four)))
    assert "(x − 127.5) / 64" in str(Normalization([127.5, 127.5], 64))


def test_json_shows_all_of_it():
    plain_values = json.loads(json.dumps(describe(written()).to_dict()))["metadata"]
    assert plain_values["labels"] == {"scores": ["cat", "dog, small"]}
    assert plain_values["normalization"]["image"]["std"] == [0.229, 0.224, 0.225]


def test_bytes_of_metadata_are_counted():
    file = written()
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        archive_bytes = len(file) - archive.infolist()[0].header_offset
    buffers = sum(len(buffer.data) for buffer in read(file).buffers if buffer.data is not None)
    assert describe(file).bytes["metadata"] == archive_bytes + buffers
    assert describe(file).file_bytes == len(file)


def test_labels_that_a_tool_has_dropped_are_missed():
    found = describe(write(read(written())))
    assert found.metadata.labels == {"scores": ()}
    assert "labels of scores        missing from the file" in str(found)


def test_a_list_of_labels_that_unpacks_to_megabytes_is_not_read():
    """16 MiB and two bytes of labels, which deflate to some kilobytes."""
    file = io.BytesIO(write(read(written())))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"a\n" * ((1 << 23) + 1))
    assert len(file.getvalue()) < 100_000
    assert describe(file.getvalue()).metadata.labels == {"scores": ()}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("TFLITE_METADATA", b"nothing at all", "has the identifier b'ing '"),
        ("TFLITE_METADATA", b"\xff\xff\0\0M001", "TFLITE_METADATA is damaged"),
        ("TFLITE_METADATA", OFFICIAL[:300], "TFLITE_METADATA is damaged"),
        ("keras_bnn", b"{", "metadata 'keras_bnn' is damaged"),
        ("keras_bnn", b"[]", "metadata 'keras_bnn' is damaged"),
    ],
)
def test_damaged_metadata_is_one_line(name, content, expected):
    with pytest.raises(TFLiteFileError) as raised:
        describe(with_buffer(name, content))
    assert expected in str(raised.value)
    assert str(raised.value).isprintable()


def test_metadata_of_another_graph_is_refused():
    tensors = [(INT8, (1, 2), None), (INT8, (1, 2), None), (INT8, (1, 2), None)]
    model = read(hand_made(tensors, [("ADD", [0, 1], [2], None)], inputs=[0, 1]))
    one = read(with_buffer("TFLITE_METADATA", OFFICIAL))
    model.buffers.append(one.buffers[-1])
    model.metadata = one.metadata
    model.metadata[0].buffer = len(model.buffers) - 1
    with pytest.raises(TFLiteFileError, match="describes 1 inputs, the graph has 2"):
        describe(write(model))


def test_randomly_damaged_metadata_raises_nothing_else():
    file = with_buffer("TFLITE_METADATA", OFFICIAL)
    start, one_line = file.index(OFFICIAL), set()
    for seed in range(300):
        rng = random.Random(seed)
        damaged = bytearray(file)
        for _ in range(rng.choice((1, 2, 8))):
            damaged[start + rng.randrange(len(OFFICIAL))] = rng.choice((0, 1, 127, 128, 255))
        try:
            str(describe(damaged))
        except TFLiteFileError as error:
            one_line.add(str(error).isprintable())
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")
    assert one_line == {True}


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        (0, 0, "expected no 0"),
        # 0 in the float32 of the file.
        (0, 1e-60, "expected no 0"),
        (float("nan"), 1, "mean is nan, expected a finite number"),
        ("0", 1, None),
        ("x", 1, "mean is 'x', expected a finite number"),
        ([], 1, "mean is [], expected a finite number"),
        ([1, 2], [1, 2, 3], "Got 2 means and 3 stds"),
    ],
)
def test_normalization_refuses_what_cannot_be_computed(mean, std, expected):
    if expected is None:
        assert Normalization(mean, std).mean == (0.0,)
        return
    with pytest.raises(InputError) as raised:
        Normalization(mean, std)
    assert expected in str(raised.value)


# What to_tflite makes of its arguments.


@pytest.fixture(scope="module")
def model():
    """Two inputs, "zeta" and "alpha", of 2 channels, and two outputs, "omega" and "beta", of 4."""
    return networks.two_in_two_out()


def test_to_tflite_writes_what_it_is_given(model, tmp_path):
    arguments = {
        "labels": {"beta": ["a", "b", "c", "d"], "omega": list("efgh")},
        "preprocessing": {"alpha": Normalization(1, 2), "zeta": "Blur it."},
        "description": "A test.",
    }
    kb.export.to_tflite(model, tmp_path / "m.tflite", **arguments)
    found = describe(tmp_path / "m.tflite").metadata
    assert found.description == "A test."
    assert found.labels == {"omega": tuple("efgh"), "beta": tuple("abcd")}
    assert found.normalization == {"alpha": Normalization(1, 2)}
    assert found.input_descriptions == {"zeta": "Blur it."}
    assert found.versions["keras-bnn"] == kb.__version__
    assert sorted(found.versions)[1:4] == ["larq", "larq-compute-engine", "tensorflow"]

    # Whatever the order of the arguments; and the file runs.
    arguments["labels"] = dict(reversed(arguments["labels"].items()))
    kb.export.to_tflite(model, tmp_path / "n.tflite", **arguments)
    assert (tmp_path / "n.tflite").read_bytes() == (tmp_path / "m.tflite").read_bytes()
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


def test_what_belongs_to_1bit_layers_is_named_after_them(model, tmp_path):
    _, graph = networks.exported(model, tmp_path / "m.tflite")
    first, *_ = (operator for operator in graph.operators if operator.name == "LceBconv2d")
    layer = graph.tensor(first.outputs[0]).name
    names = [graph.tensor(index).name for index in first.inputs[:4]]
    assert names == [f"{layer}.{part}" for part in ("sign", "kernel", "multiplier", "bias")]
    assert layer.startswith("binary_conv2d")
    # The model is called "model", "model_1" and so on.
    assert not any(tensor.name.startswith("model") for tensor in graph.tensors())


def test_what_is_shared_is_named_once_and_outputs_keep_their_names():
    """sign → two layers with one kernel; the second writes bits, and their pool is the output."""
    words = np.zeros((32, 1, 1, 1), np.int32)
    packed = (INT32, (1, 4, 4, 1), None)
    tensors = [(FLOAT32, (1, 4, 4, 32), None), packed, (INT32, words.shape, words)]
    tensors += [packed, packed, packed, packed]
    operators = [
        ("LceQuantize", [0], [1], None),
        ("LceBconv2d", [1, 2, -1, -1, -1], [3], None),
        ("LceBconv2d", [1, 2, -1, -1, -1], [4], None),
        ("LceBMaxPool2d", [3], [5], None),
        ("LceBMaxPool2d", [4], [6], None),
    ]
    graph = Graph(read(hand_made(tensors, operators, names={3: "one", 4: "two"}, outputs=[5, 6])))
    name_tensors(graph)
    names = [tensor.name for tensor in graph.tensors()]
    assert names == ["t0", "one.sign", "one.kernel", "one", "two", "t5", "t6"]
    graph = Graph(read(hand_made(tensors, operators, names={3: "one", 4: "two"}, outputs=[6])))
    name_tensors(graph)
    assert graph.tensor(5).name == "one.max_pool"


def test_a_pool_of_signs_is_named_after_the_layer_that_reads_it():
    words = np.zeros((32, 1, 1, 1), np.int32)
    packed = (INT32, (1, 4, 4, 1), None)
    real = (FLOAT32, (1, 4, 4, 32), None)
    tensors = [real, packed, packed, (INT32, words.shape, words), real, real]
    operators = [
        ("LceQuantize", [0], [1], None),
        ("LceBMaxPool2d", [1], [2], None),
        ("LceBconv2d", [2, 3, -1, -1, -1], [4], None),
        ("NEG", [4], [5], None),
    ]
    graph = Graph(read(hand_made(tensors, operators, names={4: "one"})))
    name_tensors(graph)
    assert [graph.tensor(i).name for i in (1, 2)] == ["one.sign", "one.sign.max_pool"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("net/add/Add;net/conv/Bias;ne", "net/relu"), ("add/Add;conv/Bias;ne", "relu")),
        (("net/add", "net"), ("add", "net")),
        (("net/add", "other/relu"), ("net/add", "other/relu")),
    ],
)
def test_the_name_of_the_model_is_dropped_where_all_have_it(names, expected):
    """Input and output keep theirs."""
    operators = [("ABS", [0], [1], None), ("NEG", [1], [2], None), ("EXP", [2], [3], None)]
    all_names = dict(enumerate(("net/in", *names, "net/out")))
    graph = Graph(read(hand_made([(FLOAT32, (1, 4), None)] * 4, operators, names=all_names)))
    name_tensors(graph)
    assert [tensor.name for tensor in graph.tensors()] == ["net/in", *expected, "net/out"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"labels": list("abcd")}, "labels is given once for 2 outputs, expected a dict by name"),
        ({"labels": {"gamma": ["a"]}}, "labels names ['gamma'], but the outputs are ['omega'"),
        ({"labels": {"beta": ["a"]}}, "Got 1 labels for output 'beta', expected 4"),
        ({"labels": {"beta": "abcd"}}, "labels of output 'beta' are 'abcd', expected a list"),
        ({"labels": {"beta": ["a", "b", "", "d"]}}, "A label of output 'beta' is '', expected one"),
        ({"labels": {"beta": ["a", "b", "c\nd", "e"]}}, "is 'c\\nd', expected one line of text"),
        ({"labels": {"beta": [0, 1, 2, 3]}}, "A label of output 'beta' is 0"),
        ({"preprocessing": "Blur it."}, "preprocessing is given once for 2 inputs"),
        ({"preprocessing": {"zeta": 255}}, "of input 'zeta' is 255, expected keras_bnn.tflite.Nor"),
        ({"preprocessing": {"zeta": " "}}, "of input 'zeta' is ' ', expected"),
        (
            {"preprocessing": {"zeta": Normalization([1, 2, 3], 1)}},
            "of input 'zeta' is for 3 channels, expected 2",
        ),
        ({"description": ""}, "description is '', expected text"),
        ({"description": 3}, "description is 3, expected text"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(model, arguments, expected, tmp_path):
    with pytest.raises(InputError) as raised:
        kb.export.to_tflite(model, tmp_path / "m.tflite", **arguments)
    assert expected in str(raised.value)
    assert not (tmp_path / "m.tflite").exists()


def test_the_export_command_takes_them(monkeypatch, capsys, tmp_path):
    model = networks.binary_net_with_dense()
    model.save(tmp_path / "m.keras")
    (tmp_path / "labels.txt").write_text("".join(f"digit {i}\n" for i in range(10)))

    def export(**options):
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        files = [tmp_path / "m.keras", "-o", tmp_path / "m.tflite"]
        monkeypatch.setattr("sys.argv", ["keras-bnn", "export", *map(str, files), *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, capsys.readouterr().err

    status, _ = export(
        labels=tmp_path / "labels.txt",
        preprocessing="mean=127.5 std=64",
        description="Reads a digit.",
    )
    found = describe(tmp_path / "m.tflite").metadata
    assert (status or 0, found.description) == (0, "Reads a digit.")
    assert list(found.normalization.values()) == [Normalization(127.5, 64)]
    assert list(found.labels.values()) == [tuple(f"digit {i}" for i in range(10))]

    for options, expected in (
        ({"labels": tmp_path / "none.txt"}, "Cannot read"),
        ({"labels": tmp_path / "m.tflite"}, "expected a text file of labels"),
        ({"preprocessing": "mean=127.5"}, 'expected "mean=127.5 std=127.5"'),
        ({"preprocessing": "mean=1, 2 std=1"}, 'expected "mean=127.5 std=127.5"'),
        ({"preprocessing": "mean=0 std=0"}, "expected no 0"),
    ):
        status, message = export(**options)
        assert (status, len(message.strip().splitlines())) == (2, 1), message
        assert expected in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean=0.5,0.25,1 std=2", Normalization([0.5, 0.25, 1], 2)),
        ("Scale to 0 to 1.", "Scale to 0 to 1."),
    ],
)
def test_preprocessing_of_the_command_line(text, expected):
    assert _preprocessing(text) == expected
