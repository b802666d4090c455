"""Training: what a run keeps, and that an interrupted one ends where an uninterrupted one does."""

import dataclasses
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from few_images import few
from interruptions import interrupt_save

import keras_bnn as kb
from keras_bnn import cli
from keras_bnn._keras import keras, larq, tf
from keras_bnn.data.dataset import Dataset, Split
from keras_bnn.errors import InputError
from keras_bnn.layers import BinaryConv2D
from keras_bnn.training import settings_for, train
from keras_bnn.training.duration import duration

SETTINGS = {"epochs": 3, "batch_size": 256, "learning_rate": 0.01, "seed": 5}
# For tests that need a run, but nothing of what it learns.
BRIEF = {"epochs": 1, "batch_size": 64}
SHORT = {**BRIEF, "epochs": 3}


def tiny(input_shape, num_classes):
    """Binary layers and moving averages."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(8, 3),
            keras.layers.BatchNormalization(),
            BinaryConv2D(8, 3, weight_scale="mean_abs"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes),
        ]
    )


def random(input_shape, num_classes):
    """Layers that draw random numbers, one from a seed of its own."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.GaussianNoise(0.1, seed=3),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(num_classes),
        ]
    )


def linear(input_shape, num_classes, width=None):
    hidden = [keras.layers.Dense(width)] if width else []
    return keras.Sequential([keras.layers.Flatten(), *hidden, keras.layers.Dense(num_classes)])


class BlocksInSecondEpoch(keras.callbacks.Callback):
    """Prints a line in the middle of the second epoch, and goes no further."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 2):
            print("in the second epoch", flush=True)
            sys.stdin.read()


def train_until_killed(folder, build: str):
    """What the subprocess of `killed_run` does."""
    digits = kb.data.load("digits")
    train(globals()[build], digits, folder, **SETTINGS, callbacks=(BlocksInSecondEpoch(),))


def killed_run(folder: pathlib.Path, build) -> pathlib.Path:
    """Trains in another process, which is killed in the second epoch."""
    code = (
        "import sys, keras_bnn; sys.path.insert(0, sys.argv[1]); "
        "import test_training; test_training.train_until_killed(*sys.argv[2:])"
    )
    tests = pathlib.Path(__file__).parent
    arguments = [sys.executable, "-c", code, str(tests), str(folder), build.__name__]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(arguments, cwd=folder.parent, **pipes) as process:
        assert "in the second epoch\n" in iter(process.stdout.readline, "")
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    return folder


@pytest.fixture(scope="module")
def digits():
    return kb.data.load("digits")


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """A run that nothing interrupted."""
    return train(tiny, digits, tmp_path_factory.mktemp("whole") / "run", **SETTINGS)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A run of a few seconds that nothing interrupted."""
    return train(linear, few(), tmp_path_factory.mktemp("short") / "run", **SHORT)


@pytest.fixture
def copied(whole, tmp_path):
    """The same run in a folder of this test's own."""
    return shutil.copytree(whole.model_path.parent, tmp_path / "run")


def assert_same_end(trained, whole):
    """Weights, optimizer and every figure are equal bit for bit."""
    assert trained.epochs == whole.epochs
    assert trained.test_accuracy == whole.test_accuracy
    # Not the signs of binary kernels, which larq shows in a scope that an error left open.
    with larq.context.quantized_scope(False):
        model, expected = (kb.load_model(run.model_path) for run in (trained, whole))
        for ours, theirs in (
            (model.weights, expected.weights),
            (model.optimizer.variables, expected.optimizer.variables),
        ):
            assert len(ours) == len(theirs) > 0
            for a, b in zip(ours, theirs, strict=True):
                assert a.numpy().tobytes() == b.numpy().tobytes(), a.name
    histories = [
        json.loads((run.model_path.parent / "history.json").read_text()) for run in (trained, whole)
    ]
    # What differs is how long the epochs took.
    assert len({len(history.pop("seconds")) for history in histories}) == 1
    assert histories[0] == histories[1]


