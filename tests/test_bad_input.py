"""Wrong input and interruptions: one clear line, and what was there before is as it was.

The exit status is 2, or 1 where the answer is no, or a shell's 130 for Ctrl-C.
"""

import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import commands
import networks
import numpy as np
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn import files
from keras_bnn.errors import InputError

EARLIER = b"what was there before"
LONGEST = "x" * 248


@pytest.fixture
def wrong(tmp_path, folder):
    """Files that are not what their suffix says, by what is wrong with them."""
    for suffix in ("tflite", "keras", "npy", "npz"):
        (tmp_path / f"empty.{suffix}").touch()
        (tmp_path / f"text.{suffix}").write_text("This is something else.")
    for source in (folder / "model.tflite", folder / "model.keras"):
        data = source.read_bytes()
        for share in (1, 50, 99):
            cut = data[: len(data) * share // 100]
            (tmp_path / f"cut_{share}{source.suffix}").write_bytes(cut)
    (tmp_path / "folder").mkdir()
    (tmp_path / "earlier.tflite").write_bytes(EARLIER)
    (tmp_path / "earlier.npy").write_bytes(EARLIER)
    return tmp_path


def assert_nothing_written(folder: pathlib.Path):
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    for path in folder.glob("earlier.*"):
        assert path.read_bytes() == EARLIER


WRONG_TFLITE = ("missing", "folder", "empty", "text", "cut_1", "cut_50", "cut_99")
WRONG_TFLITE_OF = {
    "inspect": WRONG_TFLITE,
    "predict": WRONG_TFLITE,
    # Loads the model first, each time.
    "verify": ("missing", "cut_50"),
}


@pytest.mark.parametrize(
    ("command", "name"),
    [(command, name) for command, names in WRONG_TFLITE_OF.items() for name in names],
)
def test_files_that_are_no_tflite_files(run, wrong, folder, command, name):
    file = wrong / (name if name == "folder" else f"{name}.tflite")
    words = {
        "inspect": (file,),
        "predict": (file, folder / "in.npy", "-o", wrong / "earlier.npy"),
        "verify": (folder / "model.keras", file),
    }
    assert str(file) in run(command, *words[command]).error
    assert_nothing_written(wrong)


WRONG_KERAS = [*(f"{name}.keras" for name in WRONG_TFLITE if name != "folder"), "folder"]


@pytest.mark.parametrize("name", [*WRONG_KERAS, "text.npy", "text.tflite"])
@pytest.mark.parametrize("command", ["export", "verify"])
def test_files_that_are_no_models(run, wrong, folder, command, name):
    more = {"export": ("-o", wrong / "earlier.tflite"), "verify": (folder / "model.tflite",)}
    assert str(wrong / name) in run(command, wrong / name, *more[command]).error
    assert_nothing_written(wrong)


def npy(values) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def header(shape) -> bytes:
    """An array's file that ends before its values."""
    stream = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue()


def with_a_wrong_byte(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
NO_ARRAYS = {
    "empty.npy": b"",
    "text.npy": b"These are no numbers.",
    "text.npz": b"These are no numbers.",
    "cut.npy": npy(IMAGES)[:-1],
    "cut.npz": npz(image=IMAGES)[:-30],
    "fake.npz": b"PK\3\4" + b"no archive" * 20,
    "damaged.npz": with_a_wrong_byte(npz(image=IMAGES)),
    "short.npy": header((3, 8, 8, 1)),
    "huge.npy": header((10**12, 8, 8, 1)),
    "larger than any number.npy": header((10**30, 8, 8, 1)),
    "pickled.npy": npy(np.array([{}])),
    "pickled.npz": npz(image=np.array([{}])),
}
UNFIT_ARRAYS = {
    "shape.npy": npy(IMAGES[:, 1:]),
    "no samples.npy": npy(IMAGES[:0]),
    "no axes.npy": npy(np.float32(1)),
    "strings.npy": npy(np.full(IMAGES.shape, "a")),
    "complex.npy": npy(IMAGES.astype(complex)),
    "two.npz": npz(image=IMAGES, picture=IMAGES),
}


@pytest.mark.parametrize("name", ["missing.npy", "folder", *NO_ARRAYS, *UNFIT_ARRAYS])
@pytest.mark.parametrize("command", ["predict", "verify"])
def test_arrays_that_are_none_or_do_not_fit(run, wrong, folder, command, name):
    file = wrong / name
    if data := (NO_ARRAYS | UNFIT_ARRAYS).get(name):
        file.write_bytes(data)
    words = {
        "predict": (folder / "model.tflite", file, "-o", wrong / "earlier.npy"),
        "verify": (folder / "model.keras", folder / "model.tflite", "--inputs", file),
    }
    error = run(command, *words[command]).error
    if name not in UNFIT_ARRAYS:
        says = "There is no file" if name == "missing.npy" else "holds no NumPy arrays"
        assert says in error
        assert str(file) in error
    assert "expected" in error
    assert_nothing_written(wrong)


def test_models_without_binary_layers_are_exported_from_python_only(run, wrong):
    float_only = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(2)])
    float_only.save(wrong / "float.keras")
    error = run("export", wrong / "float.keras", "-o", wrong / "earlier.tflite").error
    assert f"{wrong / 'float.keras'} has no binary layer" in error
    assert_nothing_written(wrong)
    assert not kb.export.to_tflite(float_only, wrong / "float.tflite").layers


