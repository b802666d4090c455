"""Drawings of networks: what reads and writes bits is seen without colour."""

import os
import re
import subprocess
import sys
from pathlib import Path

import networks
import numpy as np
import pytest
import tensorflow as tf
from hand_made import FLOAT32, INT32, hand_made

import keras_bnn as kb
from keras_bnn import cli
from keras_bnn.tflite import TFLiteFileError, draw
from keras_bnn.tflite.drawing import LEGEND, in_ascii

CONVOLUTION = {
    "channels_in": 40,
    "dilation_height_factor": 1,
    "dilation_width_factor": 1,
    "fused_activation_function": 1,
    "pad_values": 1,
    "padding": 0,
    "stride_height": 2,
    "stride_width": 2,
}
POOL = {"filter_height": 2, "filter_width": 3, "padding": 1, "stride_height": 2, "stride_width": 1}


def residual():
    """sign → 1-bit → pool → 1-bit to numbers, beside a shortcut, and their sum."""
    packed = np.zeros((33, 1, 1, 2), np.int32)
    real = np.zeros((40, 1, 1, 2), np.int32)
    tensors = [
        (FLOAT32, (1, 4, 4, 40), None),
        (INT32, (1, 4, 4, 2), None),
        (INT32, packed.shape, packed),
        (INT32, (1, 2, 2, 2), None),
        (INT32, (1, 1, 1, 2), None),
        (INT32, real.shape, real),
        (FLOAT32, (1, 1, 1, 40), None),
        (FLOAT32, (1, 1, 1, 40), None),
        (FLOAT32, (1, 1, 1, 40), None),
    ]
    operators = [
        ("LceQuantize", [0], [1], None),
        ("LceBconv2d", [1, 2, -1, -1, -1], [3], CONVOLUTION),
        ("LceBMaxPool2d", [3], [4], POOL),
        ("LceBconv2d", [4, 5, -1, -1, -1], [6], {**CONVOLUTION, "channels_in": 33}),
        ("AVERAGE_POOL_2D", [0], [7], None),
        ("ADD", [6, 7], [8], None),
    ]
    return hand_made(tensors, operators, names={0: "image", 3: "one", 6: "two", 8: "sum"})


RESIDUAL = """\
○    input            image  1×4×4×40  float32
├─▄  LceQuantize             1×4×4×40  1-bit
│ █  LceBconv2d       one    1×2×2×33  1-bit    1×1, 40→33, stride 2×2, same one, relu  264 bytes
│ █  LceBMaxPool2d           1×1×1×33  1-bit    2×3, stride 2×1
│ ▀  LceBconv2d       two    1×1×1×40  float32  1×1, 33→40, stride 2×2, same one, relu  320 bytes
○ │  AVERAGE_POOL_2D         1×1×1×40  float32
○─┘  ADD                     1×1×1×40  float32
○    output           sum    1×1×1×40  float32"""


def test_a_drawing_shows_operators_layers_and_the_shortcut():
    assert draw(residual()) == f"{RESIDUAL}\n\n{LEGEND}"


def numbers(count, operators, **options):
    return hand_made([(FLOAT32, (1, 4), None)] * count, operators, **options)


def lanes(file):
    """The lines of a drawing up to the name of the operator."""
    rows = draw(file).split("\n\n")[0].splitlines()
    return [re.match(r"\W*\w+", row).group() for row in rows]


def test_lines_of_branches_cross():
    """0 goes to 1, 2 and 3; 1 and 3 are added while 2 waits."""
    operators = [
        ("ABS", [0], [1], None),
        ("NEG", [0], [2], None),
        ("EXP", [0], [3], None),
        ("ADD", [1, 3], [4], None),
        ("MUL", [4, 2], [5], None),
    ]
    assert lanes(numbers(6, operators)) == [
        "○      input",
        "├─○    ABS",
        "├─┼─○  NEG",
        "○ │ │  EXP",
        "○─┘ │  ADD",
        "○───┘  MUL",
        "○      output",
    ]


def test_several_outputs_and_a_tensor_that_is_one_and_goes_on():
    """A split in three, of which 1 is an output too; 0 is an output, and read once more."""
    operators = [
        ("SPLIT", [0], [1, 2, 3], None),
        ("ABS", [2], [4], None),
        ("ADD", [1, 3], [5], None),
        ("ADD", [5, 4], [6], None),
        ("NEG", [0], [7], None),
    ]
    assert lanes(numbers(8, operators, outputs=[6, 0, 7, 1])) == [
        "○        input",
        "├─○─┬─┐  SPLIT",
        "│ │ ○ │  ABS",
        "│ ├─┼─○  ADD",
        "│ │ ○─┘  ADD",
        "├─┼─┼─○  NEG",
        "│ │ ○ │  output",
        "○ │   │  output",
        "  │   ○  output",
        "  ○      output",
    ]


def test_inputs_that_nothing_reads_and_outputs_that_are_inputs():
    file = numbers(4, [("ADD", [0, 1], [2], None)], inputs=[0, 1, 3], outputs=[2])
    assert lanes(file)[2:] == ["│ │ ○  input", "○─┘    ADD", "○      output"]
    assert lanes(numbers(1, [])) == ["○  input", "○  output"]