def no_training(monkeypatch):
    def fit(*arguments, **options):
        raise AssertionError("trained")

    monkeypatch.setattr(keras.Model, "fit", fit)


def check_killed_run(build, digits, whole, folder):
    killed_run(folder, build)
    assert len(json.loads((folder / "history.json").read_text())["epochs"]) == 1
    assert not (folder / "model.keras").exists()
    lines = []
    trained = train(build, digits, folder, **SETTINGS, resume=True, progress=lines.append)
    assert lines.pop(0) == f"training {build.__name__} on digits: 1,295 examples, epochs 2 to 3"
    assert [line.partition(":")[0] for line in lines] == ["epoch 2/3", "epoch 3/3"]
    assert_same_end(trained, whole)


def test_a_killed_run_ends_where_an_uninterrupted_one_does(digits, whole, tmp_path):
    check_killed_run(tiny, digits, whole, tmp_path / "run")


@pytest.mark.slow
def test_a_killed_run_with_random_layers_ends_where_an_uninterrupted_one_does(digits, tmp_path):
    whole = train(random, digits, tmp_path / "whole", **SETTINGS)
    check_killed_run(random, digits, whole, tmp_path / "run")


@pytest.mark.parametrize("build", [linear, pytest.param(random, marks=pytest.mark.slow)])
def test_a_history_one_epoch_ahead_of_the_checkpoint(build, short, tmp_path, monkeypatch):
    whole = short if build is linear else train(build, few(), tmp_path / "whole", **SHORT)
    with monkeypatch.context() as patch:
        interrupt_save(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train(build, few(), tmp_path / "run", **SHORT)
    history = json.loads((tmp_path / "run/history.json").read_text())
    assert len(history["epochs"]) == 2
    assert tf.train.latest_checkpoint(tmp_path / "run/checkpoints/stage_1").endswith("-1")
    assert_same_end(train(build, few(), tmp_path / "run", **SHORT, resume=True), whole)


@pytest.mark.slow
def test_random_layers_draw_other_numbers_in_every_epoch(tmp_path):
    class Outputs(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            ones = np.ones((1, 4, 4, 1), np.float32)
            outputs.append(self.model.layers[2](self.model.layers[1](ones), training=True).numpy())

    outputs = []
    options = {**SHORT, "learning_rate": 1e-9}
    train(random, few(), tmp_path / "run", **options, callbacks=(Outputs(),))
    assert len({output.tobytes() for output in outputs}) == 3


def test_a_history_without_checkpoints_starts_from_the_first_epoch(digits, whole, copied):
    shutil.rmtree(copied / "checkpoints")
    (copied / "model.keras").unlink()
    lines = []
    trained = train(tiny, digits, copied, **SETTINGS, resume=True, progress=lines.append)
    assert len(lines) == 4
    assert_same_end(trained, whole)


def test_an_error_of_a_layer_before_changes_nothing(digits, whole, tmp_path, monkeypatch):
    # What larq leaves behind in this thread where a quantized layer raises.
    monkeypatch.setattr(larq.context._quantized_scope, "should_quantize", True)
    trained = train(tiny, digits, tmp_path / "run", **SETTINGS)
    monkeypatch.undo()
    assert_same_end(trained, whole)


@pytest.mark.parametrize("lost", ["model", "test accuracy"])
def test_a_run_killed_after_its_last_epoch_only_needs_its_end(
    lost, digits, whole, copied, monkeypatch
):
    if lost == "model":
        (copied / "model.keras").unlink()
    else:
        history = json.loads((copied / "history.json").read_text())
        del history["test_accuracy"]
        (copied / "history.json").write_text(json.dumps(history))
    no_training(monkeypatch)
    assert_same_end(train(tiny, digits, copied, **SETTINGS, resume=True), whole)


def test_a_finished_run_is_resumed_without_training(digits, whole, copied, monkeypatch):
    no_training(monkeypatch)
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    trained = train(tiny, digits, copied, **SETTINGS, resume=True)
    assert trained.to_dict() == {**whole.to_dict(), "model_path": str(copied / "model.keras")}
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_a_run_keeps_its_settings_history_and_two_checkpoints(digits, whole):
    folder = whole.model_path.parent
    assert json.loads((folder / "settings.json").read_text()) == {
        "model": "tiny",
        "dataset": "digits",
        "examples": digits.fingerprint(),
        "recipe": "plain",
        "teacher": None,
        **SETTINGS,
        "shift": 0,
        "flip": False,
    }
    history = json.loads((folder / "history.json").read_text())
    assert history == {
        "epochs": whole.epochs,
        "seconds": whole.seconds,
        "test_accuracy": whole.test_accuracy,
    }
    assert len(whole.seconds) == 3
    assert min(whole.seconds) > 0
    assert len(whole.epochs) == 3
    names = {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(set(epoch) == names for epoch in whole.epochs)
    state = tf.train.get_checkpoint_state(folder / "checkpoints/stage_1")
    assert [name.rpartition("-")[2] for name in state.all_model_checkpoint_paths] == ["2", "3"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "history.json",
        "model.keras",
        "settings.json",
    ]


def test_the_trained_model_has_the_test_accuracy_that_is_told(digits, whole):
    model = kb.load_model(whole.model_path)
    predicted = model.predict(digits.test.images, verbose=0).argmax(-1)
    assert (predicted == digits.test.labels).mean() == pytest.approx(whole.test_accuracy, abs=1e-6)
    assert whole.test_accuracy > 0.5


def test_the_learning_rate_ends_at_zero(whole):
    optimizer = kb.load_model(whole.model_path).optimizer
    # A tenth of each class of the 1,438 is held out, 144 in all.
    assert int(optimizer.iterations) == 3 * -(-1294 // 256)
    # Keras computes `optimizer.learning_rate` anew only in the next step.
    schedule = keras.optimizers.schedules.deserialize(optimizer.get_config()["learning_rate"])
    assert float(schedule(0)) == pytest.approx(SETTINGS["learning_rate"])
    assert float(schedule(optimizer.iterations)) == pytest.approx(0, abs=1e-9)


def test_another_seed_is_another_run(brief, tmp_path):
    other = train(linear, few(), tmp_path / "run", **BRIEF, seed=1)
    assert other.epochs != brief.epochs


def test_defaults_are_those_of_the_data_set(tmp_path, monkeypatch):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(linear, few(), tmp_path / "run", callbacks=(Stop(),))
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings | dataclasses.asdict(settings_for("few")) == settings


def test_a_folder_with_a_run_needs_resume(digits, copied):
    with pytest.raises(InputError, match=r"run already\. Resume it"):
        train(tiny, digits, copied, **SETTINGS)


def test_resume_needs_a_run(digits, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=r"no run in .* to resume"):
            train(tiny, digits, folder, **SETTINGS, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_resume_takes_the_settings_of_the_run_where_none_are_given(digits, whole, copied):
    assert_same_end(train(tiny, digits, copied, resume=True), whole)
    (copied / "model.keras").unlink()
    shutil.rmtree(copied / "checkpoints")
    assert_same_end(train(tiny, digits, copied, epochs=SETTINGS["epochs"], resume=True), whole)


def test_settings_of_a_run_that_lack_some_are_refused(brief, tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    assert "model None, now 'linear'" in refused(tmp_path, linear, resume=True)


def test_a_line_comes_before_the_first_epoch_and_each_tells_its_time(tmp_path):
    class Notes(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            lines.append("begins")

    lines = []
    options = {**BRIEF, "epochs": 2, "callbacks": [Notes()], "progress": lines.append}
    train(linear, few(), tmp_path / "run", **options)
    assert [line for line in lines if not line.startswith("epoch")] == [
        "training linear on few: 72 examples, epochs 1 to 2",
        "begins",
        "begins",
    ]
    assert lines[0].startswith("training")
    assert re.search(r"; took [\d.]+ s, about [\d.]+ s left$", lines[2])
    assert re.search(r"; took [\d.]+ s$", lines[4])


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (99, "99 s"), (400, "7 min"), (4e4, "11 h")],
)
def test_durations_are_in_a_unit_that_people_read(seconds, told):
    assert duration(seconds) == told


def full(monkeypatch, number: int):
    """Makes the disk take no checkpoint of that number."""
    save = tf.train.CheckpointManager.save

    def refuses(self, checkpoint_number=None, **options):
        if checkpoint_number == number:
            raise tf.errors.ResourceExhaustedError(
                None, None, "{{node}} ckpt; No space left [Op:SaveV2]"
            )
        return save(self, checkpoint_number=checkpoint_number, **options)

    monkeypatch.setattr(tf.train.CheckpointManager, "save", refuses)


def test_a_disk_that_takes_no_more_is_one_line_and_costs_no_epoch_before(
    short, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        full(patch, 2)
        told = refused(tmp_path / "run", linear, epochs=3)
    assert f"checkpoint of epoch 2 in {tmp_path / 'run'}: No space left. The" in told
    lines = []
    resumed = train(linear, few(), tmp_path / "run", resume=True, progress=lines.append)
    assert "epochs 2 to 3" in lines[0]
    assert_same_end(resumed, short)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file/run"):
        assert "Cannot make the folder" in refused(folder, linear)


def test_a_name_that_no_folder_can_have_is_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path / ("x" * 300), linear)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"epochs": 4}, "epochs 3, now 4"),
        ({"batch_size": 32}, "batch_size 256, now 32"),
        ({"learning_rate": 0.1}, "learning_rate 0.01, now 0.1"),
        ({"seed": 6}, "seed 5, now 6"),
        ({"model": "binarynet"}, "model 'tiny', now 'binarynet'"),
        ({"dataset": few()}, "dataset 'digits', now 'few'; examples"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_other_settings_are_named(changed, told, digits, copied):
    arguments = {"model": tiny, "dataset": digits, **SETTINGS, **changed}
    with pytest.raises(InputError) as error:
        train(**arguments, folder=copied, resume=True)
    message = str(error.value)
    assert told in message
    assert "\n" not in message
    assert message.count("now") == len(changed) + ("dataset" in changed)


def refused(folder, build, **options) -> str:
    with pytest.raises(InputError) as error:
        train(build, few(), folder, **{**BRIEF, **options})
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    return train(linear, few(), tmp_path_factory.mktemp("brief") / "run", **BRIEF)


@pytest.fixture
def half_run(brief, tmp_path):
    """A run of which only the checkpoint and the history of its epoch are left."""
    folder = shutil.copytree(brief.model_path.parent, tmp_path / "run")
    (folder / "model.keras").unlink()
    return folder


def test_a_checkpoint_of_another_network_is_one_line(half_run):
    # Partial functions count as the function that they call.
    for build in (functools.partial(linear, width=4), functools.partial(linear, width=2)):
        assert "does not fit this model" in refused(half_run, build, resume=True)


@pytest.mark.parametrize("kind", ["*.index", "*.data*"])
def test_a_damaged_checkpoint_is_one_line(kind, half_run):
    path = next((half_run / "checkpoints/stage_1").glob(kind))
    for data in (path.read_bytes()[:20], b""):
        path.write_bytes(data)
        assert str(half_run) in refused(half_run, linear, resume=True)
    path.unlink()
    assert str(half_run) in refused(half_run, linear, resume=True)


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"[]"])
@pytest.mark.parametrize("name", ["settings.json", "history.json"])
def test_a_damaged_file_of_the_run_is_one_line(name, data, half_run):
    (half_run / name).write_bytes(data)
    assert str(half_run / name) in refused(half_run, linear, resume=True)


def test_a_checkpoint_without_its_history_is_one_line(half_run):
    (half_run / "history.json").unlink()
    assert "history.json holds 0 epochs" in refused(half_run, linear, resume=True)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "3"])
