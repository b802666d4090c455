"""The README's code runs and prints what the README says."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

_README = Path(__file__).parent.parent / "README.md"


def _code_and_output() -> tuple[str, str]:
    text = _README.read_text()
    code, output = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", text, re.DOTALL).groups()
    return code, output


def _without_measurements(output: str) -> list[str]:
    """Lines without what depends on the processor: its rounding and its instruction set."""
    output = re.sub(r"keras-bnn \(\w+\)", "keras-bnn (…)", output)
    lines = [
        re.sub(r"[\d.]+% with the same class", "…% with the same class", line)
        for line in output.strip().splitlines()
    ]
    lines = [re.sub(r"(largest\s+difference) [\d.e+-]+", r"\1 …", line) for line in lines]
    lines = [re.sub(r"(differ by rounding) +[\d,]+", r"\1 …", line) for line in lines]
    lines = [re.sub(r"[\d.]+% of the samples", "…% of the samples", line) for line in lines]
    # The names that Keras gives to layers get longer the more it has made.
    lines = [re.sub(r"tflite: [\d,]+ bytes", "tflite: … bytes", line) for line in lines]
    return [re.sub(r"^accuracy: [\d.]+%$", "accuracy: …", line) for line in lines]


def test_the_code_prints_what_the_readme_says(tmp_path, monkeypatch):
    code, output = _code_and_output()
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(_README), "exec"), {})
    assert _without_measurements(printed.getvalue()) == _without_measurements(output)
    accuracy = float(re.search(r"accuracy: ([\d.]+)%", printed.getvalue()).group(1))
    assert accuracy > 95


def test_the_code_is_short():
    lines = [line for line in _code_and_output()[0].splitlines() if line.strip()]
    assert len(lines) <= 25


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "train_and_export",
        "residual_network",
        "two_step_with_distillation",
        "binarize_your_model",
    ],
)
def test_examples_run(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = _README.parent / "examples" / f"{name}.py"
    exec(compile(path.read_text(), str(path), "exec"), {"__name__": "__main__"})
    assert "1-bit" in capsys.readouterr().out


def test_examples_are_short():
    """One idea each: under 80 lines, and train and export in 25."""
    folder = _README.parent / "examples"
    lengths = {path.stem: len(path.read_text().splitlines()) for path in folder.glob("*.py")}
    assert max(lengths.values()) < 80
    assert lengths["train_and_export"] <= 25


def test_the_table_of_kernels_is_up_to_date():
    script = _README.parent / "export" / "kernel_table.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
