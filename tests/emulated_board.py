"""The emulated Raspberry Pi of `tests/emulated_pi`, for tests."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_bnn.tflite.file import read
from keras_bnn.tflite.graph import Graph

ENTER = Path(__file__).parent / "emulated_pi" / "enter"
# What the first line of the README's installation makes there.
PYTHON = "bnn/bin/python"


@dataclass(frozen=True)
class EmulatedBoard:
    """A board whose disk is a folder.

    Attributes:
        root: That folder.
        name: One of pi4, pi5 and pizero2.
    """

    root: Path
    name: str

    @classmethod
    def named(cls, name: str):
        """The board in the folder that `KERAS_BNN_EMULATED_PI` names."""
        return cls(Path(os.environ["KERAS_BNN_EMULATED_PI"]), name)

    @property
    def home(self) -> Path:
        """Where commands start."""
        return self.root / "home" / "pi"

    def run(self, *command, **options) -> subprocess.CompletedProcess:
        """Runs a command, whose output is text, and shows what it printed if it fails."""
        words = [ENTER, self.root, self.name, *map(str, command)]
        ran = subprocess.run(words, capture_output=True, text=True, **options)
        print(ran.stdout, ran.stderr, sep="\n")
        return ran

    def output(self, *command) -> str:
        """What a command prints, which has to succeed."""
        ran = self.run(*command)
        ran.check_returncode()
        return ran.stdout


class EngineOnBoard:
    """Runs a file with the board's `keras-bnn predict`, as an engine of `keras_bnn.export.verify`.

    Attributes:
        name: What people call it.
    """

    def __init__(self, board: EmulatedBoard, data: bytes):
        self.name = f"LiteRT + keras-bnn on {board.name}"
        self._board = board
        graph = Graph(read(data))
        self._inputs = [port.name for port in graph.inputs]
        self._outputs = [port.name for port in graph.outputs]
        (board.home / "verified.tflite").write_bytes(data)

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Returns the outputs in the file's order."""
        home = self._board.home
        np.savez(home / "inputs.npz", **dict(zip(self._inputs, inputs, strict=True)))
        files = ("verified.tflite", "inputs.npz", "-o", "outputs.npz")
        self._board.output("bnn/bin/keras-bnn", "predict", *files)
        with np.load(home / "outputs.npz") as outputs:
            return [outputs[name] for name in self._outputs]
