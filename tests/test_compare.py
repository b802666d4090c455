"""The comparison of a binary network with its float twin, and with that in int8."""

import html.parser
import json
import re
import statistics
from types import SimpleNamespace

import numpy as np
import pytest
from chromium import Chromium

import keras_bnn as kb
from keras_bnn._keras import keras
from keras_bnn.compare import answer, compare, pareto_front
from keras_bnn.compare.int8 import quantized, to_int8_tflite
from keras_bnn.compare.network import Latency, Run
from keras_bnn.data import Dataset, Split
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv2D

SETTINGS = {"seeds": [3, 5], "epochs": 2, "batch_size": 64, "learning_rate": 0.01}
BRIEF = {"seeds": [0], "epochs": 1}


def small(input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(8, 3, strides=2),
            keras.layers.BatchNormalization(momentum=0.5),
            BinaryConv2D(16, 3, name="binary"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes),
        ],
        name="small",
    )


def without_binary_layers(input_shape, num_classes):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(num_classes)])


def without_twin(input_shape, num_classes):
    layers = [*small(input_shape, num_classes).layers, keras.layers.Lambda(lambda x: x)]
    return keras.Sequential([keras.Input(input_shape), *layers])


def in_groups(input_shape, num_classes):
    layers = small(input_shape, num_classes).layers
    grouped = BinaryConv2D(8, 1, groups=2, name="grouped")
    return keras.Sequential([keras.Input(input_shape), *layers[:2], grouped, *layers[2:]])


@pytest.fixture(scope="module")
def digits():
    """A few of them, under names that a page has to escape."""
    whole = kb.data.load("digits")
    names = tuple(f"<{digit}> & long" for digit in whole.label_names)
    train = whole.train.take(np.arange(400))
    return Dataset("digits & co", train, whole.test, names)