@pytest.mark.parametrize(
    ("layer", "weight"), [("binary", "kernel"), ("norm", "moving_variance"), ("inner", "bias")]
)
def test_weights_that_are_no_numbers(run, wrong, folder, layer, weight):
    inner = tf.keras.Sequential([tf.keras.Input((8,)), tf.keras.layers.Dense(2, name="inner")])
    binary = kb.layers.BinaryDense(8, name="binary")
    norm = tf.keras.layers.BatchNormalization(name="norm")
    model = tf.keras.Sequential([tf.keras.Input((4,)), binary, norm, inner])
    spoiled = getattr({"inner": inner.layers[0]}.get(layer) or model.get_layer(layer), weight)
    spoiled.assign(np.where(np.arange(spoiled.shape[-1]) == 1, np.nan, spoiled))
    model.save(wrong / "nan.keras")
    error = run("export", wrong / "nan.keras", "-o", wrong / "earlier.tflite").error
    assert f"keras-bnn: {layer} (" in error
    assert f"its weight {weight!r} holds NaN" in error
    assert_nothing_written(wrong)


@pytest.mark.parametrize("name", ["model.keras", "other.keras", "model.H5", "other.hdf5"])
def test_a_model_is_not_overwritten_by_its_export(run, folder, tmp_path, name):
    model = shutil.copy(folder / "model.keras", tmp_path / "model.keras")
    before = model.read_bytes()
    assert "has the name of a Keras model" in run("export", model, "-o", tmp_path / name).error
    assert model.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_targets_that_cannot_be_written(run, wrong, folder):
    model, file, samples = (folder / name for name in ("model.keras", "model.tflite", "in.npy"))
    assert "no folder" in run("export", model, "-o", wrong / "no" / "m.tflite").error
    assert "is a directory" in run("export", model, "-o", wrong / "folder").error
    assert "Cannot write /proc/m.tflite" in run("export", model, "-o", "/proc/m.tflite").error
    assert "must end in .npy" in run("predict", file, samples, "-o", wrong / "out.txt").error


def test_several_outputs_take_an_archive(run, wrong, folder):
    kb.export.to_tflite(networks.two_in_two_out(), wrong / "m.tflite")
    ones = np.ones((2, 8, 8, 2), np.float32)
    np.savez(wrong / "in.npz", zeta=ones, alpha=ones)
    arguments = (wrong / "m.tflite", wrong / "in.npz", "-o", wrong / "earlier.npy")
    assert "name it .npz" in run("predict", *arguments).error
    assert_nothing_written(wrong)


