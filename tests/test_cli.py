"""The commands: what they print, and their exit status."""

import io
import json
import sys

import networks
import numpy as np
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.cli.output import show


def test_export_writes_a_file_and_tells_every_fate(run, folder, tmp_path):
    ran = run("export", folder / "model.keras", "-o", tmp_path / "m.tflite", "--json")
    assert ran.status == 0
    assert [layer["fate"] for layer in ran.json["layers"]] == ["1-bit"] * 4
    assert ran.json["bytes"] == (tmp_path / "m.tflite").stat().st_size
    assert "1-bit" in run("export", folder / "model.keras", "-o", tmp_path / "m.tflite").out


def test_export_refuses_a_layer_that_would_stay_float(run, tmp_path):
    layer = kb.layers.BinaryConv2D(8, 3, groups=2, name="c")
    tf.keras.Sequential([tf.keras.Input((6, 6, 32)), layer]).save(tmp_path / "m.keras")
    refused = run("export", tmp_path / "m.keras", "-o", tmp_path / "m.tflite")
    assert refused.status == 1
    assert "c (BinaryConv2D)" in refused.err
    assert len(refused.err.strip().splitlines()) == 1
    assert not (tmp_path / "m.tflite").exists()
    arguments = ("-o", tmp_path / "m.tflite", "--allow-float", "c")
    assert run("export", tmp_path / "m.keras", *arguments).status == 0


def test_inspect_shows_layers_and_bytes(run, folder):
    described = run("inspect", folder / "model.tflite", "--json").json
    assert described["operators"]["LceBconv2d"] == 4
    assert "LceBconv2d" in run("inspect", folder / "model.tflite").out


def test_verify_answers_with_its_status(run, folder, tmp_path):
    equal = run("verify", folder / "model.keras", folder / "model.tflite", "--json")
    assert (equal.status, equal.json["ok"]) == (0, True)
    other = networks.with_trained_statistics(networks.binary_net_with_dense(), 5)
    other.save(tmp_path / "other.keras")
    different = run("verify", tmp_path / "other.keras", folder / "model.tflite", "--json")
    assert (different.status, different.json["ok"]) == (1, False)


def test_predict_writes_what_the_interpreter_computes(run, folder, tmp_path):
    ran = run("predict", folder / "model.tflite", folder / "in.npy", "-o", tmp_path / "out.npy")
    assert ran.status == 0
    expected = kb.runtime.Interpreter(folder / "model.tflite").predict(np.load(folder / "in.npy"))
    assert (np.load(tmp_path / "out.npy") == expected).all()


def test_one_input_is_taken_whatever_its_name(run, folder, tmp_path):
    np.savez(tmp_path / "in.npz", x=np.load(folder / "in.npy"))
    file = folder / "model.tflite"
    assert run("predict", file, tmp_path / "in.npz", "-o", tmp_path / "out.npy").status == 0
    verified = run("verify", folder / "model.keras", file, "--inputs", tmp_path / "in.npz")
    assert verified.status == 0


@pytest.mark.parametrize("command", ["predict", "verify"])
def test_a_missing_batch_axis_is_named(run, folder, tmp_path, command):
    np.save(tmp_path / "image.npy", np.zeros((8, 8, 1), np.float32))
    words = {
        "predict": (folder / "model.tflite", tmp_path / "image.npy", "-o", tmp_path / "o.npy"),
        "verify": (
            folder / "model.keras",
            folder / "model.tflite",
            "--inputs",
            tmp_path / "image.npy",
        ),
    }
    error = run(command, *words[command]).error
    assert "expected (any, 8, 8, 1): add a batch axis, as in array[None]." in error


