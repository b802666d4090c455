"""1-bit files on stock LiteRT: batches, sizes, threads, other people's files, a missing library."""

import gc
import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hand_made import FLOAT32, hand_made

import keras_bnn as kb
from keras_bnn import _lce
from keras_bnn.errors import InputError
from keras_bnn.runtime import native

layers = tf.keras.layers


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A model with open height and width, and its file.

    Its first kernel is of whole numbers, so that on such images no sign is a matter of rounding.
    """
    image = tf.keras.Input((None, None, 3))
    whole = tf.constant_initializer(np.random.default_rng(9).integers(-2, 3, 3 * 3 * 3 * 32))
    x = layers.Conv2D(32, 3, padding="same", kernel_initializer=whole)(image)
    for _ in range(2):
        x = kb.layers.BinaryConv2D(32, 3)(x)
        x = layers.BatchNormalization()(x)
    model = tf.keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    path = tmp_path_factory.mktemp("network") / "m.tflite"
    kb.export.to_tflite(model, path)
    return model, path


def images(*shape, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


def test_batches_and_sizes_up_and_down(network):
    model, path = network
    interpreter = kb.runtime.Interpreter(path)
    for batch in (*range(1, 34), 2, 1):
        x = images(batch, 6, 7, 3)
        np.testing.assert_allclose(interpreter.predict(x), model(x), atol=1e-4)
    for height, width in ((5, 5), (9, 6), (20, 31), (5, 7)):
        x = images(2, height, width, 3)
        np.testing.assert_allclose(interpreter.predict(x), model(x), atol=1e-4)


def test_after_a_size_that_is_too_small_others_still_run(tmp_path):
    image = tf.keras.Input((None, None, 32))
    model = tf.keras.Model(image, kb.layers.BinaryConv2D(8, 3)(image))
    kb.export.to_tflite(model, tmp_path / "m.tflite")
    interpreter = kb.runtime.Interpreter(tmp_path / "m.tflite")
    for _ in range(2):
        x = images(2, 4, 5, 32)
        np.testing.assert_array_equal(interpreter.predict(x), model(x))
        with pytest.raises(InputError, match="a window of 3 columns, expected at most the 2 of"):
            interpreter.predict(images(2, 4, 2, 32))


def test_two_interpreters_of_one_file_do_not_meet(network):
    _, path = network
    first, second = (kb.runtime.Interpreter(path, num_threads=count) for count in (1, 2))
    small, large = images(1, 5, 6, 3), images(3, 9, 9, 3)
    alone = first.predict(small)
    second.predict(large)
    assert (first.predict(small) == alone).all()
    assert (second.predict(small) == alone).all()


@pytest.mark.parametrize("shared", [True, False])
def test_eight_threads(network, shared):
    """On one interpreter they take turns, each with another batch; on several they do not."""
    _, path = network
    samples = [images(1 + i % 3, 5, 5, 3, seed=i) for i in range(40)]
    one = kb.runtime.Interpreter(path)
    expected = [one.predict(x) for x in samples]

    def predict(x):
        return (one if shared else kb.runtime.Interpreter(path)).predict(x)

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(predict, samples))
    for result, right in zip(got, expected, strict=True):
        assert (result == right).all()


def test_files_of_lces_converter_alone_run_at_any_batch(tmp_path):
    """Its RESHAPE holds a batch of 1, and its gates leave their axes out."""
    image = tf.keras.Input((6, 6, 32))
    x = kb.layers.BinaryConv2D(32, 3, padding="same")(image)
    gate = layers.Dense(32, "sigmoid")(layers.GlobalAveragePooling2D()(x))
    x = layers.multiply([x, layers.Reshape((1, 1, 32))(gate)])
    model = tf.keras.Model(image, layers.Reshape((72, 16))(x))
    model.save(tmp_path / "saved")
    data = _lce.convert_saved_model(str(tmp_path / "saved"))
    interpreter = kb.runtime.Interpreter(data)
    for batch in (1, 6, 16):
        inputs = images(batch, 6, 6, 32)
        np.testing.assert_allclose(interpreter.predict(inputs), model(inputs), atol=1e-4)


def test_xnnpack_has_the_float_operators(network):
    """LiteRT adds it in the first allocation, after ours; both are called DELEGATE."""
    _, path = network
    engine = kb.runtime.Interpreter(path)._engine

    def delegates():
        return sum(op["op_name"] == "DELEGATE" for op in engine._interpreter._get_ops_details())

    before = delegates()
    engine.run([images(1, 5, 5, 3)])
    assert 0 < before < delegates()


def test_a_required_input_that_is_absent_is_refused():
    """LiteRT would end the process."""
    tensors = [(FLOAT32, (1, 4), None), (FLOAT32, (1, 4), None)]
    data = hand_made(tensors, [("ADD", (0, -1), (1,), None)])
    with pytest.raises(InputError, match="Operator 0, ADD, lacks input 1, which it needs"):
        kb.runtime.Interpreter(data)


def test_an_optional_input_may_be_absent():
    weights = np.eye(4, dtype=np.float32)
    tensors = [(FLOAT32, (1, 4), None), (FLOAT32, (4, 4), weights), (FLOAT32, (1, 4), None)]
    data = hand_made(tensors, [("FULLY_CONNECTED", (0, 1, -1), (2,), None)])
    assert kb.runtime.Interpreter(data).predict(weights).tolist() == weights.tolist()


CLI = "from keras_bnn import cli; cli.main()"


def test_the_command_says_in_one_line_that_the_library_is_missing(folder, tmp_path):
    command = "predict", folder / "model.tflite", folder / "in.npy", "-o"
    done = in_a_process(CLI, *command, tmp_path / "a.npy", KERAS_BNN_NATIVE="0")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert "1-bit operators run on LCE's interpreter" in done.stderr
    own = in_a_process(CLI, *command, tmp_path / "b.npy", KERAS_BNN_NATIVE="")
    assert (own.returncode, own.stderr) == (0, "")
    results = [np.load(tmp_path / name) for name in ("a.npy", "b.npy")]
    np.testing.assert_allclose(*results, atol=1e-4)


def test_the_command_says_in_one_line_which_instruction_sets_there_are(folder, tmp_path):
    command = "predict", folder / "model.tflite", folder / "in.npy", "-o", tmp_path / "out.npy"
    done = in_a_process(CLI, *command, KERAS_BNN_ISA="nonsense")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "KERAS_BNN_ISA is 'nonsense', expected one of" in done.stderr
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("name", ["avx3", "AVX2"])
def test_an_instruction_set_that_is_not_here_is_refused(network, monkeypatch, name):
    monkeypatch.setenv("KERAS_BNN_ISA", name)
    with pytest.raises(InputError, match=f"KERAS_BNN_ISA is '{name}', expected one of"):
        kb.runtime.Interpreter(network[1])


def test_every_instruction_set_gives_the_same_bits(network, monkeypatch):
    results = []
    for name in native.instruction_sets():
        monkeypatch.setenv("KERAS_BNN_ISA", name)
        interpreter = kb.runtime.Interpreter(network[1])
        assert f"({name})" in interpreter.engine
        results.append(interpreter.predict(images(3, 8, 8, 3)))
    assert all((result == results[0]).all() for result in results)


def in_a_process(code: str, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )


WITHOUT_LIBRARY = """
    import sys, warnings
    import numpy as np
    import keras_bnn as kb
    if sys.argv[2] == "alone":
        import importlib.util
        importlib.util.find_spec = lambda name, package=None: None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            for _ in range(2):
                interpreter = kb.runtime.Interpreter(sys.argv[1])
        except kb.errors.InputError as error:
            sys.exit(f"refused: {error}")
    for warning in caught:
        if "keras-bnn" in str(warning.message):
            print(warning.category.__name__, warning.message)
    x = np.random.default_rng(0).integers(-3, 4, (4, 8, 8, 1)).astype(np.float32)
    np.save(sys.argv[1] + ".npy", interpreter.predict(x))
    print(interpreter.engine)