def test_names_up_to_the_longest_are_written(tmp_path):
    for name in (f"{LONGEST}.tflite", f"x.{LONGEST}", "no suffix", ".hidden"):
        files.write_atomically(tmp_path / name, b"all of it")
        assert (tmp_path / name).read_bytes() == b"all of it"
    assert len(list(tmp_path.iterdir())) == 4


def test_names_that_are_too_long(run, folder, tmp_path):
    long, file, samples = f"{LONGEST}{LONGEST}", folder / "model.tflite", folder / "in.npy"
    with pytest.raises(InputError, match=r"Cannot write .*: File name too long"):
        files.write_atomically(tmp_path / long, b"")
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        kb.load_model(tmp_path / f"{long}.keras")
    for words in (
        ("export", folder / "model.keras", "-o", tmp_path / f"{long}.tflite"),
        ("export", tmp_path / f"{long}.keras", "-o", tmp_path / "m.tflite"),
        ("predict", file, samples, "-o", tmp_path / f"{long}.npy"),
        ("predict", file, tmp_path / f"{long}.npy", "-o", tmp_path / "out.npy"),
        ("inspect", tmp_path / f"{long}.tflite"),
        ("train", "binarynet", "digits", "-o", tmp_path / long),
    ):
        assert "File name too long" in run(*words).error
    assert not list(tmp_path.iterdir())


def test_wrong_names(run, tmp_path):
    assert "Unknown model" in run("train", "nonet", "digits", "-o", tmp_path / "r").error
    assert "Unknown data set" in run("train", "binarynet", "nodata", "-o", tmp_path / "r").error
    ran = run("train", "binarynet", "digits", "-o", tmp_path / "r", "--epochs", 0)
    assert "epochs is 0" in ran.error
    assert not (tmp_path / "r").exists()
    assert run("nonsense").status == 2


@pytest.mark.parametrize(
    ("model", "samples", "status"),
    [
        ("1-bit", IMAGES, 0),
        pytest.param("1-bit", IMAGES[:, 1:], 2, marks=pytest.mark.slow),
        ("float", IMAGES, 0),
        ("float", IMAGES[:, 1:], 2),
    ],
    ids=["1-bit", "1-bit, wrong", "float", "float, wrong"],
)
def test_libraries_add_no_line(folder, tmp_path, model, samples, status):
    """TensorFlow and LiteRT log from C++, which only a process of its own shows."""
    file = folder / "model.tflite"
    if model == "float":
        float_only = tf.keras.Sequential([tf.keras.Input((8, 8, 1)), tf.keras.layers.Flatten()])
        kb.export.to_tflite(float_only, file := tmp_path / "float.tflite")
    np.save(tmp_path / "in.npy", samples)
    words = ("predict", file, tmp_path / "in.npy", "-o", tmp_path / "out.npy")
    out, error = (process := commands.start(*words)).communicate()
    assert process.returncode == status, error
    assert len(error.splitlines()) == (1 if status else 0), error
    assert len(out.splitlines()) == (0 if status else 1), out


# Another mount namespace needs no rights outside it, and its mounts end with it. The answer is
# how the command ended, and what is in the folder after it.
ON_ANOTHER_DISK = """
mount -t tmpfs -o size=64k tmpfs "$0" || exit 77
printf '%s' "$1" > "$0/earlier.tflite"; printf '%s' "$1" > "$0/earlier.npy"
if [ "$2" = full ]; then head -c 1M /dev/zero > "$0/filler" 2>/dev/null
else mount -o remount,ro tmpfs "$0" || exit 77; fi
disk="$0"; shift 2
"$@"
status=$?
for file in earlier.tflite earlier.npy; do printf '%s\\n' "$(cat "$disk/$file")"; done
ls -A "$disk"
exit $status
"""


def on_another_disk(folder, kind: str, *words) -> subprocess.CompletedProcess:
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed, which mounts the small disk of this test")
    command = ["unshare", "-rm", "sh", "-c", ON_ANOTHER_DISK, folder, EARLIER.decode(), kind]
    command += [sys.executable, "-c", commands.SCRIPT, *words]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ran.returncode == 77 or "unshare: " in ran.stderr:
        pytest.skip(f"this machine lets no test mount a disk: {ran.stderr.strip()}")
    return ran