@pytest.fixture(scope="module")
def resumed(digits, tmp_path_factory):
    """A comparison that was interrupted in its third run and went on, and what it said then."""
    folder = tmp_path_factory.mktemp("compared") / "out"

    def interrupt(line: str) -> None:
        if line.startswith("run 3 of 4"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(digits, folder, models=[small], **SETTINGS, progress=interrupt)
    lines = []
    found = compare(digits, folder, models=[small], resume=True, progress=lines.append)
    return found, lines


@pytest.fixture(scope="module")
def found(resumed):
    return resumed[0]


def test_an_interrupted_comparison_goes_on_where_it_was(resumed, digits, tmp_path):
    found, lines = resumed
    assert [line for line in lines if line.startswith("training")] == [
        f"training small on digits & co: {count} examples, epochs 1 to 2"
        for count in [_kept(digits, seed) for seed in (3, 5)]
    ]
    options = {name: value for name, value in SETTINGS.items() if name != "seeds"}
    whole = kb.training.train(small, digits, tmp_path / "run", **options, seed=3)
    assert [run.seed for run in found.networks[0].runs] == [3, 5]
    assert found.networks[0].runs[0].epochs == whole.epochs


def test_recipes_are_networks_and_the_twin_is_the_teacher(digits, tmp_path):
    recipes = ["plain", "distillation"]
    found = compare(digits, tmp_path / "out", models=[small], recipes=recipes, **BRIEF)
    names = ["small plain", "small distillation", "small float32", "small int8"]
    assert [network.name for network in found.networks] == names
    assert [answer.network for answer in found.answers] == names[:2]
    _, taught, twin, _ = found.networks
    teacher = taught.runs[0].model_path.parent / "teacher.keras"
    assert teacher.read_bytes() == twin.runs[0].model_path.read_bytes()
    assert all(network.training_seconds > 0 for network in found.networks)


def _kept(digits, seed: int) -> int:
    return len(kb.data.dataset.hold_out(digits.train, 0.1, seed)[0].labels)


def test_networks_are_the_binary_one_its_twin_and_that_in_int8(found):
    assert [(n.name, n.precision) for n in found.networks] == [
        ("small", "1-bit"),
        ("small float32", "float32"),
        ("small int8", "int8"),
    ]
    binary, twin, in_int8 = found.networks
    assert [fate.fate for fate in binary.layers] == ["1-bit"]
    assert twin.macs == {"1-bit": 0, "float": sum(binary.macs.values())}
    assert in_int8.macs == {"1-bit": 0, "float": 0, "int8": twin.macs["float"]}
    assert binary.macs["1-bit"] == 8 * 9 * 16
    assert twin.runs == in_int8.runs
    for network in found.networks:
        described = kb.tflite.describe(network.files[0].path)
        assert network.bytes == described.file_bytes == sum(network.bytes_by_kind.values())
        assert network.activation_bytes == described.peak.bytes


def test_accuracy_is_that_of_the_exported_files(found, digits):
    for network in found.networks:
        for file, accuracy in zip(network.files, network.accuracies, strict=True):
            images = quantized(digits.test.images, file.path)
            predicted = kb.runtime.Interpreter(file.path).predict(images).argmax(1)
            assert accuracy == np.mean(predicted == digits.test.labels)
            assert np.sum(file.confusion) == len(digits.test.labels)
            counts = np.bincount(digits.test.labels, minlength=10)
            assert np.sum(file.confusion, axis=1).tolist() == counts.tolist()
            assert (
                np.sum(file.confusion, axis=0).tolist()
                == np.bincount(predicted, minlength=10).tolist()
            )


def test_the_files_classify_as_the_trained_models(found, digits):
    for network in found.networks:
        for run, accuracy in zip(network.runs, network.accuracies, strict=True):
            _, expected = kb.load_model(run.model_path).evaluate(*digits.test, verbose=0)
            # int8 rounds; ties of a float are no matter of the export.
            assert accuracy == pytest.approx(expected, abs=0.05 if "int8" in network.name else 3e-3)


def test_the_networks_have_learnt(found):
    assert min(found.networks[1].accuracies) > 0.5
    assert min(found.networks[2].accuracies) > 0.5


def test_int8_stores_a_scale_a_channel_and_rounds_inputs_to_the_nearest(found):
    path = found.networks[2].files[0].path
    graph = kb.tflite.Graph(kb.tflite.read(path))
    described = kb.tflite.describe(path)
    assert [port.dtype for port in (*described.inputs, *described.outputs)] == ["int8", "int8"]
    convolution = next(operator for operator in graph.operators if operator.name == "CONV_2D")
    assert len(graph.scales(convolution.inputs[1])) == 8
    (scale,) = graph.scales(graph.inputs[0].tensor)
    (zero_point,) = graph.zero_points(graph.inputs[0].tensor)
    images = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1)
    restored = (quantized(images, path).astype(float) - zero_point) * scale
    assert np.abs(restored - images).max() <= scale * 0.501
    assert quantized(np.full((1, 8, 8, 1), 9.0), path).max() == 127


def test_all_files_are_timed_in_one_run_and_the_fastest_engine_counts(found):
    measured = found.benchmarks["here"].measurements
    assert {m.file for m in measured} == {str(n.files[0].path) for n in found.networks}
    for network in found.networks:
        own = [m.timing.median for m in measured if m.file == str(network.files[0].path)]
        (latency,) = network.latencies
        assert (latency.place, latency.milliseconds) == ("here", min(own))
        assert network.milliseconds == min(own)


def test_the_report_is_what_is_returned(found):
    report = json.loads((found.folder / "report.json").read_text())
    assert report == json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert report["answer"]["text"] == found.answer.text
    assert [network["accuracy"] for network in report["networks"]] == [
        network.accuracy for network in found.networks
    ]
    assert report["networks"][0]["layers"][0]["name"] == "binary"
    assert set(report["fronts"]) == {"bytes", "here"}


def test_the_text_has_every_figure_and_the_answer(found):
    text = str(found)
    assert found.answer.text in text
    for network in found.networks:
        mean, spread = 100 * network.accuracy, 100 * statistics.stdev(network.accuracies)
        assert f"{mean:.2f} ± {spread:.2f}" in text
        assert f"{network.bytes:,}" in text
        assert f"{network.milliseconds:.3f}" in text
    # 3 × 3 × 8 inputs, in whole words for each tap, × 16 outputs; 4 bytes and 1 byte a weight.
    assert re.search(r"of that, binary kernels +576 +4,608 +1,152", text)


