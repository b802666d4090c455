"""`export/raspberry_pi` on an emulated board, installed as its README says."""

import configparser
import shutil
from pathlib import Path

import networks
import numpy as np
import pytest
from emulated_board import EmulatedBoard

import keras_bnn as kb
from keras_bnn.tflite import Normalization

pytestmark = [pytest.mark.emulated_pi, pytest.mark.timeout(900)]
PROGRAM = Path(__file__).parents[1] / "export" / "raspberry_pi"
LABELS = [f"digit {i}" for i in range(10)]
NORMALIZATION = Normalization(120, 60)
# Stands for the library of a board with a camera that sees one black and one white image.
PICAMERA2 = """
from PIL import Image

class Picamera2:
    global_camera_info = staticmethod(lambda: [{"Model": "imx708"}])
    create_preview_configuration = start = close = lambda self: None
    configure = lambda self, configuration: None
    def __init__(self):
        self._images = (Image.new("RGBX", (64, 48), color) for color in ("black", "white"))
    def capture_image(self):
        try:
            return next(self._images)
        except StopIteration:
            raise KeyboardInterrupt
"""


@pytest.fixture(scope="module")
def board():
    board = EmulatedBoard.named("pi4")
    shutil.copy(PROGRAM / "classify.py", board.home)
    return board


@pytest.fixture(scope="module")
def model(board):
    """Exported to the board's `model.tflite`, beside files that lack something."""
    model = networks.with_trained_statistics(networks.binary_net_with_dense())
    for name, about in {
        "model": {"labels": LABELS, "preprocessing": NORMALIZATION},
        "no_labels": {"preprocessing": NORMALIZATION},
        "no_normalization": {"labels": LABELS},
    }.items():
        kb.export.to_tflite(model, board.home / f"{name}.tflite", **about)
    return model


@pytest.fixture
def photos(board):
    """An empty folder on the board."""
    folder = board.home / "photos"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def classify(board, *arguments, modules="nowhere"):
    return board.run(
        *("env", f"PYTHONPATH={modules}", "classifier/bin/python", "classify.py", *arguments)
    )


def said(ran):
    """What it printed to stderr, without what LiteRT says of itself."""
    return [line for line in ran.stderr.splitlines() if not line.startswith("INFO: ")]


def expected_labels(model, pixels):
    images = (np.float32(pixels)[..., None] - NORMALIZATION.mean) / NORMALIZATION.std
    return [LABELS[i] for i in np.argmax(model.predict(images, verbose=0), -1)]


def labels(output):
    """Of lines of a name, a label and milliseconds, two spaces apart."""
    rows = [line.split("  ") for line in output.splitlines()]
    assert all(float(row[2].removesuffix(" ms")) > 0 for row in rows), output
    return [row[0] for row in rows], [row[1] for row in rows]


def test_images_of_a_folder(board, model, photos, generator):
    pixels = generator.integers(0, 256, (6, 8, 8), np.uint8)
    for i, image in enumerate(pixels):
        (photos / f"{i}.pgm").write_bytes(b"P5 8 8 255\n" + image.tobytes())
    (photos / "3.txt").write_text("no image")
    unit = configparser.ConfigParser()
    unit.optionxform = str
    unit.read(PROGRAM / "classify.service")
    command = unit["Service"]["ExecStart"].split()
    ran = board.run(*command, "--images", "photos")
    assert ran.returncode == 0
    (line,) = said(ran)
    assert line.startswith("classify: photos/3.txt cannot be read: ")
    names, found = labels(ran.stdout)
    assert names == [f"{i}.pgm" for i in range(6)]
    assert found == expected_labels(model, pixels)


def test_images_of_a_camera(board, model):
    modules = board.home / "stand_in"
    modules.mkdir(exist_ok=True)
    (modules / "picamera2.py").write_text(PICAMERA2)
    ran = classify(board, "model.tflite", modules="stand_in")
    assert (ran.returncode, said(ran)) == (130, [])
    black_and_white = np.stack([np.zeros((8, 8)), np.full((8, 8), 255)])
    assert labels(ran.stdout) == (["camera"] * 2, expected_labels(model, black_and_white))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.tflite", "--images", "photos"], "photos has no image"),
        (["model.tflite", "--images", "nothing"], "nothing is no folder"),
        (["model.tflite"], "the camera needs picamera2"),
        (["no_labels.tflite"], "no_labels.tflite has no labels: export it with labels="),
        (["no_normalization.tflite"], "does not say how to normalize its images"),
        (["nothing.tflite"], "nothing.tflite"),
    ],
)
@pytest.mark.usefixtures("model", "photos")
def test_what_is_missing_is_said_in_a_line(board, arguments, message):
    ran = classify(board, *arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = said(ran)
    assert line.startswith("classify: ")
    assert message in line


def test_a_board_without_camera(board, model):
    modules = board.home / "no_camera"
    modules.mkdir(exist_ok=True)
    (modules / "picamera2.py").write_text(PICAMERA2.replace('[{"Model": "imx708"}]', "[]"))
    ran = classify(board, "model.tflite", modules="no_camera")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert said(ran) == ["classify: no camera is found: see that rpicam-hello shows its picture"]