def test_a_branch_that_ends_leaves_the_others_in_their_columns():
    """Nothing reads what ABS makes of 0."""
    operators = [("ABS", [0], [2], None), ("NEG", [1], [3], None)]
    assert lanes(numbers(4, operators, inputs=[0, 1]))[2:] == [
        "○ │  ABS",
        "  ○  NEG",
        "  ○  output",
    ]


def test_packed_tensors_on_their_way_are_thick():
    """Two signs of the same input; the second waits while the first is unpacked."""
    tensors = [(FLOAT32, (1, 4), None), (INT32, (1, 1), None), (INT32, (1, 1), None)]
    tensors += [(FLOAT32, (1, 4), None)] * 3
    operators = [
        ("LceQuantize", [0], [1], None),
        ("LceQuantize", [0], [2], None),
        ("LceDequantize", [2], [3], None),
        ("LceDequantize", [1], [4], None),
        ("ADD", [3, 4], [5], None),
    ]
    assert lanes(hand_made(tensors, operators)) == [
        "○    input",
        "├─▄  LceQuantize",
        "▄ ┃  LceQuantize",
        "▀ ┃  LceDequantize",
        "│ ▀  LceDequantize",
        "○─┘  ADD",
        "○    output",
    ]


def test_open_dimensions_and_names_that_would_change_the_terminal():
    model = kb.tflite.read(numbers(2, [("ABS", [0], [1], None)]))
    first, last = model.subgraphs[0].tensors
    first.shapeSignature = [-1, 4]
    first.name, last.name = "new\nline\x1b[31m", "x" * 100
    drawing = draw(kb.tflite.write(model))
    assert "input   new�line�[31m             ?×4  float32\n" in drawing
    assert f"output  {'x' * 23}…  1×4  float32\n" in drawing


def test_only_lines_with_bits_are_highlighted():
    lines = draw(residual(), "<{}>".format).splitlines()[:8]
    assert [line[0] == "<" for line in lines] == [
        False,
        True,
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert all(line.count("<") == line.count(">") for line in lines)


def test_ascii_keeps_the_drawing():
    assert in_ascii("○ ├─▄ │ █ ┃ ▀ ○─┘ 2×2 1→2 …") == "o |-_ | # ! ^ o-' 2x2 1>2 ?"


def test_contradictions_are_refused_with_the_name_of_the_file(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(hand_made([(FLOAT32, (1, 4), None)] * 2, [("CONV_2D", [0], [1], None)]))
    with pytest.raises(TFLiteFileError, match=r"m\.tflite: operator 0 \(CONV_2D\) lacks"):
        draw(path)


def inspect(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["keras-bnn", "inspect", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    return capsys.readouterr().out


@pytest.fixture
def file(tmp_path):
    (tmp_path / "m.tflite").write_bytes(residual())
    return tmp_path / "m.tflite"


def test_the_command_draws_and_tells_the_rest(monkeypatch, capsys, file):
    parts = inspect(monkeypatch, capsys, file).split("\n\n")
    assert parts[0] == f"{file}, {file.stat().st_size:,} bytes"
    assert parts[1:3] == [RESIDUAL, LEGEND]
    assert parts[3].startswith("activations at the peak: ")
    assert [part.split()[0] for part in parts[4:]] == ["MACs", "bytes"]


def test_the_command_colours_only_a_terminal_that_wants_it(monkeypatch, capsys, file):
    assert "\033" not in inspect(monkeypatch, capsys, file)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert inspect(monkeypatch, capsys, file).count("\033[1;36m") == 4
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in inspect(monkeypatch, capsys, file)


def test_the_command_prints_where_only_ascii_can_be(file):
    """As on a Windows console, or in a cron job."""
    printed = subprocess.run(
        [sys.executable, "-c", "from keras_bnn.cli import main; main()", "inspect", file],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout.decode("ascii")
    assert "\n| #  LceBconv2d" in printed


def test_networks_that_are_exported_are_drawn(tmp_path):
    """One sign, then bits only, up to the last binary layer, which writes numbers."""
    model = networks.with_trained_statistics(networks.binary_net_with_dense())
    networks.exported(model, tmp_path / "m.tflite")
    rows = draw(tmp_path / "m.tflite").splitlines()
    assert "".join(row[0] for row in rows[:10]) == "○○▄████▀○○"


def test_the_readme_shows_what_is_drawn(tmp_path):
    """The drawing depends on the layers, so nothing is trained."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    code = re.search(r"```python\n(.*?)^loss = ", readme, re.DOTALL | re.MULTILINE).group(1)
    # Layers get the names of a fresh process.
    tf.keras.backend.clear_session()
    variables = {}
    exec(code, variables)
    model = networks.with_trained_statistics(variables["model"])
    kb.export.to_tflite(model, tmp_path / "digits.tflite")
    shown = re.search(r"<!-- drawing -->\n```\n(.*?)\n```", readme, re.DOTALL).group(1)
    assert draw(tmp_path / "digits.tflite") == shown
