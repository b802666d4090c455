"""The library holds no more memory than `KERAS_BNN_MEMORY_LIMIT` allows, and says so."""

import os
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hand_made import BINARY, FLOAT32, INT32, hand_made

import keras_bnn as kb

RUN = """
    import sys
    import numpy as np
    import keras_bnn as kb

    def run(path):
        interpreter = kb.runtime.Interpreter(path)
        interpreter.predict(np.zeros(SHAPES[path], np.int32))
        return interpreter

    def error(path):
        try:
            run(path)
        except kb.errors.InputError as error:
            print(error)
        else:
            print("no error")
"""


def stacked(layers, channels=512, kernel=3, first=0):
    """Convolutions one behind another, each with weights of its own: equal ones are held once."""
    shape, words = (1, 4, 4, channels // 32), (channels, kernel, kernel, channels // 32)
    tensors = [(INT32, shape, None), (INT32, (channels,), np.zeros(channels, np.int32))]
    operators = []
    for layer in range(layers):
        tensors.append((INT32, words, np.full(words, first + layer, np.int32)))
        tensors.append((INT32, shape, None))
        before = 2 * layer + 1 if layer else 0
        inputs = (before, 2 * layer + 2, -1, -1, 1)
        options = {**BINARY, "channels_in": channels}
        operators.append(("LceBconv2d", inputs, (2 * layer + 3,), options))
    return hand_made(tensors, operators), shape


def diamond(size):
    """Two tensors of floats that the buffer of a partition has to hold at the same time."""
    words, floats = (INT32, (1, size, size, 1), None), (FLOAT32, (1, size, size, 32), None)
    tensors = [words, floats, words, floats, words, words]
    operators = [
        ("LceDequantize", (0,), (1,), None),
        ("LceQuantize", (1,), (2,), None),
        ("LceDequantize", (2,), (3,), None),
        ("LceQuantize", (1,), (4,), None),
        ("LceQuantize", (3,), (5,), None),
    ]
    return hand_made(tensors, operators, outputs=(4, 5)), words[1]


# No tensor has a MiB, which is all that the Python side looks at; together they have more. Each
# layer has weights of 0.28 MiB, each tensor of floats in the diamond 0.95.
FILES = {
    "small": stacked(1, 32, 1),
    "medium": stacked(1),
    **{f"medium{i}": stacked(1, first=i) for i in range(6)},
    "weights": stacked(6),
    "buffer": diamond(88),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("files")
    for name, (data, _) in FILES.items():
        (path / name).write_bytes(data)
    return path


def lines(folder, limit, code):
    """Runs code in a process of its own, and returns the lines that it printed."""
    shapes = {name: shape for name, (_, shape) in FILES.items()}
    script = f"{textwrap.dedent(RUN)}\nSHAPES = {shapes}\n{textwrap.dedent(code)}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=folder,
        env={**os.environ, "KERAS_BNN_MEMORY_LIMIT": limit, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("weights", "Not enough memory for 512 kernels of 144 words"),
        ("buffer", "Not enough memory for the tensors between 1-bit operators"),
    ],
)
def test_what_needs_more_is_refused_in_one_line(folder, file, what):
    (line,) = lines(folder, "1", f"error({file!r})")
    assert what in line
    wanted = r": [1-9] MiB wanted, [01] in use, limit 1; raise KERAS_BNN_MEMORY_LIMIT"
    assert re.search(wanted, line), line


@pytest.mark.parametrize("limit", ["16", "0016", "17592186044416", "9" * 40])
def test_a_higher_limit_lets_it_run(folder, limit):
    code = "for path in SHAPES: error(path)"
    assert lines(folder, limit, code) == ["no error"] * len(FILES)


@pytest.mark.parametrize("limit", ["", "0", "-1", "1.5", "1 ", "many", "m" * 40])
def test_a_limit_that_is_no_number_is_refused_in_one_line(folder, limit):
    code = """
        from ai_edge_litert.interpreter import load_delegate
        from keras_bnn.runtime import native

        error("small")
        try:
            load_delegate(str(native.library_path()))
        except ValueError as error:
            print(str(error).splitlines()[-1])
    """
    python, delegate = lines(folder, limit, code)
    expected = "expected a positive integer, a number of MiB"
    assert f"KERAS_BNN_MEMORY_LIMIT is '{limit}', {expected}" in python
    assert delegate.startswith(f"KERAS_BNN_MEMORY_LIMIT is '{limit[:20]}', {expected}")


def test_after_an_error_other_files_run(folder):
    code = "error('small'), error('weights'), error('small'), error('buffer'), error('medium')"
    got = lines(folder, "1", code)
    assert ["no error" if line == "no error" else "error" for line in got] == [
        "no error",
        "error",
        "no error",
        "error",
        "no error",
    ]


def test_the_limit_is_that_of_all_files_together_and_freed_memory_counts_back(folder):
    code = """
        def hold_all():
            held = []
            try:
                for i in range(6):
                    held.append(run(f"medium{i}"))
            except kb.errors.InputError as refused:
                print(refused)
            print(len(held))

        for _ in range(5):
            hold_all()
    """
    got = lines(folder, "1", code)
    errors, counts = got[::2], got[1::2]
    assert len(counts) == 5
    assert all("1 in use, limit 1; raise KERAS_BNN_MEMORY_LIMIT" in line for line in errors)
    assert len(set(counts)) == 1
    assert 1 < int(counts[0]) < 4


def test_results_are_those_without_a_limit(monkeypatch):
    data, shape = FILES["medium"]
    words = np.random.default_rng(0).integers(0, 2**31, shape).astype(np.int32)
    expected = kb.runtime.Interpreter(data).predict(words)
    monkeypatch.setenv("KERAS_BNN_MEMORY_LIMIT", "4")
    np.testing.assert_array_equal(kb.runtime.Interpreter(data).predict(words), expected)


def test_interpreters_of_one_file_hold_its_weights_once(folder):
    """Twenty times 0.28 MiB are more than the limit; six other files' are, too."""
    code = """
        kept = [run("medium") for _ in range(20)]
        print("twenty")
        try:
            kept += [run(f"medium{i}") for i in range(6)]
        except kb.errors.InputError:
            print("not six")
        del kept[1:]
        kept[0].predict(np.zeros(SHAPES["medium"], np.int32))
        kept += [run("medium1"), run("medium2")]
        print("two")
    """
    assert lines(folder, "1", code) == ["twenty", "not six", "two"]
