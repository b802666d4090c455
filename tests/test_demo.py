"""What the demo answers."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_bnn.demo import Report, Side


@pytest.mark.parametrize(
    ("binary", "answer"),
    [
        (0.98, "cost 1.0 points of accuracy;"),
        (1.0, "gained 1.0 points of accuracy;"),
        (0.99, "cost no accuracy;"),
        (0.9901, "cost no accuracy;"),
    ],
)
def test_what_binarizing_cost(binary, answer):
    verified = SimpleNamespace(samples=1, signs=1, wrong_signs=0, wrong_outputs=0)
    sides = (Side(accuracy, 10, 10, 1.0, "LiteRT") for accuracy in (binary, 0.99))
    report = Report("digits", *sides, [], verified, Path("demo"))
    assert f"Binarizing {answer} the file is" in str(report)