class Elements(html.parser.HTMLParser):
    """The tags of a page, with their attributes, and its text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_nothing_but_itself(found):
    page = (found.folder / "report.html").read_text()
    elements = Elements(page)
    assert not {tag for tag, _ in elements.tags} & {"script", "link", "img", "iframe", "object"}
    for _, attributes in elements.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href"):
                assert value.startswith("#"), value
            assert not name.startswith("on")
    assert "@import" not in page
    assert all(address.startswith("#") for address in re.findall(r"url\(([^)]*)\)", page))
    identifiers = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers)) > 0
    used = [a[n][1:] for _, a in elements.tags for n in ("href", "xlink:href") if n in a]
    assert set(used) <= set(identifiers)


def test_the_page_shows_what_was_found(found, digits):
    text = " ".join(Elements((found.folder / "report.html").read_text()).text.split())
    assert found.answer.text in text
    for shown in ("Pareto front", "validation accuracy, %", *digits.label_names, "binary"):
        assert shown in text


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_in_a_browser(found, tmp_path, width):
    page = found.folder / "report.html"
    with Chromium(tmp_path) as browser:
        browser.open(page, width)
        browser.value("document.querySelectorAll('details').forEach(it => it.open = true)")
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("innerWidth") == width
        sizes = browser.value(
            "[...document.querySelectorAll('svg text')]"
            ".map(it => it.getBoundingClientRect().height)"
        )
        said = [
            event
            for event in browser.events
            if event["method"]
            in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        ]
        asked = [
            event["params"]["request"]["url"]
            for event in browser.events
            if event["method"] == "Network.requestWillBeSent"
        ]
    assert len(sizes) > 100
    assert min(sizes) >= 9
    assert said == []
    assert asked == [page.as_uri()]


@pytest.mark.slow
def test_the_browser_would_tell(tmp_path):
    """What the test above looks for is seen where it is."""
    page = tmp_path / "page.html"
    page.write_text(
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        "<div style='width: 500px'>wide</div>"
        "<script>console.error('said')</script><img src='missing.png'>"
    )
    with Chromium(tmp_path / "profile") as browser:
        browser.open(page, 360)
        assert browser.value("document.documentElement.scrollWidth") > 360
        methods = [event["method"] for event in browser.events]
    assert "Runtime.consoleAPICalled" in methods
    assert methods.count("Network.requestWillBeSent") == 2


@pytest.fixture
def command(found, digits, run, tmp_path, monkeypatch):
    """Runs `keras-bnn compare` on what was trained."""
    monkeypatch.setattr(kb.data, "load", lambda name, folder: digits)
    words = ["compare", "--data", "digits", "--out", tmp_path / "out"]
    for binary, twin in zip(found.networks[0].runs, found.networks[1].runs, strict=True):
        words += ["--trained", binary.model_path, "--trained-twin", twin.model_path]
    return lambda *options: run(*words, *options)


def test_networks_that_are_taken_trained(command, found, tmp_path):
    ran = command("--tolerance", 100, "--json")
    assert (ran.status, ran.json["answer"]["yes"]) == (0, True)
    assert ran.json["answer"]["text"].startswith("Yes: on digits & co, small ")
    assert ran.json == json.loads((tmp_path / "out/report.json").read_text())
    for ours, theirs in zip(ran.json["networks"], found.networks, strict=True):
        assert ours["accuracies"] == theirs.accuracies
        assert ours["bytes"] == theirs.bytes
        assert ours["training_seconds"] is None
    page = (tmp_path / "out/report.html").read_text()
    assert "None: the networks were taken trained." in page
    assert not (tmp_path / "out/runs").exists()


def test_no_is_a_status_too(command, found):
    lost = found.networks[1].accuracy - found.networks[0].accuracy
    assert lost > 0, "the seeds show nothing"
    ran = command("--tolerance", 0)
    assert ran.status == 1
    assert "No: on digits & co, small loses" in ran.out


def figures(name, accuracies, size, milliseconds):
    return SimpleNamespace(name=name, accuracies=accuracies, bytes=size, milliseconds=milliseconds)


FLOAT32 = figures("f", [0.92, 0.92, 0.92], 1000, 4.0)
INT8 = figures("i", [0.92, 0.92, 0.92], 300, 2.0)


@pytest.mark.parametrize(
    ("accuracies", "yes", "words"),
    [
        ([0.92, 0.92, 0.92], True, "loses 0.00 ± 0.00 points (92.00% against 92.00%), within the"),
        ([0.93, 0.93, 0.93], True, "gains 1.00 ± 0.00 points"),
        ([0.91, 0.91, 0.91], True, "within the 1 point allowed"),
        ([0.909, 0.909, 0.909], False, "more than the 1 point allowed"),
        # The mean loss is 0.9; with its standard deviation of 0.1 more it is 1.0.
        ([0.910, 0.911, 0.912], True, "loses 0.90 ± 0.10 points"),
        ([0.909, 0.911, 0.913], False, "on average, but not with one standard deviation"),
        ([0.912], True, "loses 0.80 points"),
    ],
)
def test_the_rule_of_accuracy(accuracies, yes, words):
    count = len(accuracies)
    others = [
        figures(o.name, o.accuracies[:count], o.bytes, o.milliseconds) for o in (FLOAT32, INT8)
    ]
    found = answer(figures("b", accuracies, 100, 1.0), *others, 1.0, "data")
    assert found.yes is yes
    assert words in found.text
    assert found.text.startswith("Yes: on data, b " if yes else "No: on data, b ")


@pytest.mark.parametrize(
    ("size", "milliseconds", "yes", "words"),
    [
        (100, 1.0, True, "Against float32 it is 10.0x smaller and 4.0x as fast."),
        (100, 8.0, True, "Against float32 it is 10.0x smaller and 2.0x slower."),
        (2000, 1.0, True, "it is 6.7x larger and 2.0x as fast."),
        (2000, 8.0, False, "within the 1 point allowed, but nothing is gained."),
        (400, 3.0, True, "int8 is at least as good in everything."),
    ],
)
def test_the_rule_of_gains(size, milliseconds, yes, words):
    binary = figures("b", [0.919] * 3, size, milliseconds)
    found = answer(binary, FLOAT32, INT8, 1.0, "data")
    assert found.yes is yes
    assert words in found.text


def test_losses_are_those_of_the_same_seed():
    binary = figures("b", [0.80, 0.90], 1, 1.0)
    found = answer(binary, figures("f", [0.81, 0.91], 9, 9.0), figures("i", [0, 0], 9, 9.0), 1, "d")
    assert found.points_lost == pytest.approx(1)
    assert found.spread == pytest.approx(0)
    assert found.yes


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(1, 0.5)], [0]),
        ([(1, 0.5), (2, 0.6), (3, 0.55)], [0, 1]),
        ([(3, 0.9), (1, 0.2), (2, 0.9)], [1, 2]),
        ([(1, 0.5), (1, 0.5)], [0, 1]),
        ([(1, 0.5), (1, 0.6)], [1]),
        ([], []),
    ],
)
def test_the_pareto_front(points, front):
    assert pareto_front(points) == front


def test_validation_chooses_which_answer_counts(found):
    """And not the test examples, on which the other binary network is better here."""

    def with_validation(name, value):
        runs = [Run(0, found.folder, [{"val_accuracy": value}])]
        return SimpleNamespace(
            name=name, precision="1-bit", validation_accuracy=runs[0].validation_accuracy
        )

    answers = [
        SimpleNamespace(network="first", yes=True),
        SimpleNamespace(network="second", yes=False),
    ]
    networks = [with_validation("first", 0.8), with_validation("second", 0.9)]
    both = kb.compare.Comparison("d", (), 1, networks, answers, {}, found.folder)
    assert both.answer.network == "second"
    assert not both.yes


def test_a_boards_milliseconds_are_those_of_the_answer(found):
    here = found.networks[0].latencies
    board = Latency("pi@b", "LiteRT", 7.0, None)
    network = kb.compare.Network(**{**vars(found.networks[0]), "latencies": [*here, board]})
    assert network.milliseconds == 7.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": ["nonsense"]}, "Unknown model 'nonsense'"),
        ({"models": []}, "models is [], expected a list of one or more"),
        ({"models": "binarynet"}, "models is 'binarynet', expected a list"),
        ({"models": [small, small]}, "each once"),
        ({"models": [without_binary_layers]}, "without_binary_layers has no 1-bit layer"),
        ({"models": [without_twin]}, "cannot translate the class Lambda"),
        ({"models": [in_groups]}, "grouped (BinaryConv2D)"),
        ({"models": ["binarynet_float"]}, "binarynet_float has no 1-bit layer"),
        ({"seeds": [0, 0]}, "seeds is [0, 0]"),
        ({"seeds": [-1]}, "seed is -1"),
        ({"recipes": ["xnor"]}, "Unknown recipe 'xnor'"),
        ({"recipes": ["two_step"], "epochs": 3}, "expected a multiple of 2"),
        ({"recipes": ["quicknet"], "learning_rate": 0.1}, "quicknet has rates of its own"),
        ({"tolerance": -1}, "tolerance is -1, expected percentage points from 0 on"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"on": "adb"}, "expected a board behind ssh"),
        ({"on": "pi@b"}, "--on is 'pi@b'"),
        ({"offline": True}, "wheel and offline mean nothing without on"),
        ({"resume": True}, "There is no run in"),
        ({"trained": [("a.keras", "b.keras")], "epochs": 3}, "epochs: of no use with trained"),
        ({"trained": [("a.keras", "b.keras")]}, "There is no a.keras"),
    ],
)
def test_wrong_arguments(digits, tmp_path, options, words):
    with pytest.raises(InputError, match=re.escape(words)) as raised:
        compare(digits, tmp_path / "out", **options)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_trained_networks_that_do_not_fit(found, digits, tmp_path):
    binary, twin = (network.runs[0].model_path for network in found.networks[:2])
    for pair, words in (
        ((twin, twin), "has no 1-bit layer"),
        ((binary, binary), "has 1-bit layers, expected the float twin"),
    ):
        with pytest.raises(InputError, match=words):
            compare(digits, tmp_path / "out", trained=[pair])
    splits = (Split(np.zeros((20, 9, 9, 1), np.float32), np.arange(20) % 10) for _ in range(2))
    larger = Dataset("larger", *splits, digits.label_names)
    with pytest.raises(InputError, match=r"but images of larger are \(9, 9, 1\)"):
        compare(larger, tmp_path / "out", trained=[(binary, twin)])


def test_a_folder_that_holds_another_comparison(found, digits):
    with pytest.raises(InputError, match=r"holds a run already\. Resume it"):
        compare(digits, found.folder, models=[small], **SETTINGS)
    with pytest.raises(InputError, match=r"started with seeds \[3, 5\], now \[3\]"):
        compare(digits, found.folder, models=[small], resume=True, seeds=[3])


def test_int8_needs_examples(digits, tmp_path):
    twin = kb.models.float_twin(small(digits.input_shape, 10))
    with pytest.raises(InputError, match="Got no images"):
        to_int8_tflite(twin, tmp_path / "m.tflite", digits.train.images[:0])
    with pytest.raises(InputError, match="there is no folder"):
        to_int8_tflite(twin, tmp_path / "none/m.tflite", digits.train.images)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--data", "nonsense"), "Unknown data set 'nonsense'"),
        (("--data", "digits", "--seeds", "a"), "--seeds is 'a', expected numbers, such as 0,1,2"),
        (("--data", "digits", "--trained", "a.keras"), "Got 1 --trained and 0 --trained-twin"),
        (("--data", "digits", "--epochs", "0"), "epochs is 0"),
    ],
)
def test_wrong_options(run, tmp_path, words, error):
    ran = run("compare", *words, "--out", tmp_path / "out")
    assert (ran.status, ran.out) == (2, "")
    assert error in ran.err.splitlines()[-1]
