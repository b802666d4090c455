"""The installed wheel on emulated Raspberry Pis: its kernels, and predictions like those here.

Needs `KERAS_BNN_EMULATED_PI`, a folder that `.ci/run` has built and installed the wheel in.
"""

import shutil
from pathlib import Path

import networks
import numpy as np
import pytest
import single_operator
from emulated_board import PYTHON, EmulatedBoard, EngineOnBoard
from single_operator import draw_convolution

import keras_bnn as kb
from keras_bnn import reference

pytestmark = [pytest.mark.emulated_pi, pytest.mark.timeout(900)]
# Those that need neither TensorFlow nor LCE.
SUITES = (
    "bits",
    "delegate",
    "hostile_files",
    "memory_limit",
    "native_kernels",
    "packed_chains",
    "partitions",
)

RUN_FILES = """
from pathlib import Path
import keras_bnn as kb, numpy as np
for file in Path("operators").glob("*.tflite"):
    outputs = kb.runtime.Interpreter(file).predict(np.load(file.with_suffix(".in.npy")))
    np.save(file.with_suffix(".out.npy"), outputs)
"""
COUNT_DELEGATES = """
import keras_bnn as kb, numpy as np
engine = kb.runtime.Interpreter("counted.tflite")._engine
count = lambda: [op["op_name"] for op in engine._interpreter._get_ops_details()].count("DELEGATE")
before = count()
engine.run([np.zeros((1, 8, 8, 1), np.float32)])
print(before, count())
"""


@pytest.fixture(params=["pi4", "pi5"])
def board(request):
    return EmulatedBoard.named(request.param)


def test_the_kernels_and_the_delegate(board):
    source, suite = Path(__file__).parents[1], board.home / "suite"
    shutil.rmtree(suite, ignore_errors=True)
    shutil.copytree(source / "tests", suite / "tests")
    shutil.copy(source / "pyproject.toml", suite)
    files = [f"suite/tests/test_{name}.py" for name in SUITES]
    options = ["-m", "not slow and not lce", "-o", "timeout=900"]
    board.output(PYTHON, "-m", "pytest", "-c", "suite/pyproject.toml", *options, *files)


@pytest.mark.parametrize("make", networks.MAIN)
def test_networks_compute_what_keras_does(board, make, tmp_path):
    """Every sign and every output, within the bound that follows from rounding."""
    model = networks.with_trained_statistics(make())
    kb.export.to_tflite(model, tmp_path / "model.tflite")
    engine = lambda data: EngineOnBoard(board, data)  # noqa: E731
    verification = kb.export.verify(model, tmp_path / "model.tflite", engine=engine)
    assert verification.ok, verification
    assert verification.signs


@pytest.mark.parametrize("dtype", ["float32", "int8", "packed"])
def test_1bit_operators_give_the_numbers_that_they_give_here(board, dtype):
    operators = board.home / "operators"
    shutil.rmtree(operators, ignore_errors=True)
    operators.mkdir()
    here = {}
    for seed in range(60):
        words, filters, options = draw_convolution(np.random.default_rng(seed), dtype)
        result = reference.bconv2d(words, filters, **options)
        file = single_operator.bconv2d(words, filters, result, **options)
        (operators / f"{seed}.tflite").write_bytes(file)
        np.save(operators / f"{seed}.in.npy", words)
        here[seed] = kb.runtime.Interpreter(file).predict(words), options
    board.output(PYTHON, "-c", RUN_FILES)
    for seed, (expected, options) in here.items():
        there = np.load(operators / f"{seed}.out.npy")
        assert there.dtype == expected.dtype
        np.testing.assert_array_equal(there, expected, f"seed {seed}: {options}")


def test_xnnpack_has_the_float_operators(board, folder):
    """Without /sys, for one, LiteRT leaves XNNPACK out without a word; both are called DELEGATE."""
    shutil.copy(folder / "model.tflite", board.home / "counted.tflite")
    before, after = map(int, board.output(PYTHON, "-c", COUNT_DELEGATES).split())
    assert 0 < before < after