"""


def test_without_the_library_lces_interpreter_runs_and_that_is_said_once(tmp_path):
    path = tmp_path / "m.tflite"
    kb.export.to_tflite(kb.models.BinaryNet((8, 8, 1), 10), path)
    done = in_a_process(WITHOUT_LIBRARY, path, "with LCE", KERAS_BNN_NATIVE="0")
    warning, engine = done.stdout.splitlines()
    assert engine == "LCE (reference)"
    assert warning == (
        "MissingLibraryWarning 1-bit operators run on LCE's interpreter, which is slower, because "
        "keras-bnn's own library is not in use: KERAS_BNN_NATIVE=0 asks not to use it."
    )
    own = kb.runtime.Interpreter(path).predict(images(4, 8, 8, 1))
    np.testing.assert_allclose(own, np.load(f"{path}.npy"), atol=1e-4)


def test_with_nothing_that_runs_it_the_error_says_what_to_install(tmp_path):
    path = tmp_path / "m.tflite"
    kb.export.to_tflite(kb.models.BinaryNet((8, 8, 1), 10), path)
    done = in_a_process(WITHOUT_LIBRARY, path, "alone", KERAS_BNN_NATIVE="0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("refused: Nothing here runs 1-bit operators: ")
    assert 'pip install "keras-bnn[train]"' in done.stderr


def test_a_library_that_is_damaged_is_one_line(tmp_path):
    shutil.copytree(Path(kb.__file__).parent, tmp_path / "keras_bnn")
    (tmp_path / "keras_bnn/runtime/libkeras_bnn.so").write_bytes(b"no library")
    done = in_a_process(CLI, "info", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "cannot be loaded" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_ten_thousand_predictions_do_not_grow(network):
    """What leaks 100 bytes a prediction would grow by 1 MB; an allocator settles long before."""
    _, path = network
    interpreter, x = kb.runtime.Interpreter(path, num_threads=2), images(2, 5, 5, 3)

    def kilobytes():
        gc.collect()
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    for _ in range(1000):
        interpreter.predict(x)
    before = kilobytes()
    for _ in range(10_000):
        interpreter.predict(x)
    assert kilobytes() - before < 1000
