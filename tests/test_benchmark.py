"""`benchmark`: what it measures and says; how long anything takes is no matter of tests."""

import json

import numpy as np
import pytest
import tensorflow as tf
from commands import Ran

import keras_bnn as kb
from keras_bnn.errors import InputError
from keras_bnn.runtime import native
from keras_bnn.tflite.file import read
from keras_bnn.tflite.graph import Graph


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A 1-bit file and a float one."""
    folder = tmp_path_factory.mktemp("files")
    kb.export.to_tflite(kb.models.BinaryNet((8, 8, 1), 10), folder / "binary.tflite")
    dense = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(4,))])
    kb.export.to_tflite(dense, folder / "float.tflite")
    return folder / "binary.tflite", folder / "float.tflite"


def test_every_engine_takes_its_turn(files):
    result = kb.runtime.benchmark(files, threads=[1, 2], batch=3, seconds=0.01)
    engines = [(m.file, m.engine.split(" (")[0], m.threads) for m in result.measurements]
    binary, other = map(str, files)
    ours = "LiteRT + keras-bnn"
    assert engines == [
        *[(binary, engine, count) for count in (1, 2) for engine in (ours, "LCE")],
        *[(other, "LiteRT", count) for count in (1, 2)],
    ]
    for found in result.measurements:
        assert found.batch == 3
        assert found.timing.runs >= 3
        assert 0 < found.timing.minimum <= found.timing.median
    assert result.processor in str(result)
    assert "not pinned" in str(result)
    assert json.loads(json.dumps(result.to_dict()))["versions"]["numpy"] == np.__version__
    assert kb.runtime.Benchmark.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_a_profile_is_of_every_operator_once(files):
    result = kb.runtime.benchmark([files[0]], threads=[1, 2], batch=3, seconds=0.01, profiled=True)
    operators = Graph(read(files[0])).operators
    assert [profile.threads for profile in result.profiles] == [1, 2]
    for profile in result.profiles:
        seen = [number for step in profile.steps for number in step.operators]
        assert seen == list(range(len(operators)))
        for step in profile.steps:
            assert step.milliseconds > 0
            names = dict.fromkeys(operators[number].name for number in step.operators)
            assert step.names == (", ".join(names) or "(LiteRT)")
            assert step.is_1bit == step.names.startswith("Lce")
            assert (step.gmacs is not None) == (step.names == "LceBconv2d")
        assert profile.runs >= 3
        assert str(profile) in str(result)
    assert json.loads(json.dumps(result.to_dict()))["profiles"][0]["batch"] == 3
    assert kb.runtime.Benchmark.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_what_cannot_be_profiled_is_said(files):
    result = kb.runtime.benchmark(files[1:], seconds=0.01, profiled=True)
    assert result.profiles == []
    assert "float.tflite has no 1-bit operators, so there is nothing to profile." in str(result)


def test_one_profile_at_a_time():
    second = native.event_log(1)
    with native.event_log(1) as events, pytest.raises(InputError, match="taken already"):
        second.__enter__()
    assert events == []
    with native.event_log(1) as events:
        pass
    assert events == []


def test_timing_by_hand(monkeypatch):
    """Four runs of 1, 2, 3 and 4 ms: quartiles 1.75 and 3.25."""
    clock = iter([0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 9])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock) / 1e3)
    timing = kb.runtime.time_side_by_side({"it": lambda: None}, seconds=0.005)["it"]
    assert (timing.minimum, timing.runs) == (1, 4)
    assert timing.median == pytest.approx(2.5)
    assert timing.spread == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": []}, "threads \\[\\]"),
        ({"threads": [0]}, "threads \\[0\\]"),
        ({"batch": 0}, "batch 0"),
        ({"seconds": 0}, "0 seconds"),
        ({"core": 4096}, "core is 4096, expected one of"),
    ],
)
def test_wrong_arguments(files, arguments, message):
    with pytest.raises(InputError, match=message):
        kb.runtime.benchmark(files, **arguments)


def test_open_sizes_are_named(tmp_path):
    image = tf.keras.Input((None, None, 32))
    model = tf.keras.Model(image, kb.layers.BinaryConv2D(32, 3)(image))
    kb.export.to_tflite(model, tmp_path / "m.tflite")
    with pytest.raises(InputError, match=r"leaves the size of .* open"):
        kb.runtime.benchmark([tmp_path / "m.tflite"])


def test_command(files, monkeypatch, capfd):
    done = Ran(monkeypatch, capfd, "benchmark", *files, "--seconds", "0.01", "--json")
    assert done.status == 0
    assert len(done.json["measurements"]) == 3
    wrong = Ran(monkeypatch, capfd, "benchmark", *files, "--threads", "1,x")
    assert wrong.status == 2
    assert wrong.err == (
        "keras-bnn: --threads is '1,x', expected numbers from 1 on, such as 1,2,4.\n"
    )