def test_settings_out_of_range_are_refused(name, value, tmp_path):
    assert f"{name} is {value!r}" in refused(tmp_path / "run", linear, **{name: value})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 1.5), ("batch_size", 2.5), ("seed", -1), ("seed", 2**40), ("seed", 1.5)],
)
def test_settings_that_are_no_such_whole_numbers_are_refused(name, value, tmp_path):
    assert f"{name} is {value}, expected a whole" in refused(
        tmp_path / "run", linear, **{name: value}
    )
    assert not (tmp_path / "run").exists()


def test_numbers_of_numpy_are_taken(brief, tmp_path):
    numbers = {"epochs": np.int64(1), "batch_size": np.int32(64), "seed": np.uint8(0)}
    trained = train(linear, few(), tmp_path / "run", **numbers, learning_rate=np.float32(5e-3))
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings["learning_rate"] == float(np.float32(5e-3))
    assert trained.epochs[0]["loss"] == pytest.approx(brief.epochs[0]["loss"], rel=1e-5)


def nothing(input_shape, num_classes):
    return None


class Subclassed(keras.Model):
    """A model that knows its outputs only in a call."""

    def __init__(self, units):
        super().__init__()
        self.inner = linear(None, units)

    def call(self, inputs):
        return self.inner(inputs)