def test_predict_writes_several_outputs_by_name(run, tmp_path):
    kb.export.to_tflite(networks.two_in_two_out(), tmp_path / "m.tflite")
    ones = np.ones((2, 8, 8, 2), np.float32)
    np.savez(tmp_path / "in.npz", zeta=ones, alpha=-ones)
    arguments = (tmp_path / "m.tflite", tmp_path / "in.npz", "-o")
    assert run("predict", *arguments, tmp_path / "out.npz", "--json").json["outputs"] == {
        "omega": [2, 4, 4, 4],
        "beta": [2, 4, 4, 4],
    }
    assert sorted(np.load(tmp_path / "out.npz").files) == ["beta", "omega"]
    assert "name it .npz" in run("predict", *arguments, tmp_path / "out.npy").error


def test_info_names_versions_and_processor(run):
    info = run("info", "--json").json
    assert info["versions"]["keras-bnn"] == kb.__version__
    assert info["versions"]["tensorflow"]
    assert "processor" in run("info").out


def test_the_version_is_told(run):
    assert run("--version").out == f"keras-bnn {kb.__version__}\n"


def test_the_help_of_predict_tells_the_range_of_images(run):
    assert "from -1 to 1" in " ".join(run("predict", "--help").out.replace("│", " ").split())


class Unknown(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model"])
def test_a_command_tells_nobody_to_pass_custom_objects(run, tmp_path, name):
    layers = [kb.layers.BinaryDense(2, input_shape=(3,)), Unknown()]
    tf.keras.Sequential(layers).save(tmp_path / name)
    error = run("export", tmp_path / name, "-o", tmp_path / "m.tflite").error
    assert "Unknown" in error
    assert "in Python, import its module" in error
    assert "custom_objects" not in error


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_bar_fills_within_an_epoch_on_a_terminal_only(stream, monkeypatch):
    from keras_bnn.cli.epoch_bar import epoch_bar

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", stream())
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with epoch_bar() as callbacks:
        data = np.ones((6, 4)), np.ones(6)
        model.fit(*data, batch_size=2, epochs=2, verbose=0, callbacks=callbacks)
    shown = sys.stderr.getvalue()
    bars = [words in shown for words in ("epoch 1", "epoch 2", "3/3")]
    assert bars == [stream is Terminal] * 3


def test_train_and_resume(run, tmp_path):
    arguments = ("train", "binarynet", "digits", "-o", tmp_path / "run", "--epochs", 1)
    trained = run(*arguments, "--batch-size", 256, "--json")
    assert trained.status == 0
    assert len(trained.json["epochs"]) == 1
    start, epoch = trained.err.splitlines()
    assert start.startswith("training binarynet on digits: 1,295 examples")
    assert epoch.startswith("epoch 1/1")
    assert "holds a run already" in run(*arguments, "--batch-size", 256).error
    again = run(*arguments, "--batch-size", 256, "--resume", "--json")
    assert again.json == trained.json
    assert run(*arguments[:-2], "--resume", "--json").json == trained.json
    assert "batch_size 256, now 128" in run(*arguments, "--batch-size", 128, "--resume").error


def test_predict_writes_outputs_of_any_name(run, tmp_path):
    """Some of them are parameters of numpy.savez."""
    image = tf.keras.Input((4,))
    names = ("file", "self", "allow_pickle", "arr_0")
    outputs = [tf.keras.layers.Dense(2, name=name)(image) for name in names]
    kb.export.to_tflite(tf.keras.Model(image, outputs), tmp_path / "m.tflite")
    np.save(tmp_path / "in.npy", np.ones((3, 4), np.float32))
    arguments = (tmp_path / "m.tflite", tmp_path / "in.npy", "-o", tmp_path / "out.npz")
    assert run("predict", *arguments).status == 0
    expected = kb.runtime.Interpreter(tmp_path / "m.tflite").predict(np.ones((3, 4), np.float32))
    with np.load(tmp_path / "out.npz") as written:
        assert sorted(written.files) == sorted(names)
        assert all((written[name] == expected[name]).all() for name in names)


def test_json_has_null_where_a_number_is_none(capsys):
    inner = [float("nan"), np.float64("inf"), 1.5, True, None, "NaN"]
    show({"a": inner, "b": (-float("inf"),)}, True, "")
    printed = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert printed == {"a": [None, None, 1.5, True, None, "NaN"], "b": [None]}