DISKS = {"full": ": No space left on device.", "read-only": "is not writable."}


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("export", "full"),
        ("predict", "read-only"),
        # Both commands write through the same function.
        pytest.param("export", "read-only", marks=pytest.mark.slow),
        pytest.param("predict", "full", marks=pytest.mark.slow),
    ],
)
def test_disks_that_take_no_more(folder, tmp_path, command, kind):
    words = {
        "export": (folder / "model.keras", "-o", tmp_path / "earlier.tflite"),
        "predict": (folder / "model.tflite", folder / "in.npy", "-o", tmp_path / "earlier.npy"),
    }
    ran = on_another_disk(tmp_path, kind, command, *words[command])
    assert ran.returncode == 2, ran
    (error,) = ran.stderr.splitlines()
    assert error.startswith(f"keras-bnn: Cannot write {words[command][-1]}: ")
    assert DISKS[kind] in error
    filler = ["filler"] if kind == "full" else []
    held = [EARLIER.decode()] * 2 + ["earlier.npy", "earlier.tflite", *filler]
    assert ran.stdout.splitlines() == held


# Stops an export where the test wants it: prints a line there, and waits.
STOPPING = """
import pathlib, sys, time
from keras_bnn import cli
from keras_bnn.cli.output import quiet

with quiet():
    from keras_bnn import _lce

def stop(*arguments):
    print("stopped", flush=True)
    while True:
        time.sleep(0.05)

def half(path, data):
    with path.open("wb") as file:
        file.write(data[: len(data) // 2])
    stop()

if sys.argv.pop(1) == "converting":
    _lce.convert_saved_model = stop
else:
    pathlib.Path.write_bytes = half
cli.main()
"""


def interrupted(process: subprocess.Popen) -> str:
    """Presses Ctrl-C; returns what the process still printed on standard error."""
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130, error
    return error


def killed(process: subprocess.Popen) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("how", "where"),
    [
        (interrupted, "converting"),
        (killed, "writing"),
        pytest.param(interrupted, "writing", marks=pytest.mark.slow),
        pytest.param(killed, "converting", marks=pytest.mark.slow),
    ],
)
def test_an_export_that_is_stopped_leaves_the_earlier_file(folder, wrong, how, where):
    words = (where, "export", folder / "model.keras", "-o", wrong / "earlier.tflite")
    visible = sorted(path.name for path in wrong.iterdir())
    with commands.start(*words, script=STOPPING) as process:
        assert process.stdout.readline() == "stopped\n", process.communicate()
        assert how(process) in (None, "keras-bnn: interrupted\n")
    if how is interrupted:
        assert_nothing_written(wrong)
    assert (wrong / "earlier.tflite").read_bytes() == EARLIER
    left = sorted(path.name for path in wrong.iterdir())
    assert [name for name in left if not name.startswith(".")] == visible


def epoch_of(line: str) -> int:
    assert line.startswith("epoch "), line
    return int(line.removeprefix("epoch ").partition("/")[0])


@pytest.mark.slow
def test_a_training_that_is_stopped_goes_on(tmp_path):
    words = ("train", "binarynet", "digits", "-o", tmp_path / "run", "--epochs", 1000)
    history = tmp_path / "run" / "history.json"
    expected = 1
    for how in (interrupted, killed, interrupted):
        more = ("--resume",) if expected > 1 else ()
        with commands.start(*words, *more) as process:
            assert process.stderr.readline().startswith("training binarynet on digits: ")
            # An epoch's checkpoint comes after its history, so at most one is done again.
            assert epoch_of(process.stderr.readline()) in (expected - 1, expected)
            error = how(process)
        if error is not None:
            *lines, last = error.splitlines()
            assert last == "keras-bnn: interrupted"
            assert all(line.startswith("epoch ") for line in lines)
        expected = len(json.loads(history.read_text())["epochs"]) + 1
    assert expected > 3
    assert not (tmp_path / "run" / "model.keras").exists()