NO_CLASSIFIERS = {
    "unknown": ("vgg", "'vgg'"),
    "none": (None, "NoneType"),
    "built": (linear((4, 4, 1), 2), "class Sequential, expected the name"),
    "returns none": (nothing, "returned NoneType"),
    "three logits": (lambda shape, classes: linear(shape, 3), "(None, 3), expected (None, 2)"),
    "one logit": (lambda shape, classes: Subclassed(1), "(None, 1), expected (None, 2)"),
}


@pytest.mark.parametrize(("build", "told"), NO_CLASSIFIERS.values(), ids=NO_CLASSIFIERS)
def test_what_is_no_classifier_is_refused_before_anything_is_written(build, told, tmp_path):
    assert told in refused(tmp_path / "run", build)
    assert not (tmp_path / "run").exists()


def test_a_subclassed_model_is_trained(tmp_path):
    train(lambda shape, classes: Subclassed(classes), few(), tmp_path / "run", **BRIEF)


@pytest.mark.parametrize(("value", "told"), [("digits", "'digits'"), (few().train, "'Split'")])
def test_what_is_no_data_set_is_refused(value, told, tmp_path):
    with pytest.raises(InputError, match=rf"dataset is {told}, expected a keras_bnn.data.Dataset"):
        train(linear, value, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def part_of_few(training: int = 80, test: int = 20, size: int = 4) -> Dataset:
    splits = (few().train, training), (few().test, test)
    parts = [Split(split.images[:count, :size], split.labels[:count]) for split, count in splits]
    return Dataset("few", *parts, ("even", "odd"))


@pytest.mark.parametrize(
    ("build", "dataset", "told"),
    [
        ("binarynet", part_of_few(size=3), "height and width of 4 or more"),
        (linear, part_of_few(training=8), "6 or more of one class"),
        (linear, part_of_few(test=0), "no test examples"),
    ],
    ids=["small images", "no validation", "no test"],
)
def test_data_that_do_not_do_are_refused_before_anything_is_written(build, dataset, told, tmp_path):
    with pytest.raises(InputError, match=told):
        train(build, dataset, tmp_path / "run", **BRIEF)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("callbacks", "told"),
    [
        (keras.callbacks.History(), "class History, expected a list or tuple"),
        (
            (keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),),
            "LearningRateScheduler would",
        ),
        ([keras.callbacks.EarlyStopping()], "EarlyStopping would have no effect"),
    ],
    ids=["single", "learning rate", "early stopping"],
)
def test_callbacks_without_effect_are_refused(callbacks, told, tmp_path):
    assert told in refused(tmp_path / "run", linear, callbacks=callbacks)
    assert not (tmp_path / "run").exists()


