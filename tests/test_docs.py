"""The pages in docs/: their code runs and prints what they show, and their tables hold."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import larq
import numpy as np
import pytest
import tensorflow as tf
from published_networks import PUBLISHED

import keras_bnn as kb

ROOT = Path(__file__).resolve().parent.parent
LARQ = ROOT / "docs" / "coming_from_larq.md"
_BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", re.DOTALL)
_ROW = re.compile(r"^\|(.*?)\|(.*?)\|", re.MULTILINE)


def _benchmark():
    """The program that fills in the tables of packing.md."""
    path = ROOT / "benchmarks" / "packing.py"
    spec = importlib.util.spec_from_file_location("packing", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


packing = _benchmark()


def ran(page: Path, folder: Path) -> dict:
    """Runs a page's code in a folder, compares what it prints, and returns what it defines."""
    names: dict = {}
    tf.keras.backend.clear_session()  # so that layers are numbered from the start
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for code, output in _BLOCK.findall(page.read_text()):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, str(page), "exec"), names)
            assert printed.getvalue().strip() == output.strip()
    return names


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return ran(packing.PAGE, tmp_path_factory.mktemp("packing"))


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        pytest.param(table.columns, row, id=row[0])
        for table in packing.tables(packing.PAGE.read_text())
        for row in table.rows
    ],
)
def test_a_row_of_packing_is_so(columns, row, words, tmp_path):
    found = packing.exported(row[0], words, tmp_path / "m.tflite")
    expected = dict(zip(columns[1:], row[1:], strict=True))
    assert re.fullmatch(r"[\d,]+|—", expected.pop(packing.TIME))
    assert {column: found[column] for column in expected} == expected


@pytest.mark.parametrize("name", ["binary_alexnet", "birealnet18"])
def test_accuracies_are_those_that_were_published(name):
    assert f"{PUBLISHED[name].top_1:g} %" in packing.PAGE.read_text()


def test_coming_from_larq(tmp_path, monkeypatch):
    """All code of the second columns, and of the first ones where it stays the same."""
    names = ran(LARQ, tmp_path)
    codes = [
        code
        for before, now in _ROW.findall(LARQ.read_text())
        for cell in ((before, now) if "the same" in now else (now,))
        for code in re.findall("`(.*?)`", cell)
    ]
    assert len(codes) > 50
    monkeypatch.chdir(tmp_path)
    for code in codes:
        eval(code, names)


def test_every_name_of_larq_on_the_page_is_larqs():
    for path in re.findall(r"\blq((?:\.\w+)+)", LARQ.read_text()):
        found = larq
        for name in path.strip(".").split("."):
            found = getattr(found, name)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_larqs_case_optimizer_trains_nothing_after_loading(suffix, tmp_path):
    """Why the page says to use `OptimizerGroup`, which does."""
    legacy = tf.keras.optimizers.legacy.Adam()
    marked = (larq.optimizers.Bop.is_binary_variable, larq.optimizers.Bop())
    with pytest.raises(TypeError, match="default_optimizer"):
        larq.optimizers.CaseOptimizer(marked, default_optimizer=tf.keras.optimizers.Adam())
    assert not _trains_after_loading(
        larq.optimizers.CaseOptimizer(marked, default_optimizer=legacy), tmp_path / f"m.{suffix}"
    )
    ours = kb.training.OptimizerGroup(binary=kb.training.Bop(1e-9, 1.0), real="adam")
    assert _trains_after_loading(ours, tmp_path / f"m.{suffix}")


def _trains_after_loading(optimizer, path: Path) -> bool:
    model = tf.keras.Sequential(
        [
            larq.layers.QuantDense(
                8, kernel_quantizer=larq.quantizers.NoOp(precision=1), input_shape=(4,)
            ),
            tf.keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, "mse")
    x, y = np.ones((8, 4), np.float32), np.ones((8, 1), np.float32)
    model.fit(x, y, verbose=0)
    model.save(path)
    loaded = kb.load_model(path)
    before = loaded.get_weights()
    loaded.fit(x, y, verbose=0)
    return any((a != b).any() for a, b in zip(before, loaded.get_weights(), strict=True))
