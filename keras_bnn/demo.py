"""The whole way on digits: what binarizing cost, and what it saved."""

import json
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from keras_bnn import data, export, runtime, saving, training
from keras_bnn.export import Verification
from keras_bnn.files import make_folder, write_atomically


@dataclass(frozen=True)
class Side:
    """One of the two networks.

    Attributes:
        accuracy: Share of the test images that the exported file gets right.
        bytes: Size of the file.
        kernel_bytes: Bytes of the kernels of the layers that are binary in the one network.
        milliseconds: Median time of one image, one thread.
        engine: What ran it.
    """

    accuracy: float
    bytes: int
    kernel_bytes: int
    milliseconds: float
    engine: str


@dataclass(frozen=True)
class Report:
    """The comparison of a binary network with its float twin."""

    dataset: str
    binary: Side
    float: Side
    layers: list[export.LayerFate]
    verification: Verification
    folder: Path

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return {**asdict(self), "folder": str(self.folder)}

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{'':24}{'binary':>12}{'float':>12}",
                self._row("test accuracy", "{:.2%}", "accuracy"),
                self._row("file, bytes", "{:,}", "bytes", "smaller"),
                self._row("  binary kernels, bytes", "{:,}", "kernel_bytes", "smaller"),
                self._row("one image, ms", "{:.3f}", "milliseconds", "faster"),
                "",
                self._answer(),
                f"Timed on one thread: binary on {self.binary.engine}, float on "
                f"{self.float.engine}.",
                f"Verified on {self.verification.samples} images: {self.verification.wrong_signs} "
                f"wrong signs of {self.verification.signs:,}, "
                f"{self.verification.wrong_outputs} wrong outputs.",
                f"Written to {self.folder}: model.tflite, float.tflite, report.json",
            ]
        )

    def _row(self, title: str, form: str, name: str, saved: str = "") -> str:
        a, b = getattr(self.binary, name), getattr(self.float, name)
        ratio = f"   {b / a:.1f}x {saved}" if saved else ""
        return f"{title:24}{form.format(a):>12}{form.format(b):>12}{ratio}"

    def _answer(self) -> str:
        points = 100 * (self.float.accuracy - self.binary.accuracy)
        if abs(points) < 0.05:
            cost = "cost no accuracy"
        else:
            cost = f"{'cost' if points > 0 else 'gained'} {abs(points):.1f} points of accuracy"
        ratio = self.float.milliseconds / self.binary.milliseconds
        pace = f"{ratio:.1f}x as fast" if ratio >= 1 else f"{1 / ratio:.1f}x slower"
        return (
            f"Binarizing {cost}; the file is "
            f"{self.float.bytes / self.binary.bytes:.1f}x smaller and runs {pace} here."
        )


def demo(folder: str | os.PathLike, progress: Callable[[str], None] = print) -> Report:
    """Trains BinaryNet and its float twin on digits, exports, verifies and times both.

    Args:
        folder: Gets `model.tflite`, `float.tflite` and `report.json`; made if need be.
        progress: Called with a line now and then.

    Returns:
        The comparison.

    Raises:
        InputError: If `folder` cannot be written.
    """
    folder = Path(folder)
    make_folder(folder)
    digits = data.load("digits")
    binary = _train("binarynet", digits, progress)
    twin = _train("binarynet_float", digits, progress)
    progress("exporting and verifying")
    exported = export.to_tflite(binary, folder / "model.tflite")
    export.to_tflite(twin, folder / "float.tflite")
    verification = export.verify(binary, folder / "model.tflite", digits.test.images)
    progress("timing")
    sides = _compare(folder, digits, exported.layers)
    report = Report(digits.name, *sides, exported.layers, verification, folder)
    write_atomically(folder / "report.json", json.dumps(report.to_dict(), indent=2).encode())
    return report


def _train(name: str, digits: data.Dataset, progress: Callable):
    with tempfile.TemporaryDirectory() as run:
        trained = training.train(name, digits, Path(run) / "run", progress=progress)
        return saving.load_model(trained.model_path)


def _compare(folder: Path, digits, layers: list[export.LayerFate]) -> tuple[Side, Side]:
    paths = [folder / "model.tflite", folder / "float.tflite"]
    measurements = runtime.benchmark(paths).measurements
    # Of a file's engines the first is what its interpreter chooses, too.
    timings = {found.file: found.timing for found in reversed(measurements)}
    weights = sum(math.prod(fate.kernel_shape) for fate in layers)
    kernel_bytes = sum(fate.bytes for fate in layers)
    binary, twin = (
        _side(path, digits.test, size, timings[str(path)])
        for path, size in zip(paths, (kernel_bytes, 4 * weights), strict=True)
    )
    return binary, twin


def _side(path: Path, test, kernel_bytes: int, timing: runtime.Timing) -> Side:
    interpreter = runtime.Interpreter(path)
    return Side(
        accuracy=_accuracy(interpreter, test),
        bytes=path.stat().st_size,
        kernel_bytes=kernel_bytes,
        milliseconds=timing.median,
        engine=interpreter.engine,
    )


def _accuracy(interpreter: runtime.Interpreter, split) -> float:
    logits = np.asarray(interpreter.predict(split.images))
    return float(np.mean(logits.argmax(axis=1) == split.labels))