class StopsAfterSecondEpoch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1


def test_a_callback_stops_the_run_and_resuming_leaves_it_stopped(tmp_path, monkeypatch):
    options = {**BRIEF, "epochs": 4, "callbacks": [StopsAfterSecondEpoch()]}
    lines = []
    whole = train(linear, few(), tmp_path / "whole", **options, progress=lines.append)
    assert whole.stopped
    assert [line.endswith("stopped by a callback") for line in lines] == [False, False, True]
    assert json.loads((tmp_path / "whole/history.json").read_text())["stopped"] is True
    for saved in (2, 3):
        # Killed before the last checkpoint, and after it, before the model is written.
        folder = tmp_path / f"killed {saved}"
        with monkeypatch.context() as patch:
            interrupt_save(patch, saved)
            patch.setattr(keras.Model, "save", interrupt)
            with pytest.raises(KeyboardInterrupt):
                train(linear, few(), folder, **options)
        resumed = train(linear, few(), folder, **options, resume=True)
        assert resumed.stopped
        assert_same_end(resumed, whole)
    assert train(linear, few(), tmp_path / "whole", **options, resume=True).stopped


def interrupt(*arguments, **options):
    raise KeyboardInterrupt


def test_figures_that_are_no_numbers_are_null(tmp_path):
    options = {**SHORT, "batch_size": 8, "learning_rate": 1e38}
    stop, lines = [keras.callbacks.TerminateOnNaN()], []
    trained = train(
        linear, few(), tmp_path / "run", **options, callbacks=stop, progress=lines.append
    )
    assert trained.stopped
    assert trained.epochs[-1]["loss"] is None
    assert "loss nan" in lines[-1]

    def no_json(constant):
        raise AssertionError(constant)

    text = (tmp_path / "run/history.json").read_text()
    assert json.loads(text, parse_constant=no_json)["epochs"] == trained.epochs
    json.dumps(trained.to_dict(), allow_nan=False)


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, monkeypatch, capfd):
    for arguments in (["--resume"], ["--seed", "-1"], ["--data-folder", str(tmp_path)]):
        command = ["keras-bnn", "train", "binarynet", "digits", "-o", str(tmp_path / "run")]
        monkeypatch.setattr("sys.argv", command + arguments)
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capfd.readouterr()
        assert end.value.code == 2
        assert printed.out == ""
        assert len(printed.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def command(folder, *options):
    program = "import keras_bnn.cli; keras_bnn.cli.main()"
    settings = ["--epochs", "3", "--batch-size", "256", "--json", "-o", str(folder), *options]
    return [sys.executable, "-c", program, "train", "binarynet", "digits", *settings]


@pytest.mark.slow
def test_the_command_is_killed_and_resumed(tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(tmp_path / "run"), cwd=tmp_path, **pipes) as process:
        lines = iter(process.stderr.readline, "")
        assert any(line.startswith("epoch 1/3") for line in lines)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    ends = [
        subprocess.run(command(*options), cwd=tmp_path, check=True, stdout=subprocess.PIPE).stdout
        for options in ((tmp_path / "run", "--resume"), (tmp_path / "whole",))
    ]
    killed, whole = map(json.loads, ends)
    assert killed["model_path"] == str(tmp_path / "run/model.keras")
    runs = [
        kb.training.Trained(**{**end, "model_path": pathlib.Path(end["model_path"])})
        for end in (killed, whole)
    ]
    assert_same_end(*runs)
