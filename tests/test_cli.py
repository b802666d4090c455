"""The commands: what they print, their exit status, and one clear line for wrong input."""

import json

import networks
import numpy as np
import pytest

import keras_bnn as kb
from keras_bnn import cli


class Ran:
    """Runs a command in this process, and keeps its exit status and what it printed."""

    def __init__(self, monkeypatch, capfd, *arguments):
        monkeypatch.setattr("sys.argv", ["keras-bnn", *map(str, arguments)])
        capfd.readouterr()
        self.status = 0
        try:
            cli.main()
        except SystemExit as end:
            self.status = end.code or 0
        self.out, self.err = capfd.readouterr()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that wrong input ends in."""
        lines = self.err.strip().splitlines()
        assert self.status == 2, (self.status, self.out, self.err)
        assert len(lines) == 1, self.err
        assert lines[0].startswith("keras-bnn: "), lines
        assert self.out == ""
        return lines[0]


@pytest.fixture
def run(monkeypatch, capfd):
    return lambda *arguments: Ran(monkeypatch, capfd, *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A saved model, and its exported file."""
    folder = tmp_path_factory.mktemp("cli")
    model = networks.with_trained_statistics(networks.binary_net_with_dense())
    model.save(folder / "model.keras")
    kb.export.to_tflite(model, folder / "model.tflite")
    np.save(folder / "in.npy", np.ones((3, 8, 8, 1), np.float32))
    return folder


def test_export_writes_a_file_and_tells_every_fate(run, folder, tmp_path):
    ran = run("export", folder / "model.keras", "-o", tmp_path / "m.tflite", "--json")
    assert ran.status == 0
    assert [layer["fate"] for layer in ran.json["layers"]] == ["1-bit"] * 4
    assert ran.json["bytes"] == (tmp_path / "m.tflite").stat().st_size
    assert "1-bit" in run("export", folder / "model.keras", "-o", tmp_path / "m.tflite").out


def test_export_refuses_a_layer_that_would_stay_float(run, tmp_path):
    import tensorflow as tf

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


def test_train_and_resume(run, tmp_path):
    arguments = ("train", "binarynet", "digits", "-o", tmp_path / "run", "--epochs", 1)
    trained = run(*arguments, "--batch-size", 256, "--json")
    assert trained.status == 0
    assert len(trained.json["epochs"]) == 1
    assert "epoch 1/1" in trained.err
    assert "holds a run already" in run(*arguments, "--batch-size", 256).error
    again = run(*arguments, "--batch-size", 256, "--resume", "--json")
    assert again.json == trained.json
    assert "batch_size 256, now 128" in run(*arguments, "--batch-size", 128, "--resume").error


@pytest.fixture
def wrong(tmp_path, folder):
    """Files that are no models, by what is wrong with them."""
    (tmp_path / "empty.tflite").touch()
    (tmp_path / "text.tflite").write_text("This is no model.")
    (tmp_path / "text.npy").write_text("These are no numbers.")
    (tmp_path / "text.keras").write_text("This is no model.")
    data = (folder / "model.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(data[: len(data) // 2])
    np.save(tmp_path / "shape.npy", np.ones((3, 9, 8, 1), np.float32))
    np.save(tmp_path / "type.npy", np.full((3, 8, 8, 1), "a"))
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["missing", "empty", "text", "cut", "folder"])
@pytest.mark.parametrize("command", ["inspect", "predict"])
def test_wrong_tflite_files(run, wrong, folder, command, name):
    file = wrong / (name if name == "folder" else f"{name}.tflite")
    more = [folder / "in.npy", "-o", wrong / "out.npy"] if command == "predict" else []
    assert str(file) in run(command, file, *more).error
    assert not (wrong / "out.npy").exists()


@pytest.mark.parametrize("name", ["missing.keras", "text.keras", "folder", "text.npy"])
@pytest.mark.parametrize("command", ["export", "verify"])
def test_wrong_models(run, wrong, folder, command, name):
    more = ["-o", wrong / "m.tflite"] if command == "export" else [folder / "model.tflite"]
    assert str(wrong / name) in run(command, wrong / name, *more).error
    assert not (wrong / "m.tflite").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.npy", "There is no file"),
        ("text.npy", "holds no NumPy arrays"),
        ("shape.npy", "has shape (3, 9, 8, 1), expected"),
        ("type.npy", "expected float32"),
    ],
)
def test_wrong_arrays(run, wrong, folder, name, says):
    ran = run("predict", folder / "model.tflite", wrong / name, "-o", wrong / "out.npy")
    assert says in ran.error
    assert not (wrong / "out.npy").exists()


def test_wrong_outputs(run, wrong, folder):
    model, file, samples = (folder / name for name in ("model.keras", "model.tflite", "in.npy"))
    assert "no folder" in run("export", model, "-o", wrong / "no" / "m.tflite").error
    assert "is a directory" in run("export", model, "-o", wrong / "folder").error
    assert "must end in .npy" in run("predict", file, samples, "-o", wrong / "out.txt").error


def test_wrong_names(run, tmp_path):
    assert "Unknown model" in run("train", "nonet", "digits", "-o", tmp_path / "r").error
    assert "Unknown data set" in run("train", "binarynet", "nodata", "-o", tmp_path / "r").error
    ran = run("train", "binarynet", "digits", "-o", tmp_path / "r", "--epochs", 0)
    assert "epochs is 0" in ran.error
    assert not (tmp_path / "r").exists()
    assert run("nonsense").status == 2
