"""What is measured of exported files: errors on the test examples, work, memory, time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_bnn import runtime, tflite
from keras_bnn.compare.int8 import quantized
from keras_bnn.compare.network import Latency, TestedFile
from keras_bnn.data.dataset import Split
from keras_bnn.deploy import ssh
from keras_bnn.deploy.target import Ssh
from keras_bnn.runtime import Benchmark

_BATCH = 256
HERE = "here"


def tested(path: Path, test: Split, num_classes: int) -> TestedFile:
    """Runs the file on all test examples."""
    interpreter = runtime.Interpreter(path)
    images = quantized(test.images, path)
    predicted = [
        np.asarray(interpreter.predict(images[start : start + _BATCH])).argmax(axis=1)
        for start in range(0, len(images), _BATCH)
    ]
    confusion = np.zeros((num_classes, num_classes), int)
    np.add.at(confusion, (test.labels, np.concatenate(predicted)), 1)
    return TestedFile(path, path.stat().st_size, confusion.tolist())


def description(path: Path) -> dict[str, Any]:
    """The attributes of a `Network` that can be read in its file."""
    found = tflite.describe(path)
    operators = [
        {
            "name": layer.name,
            "operator": layer.operator,
            "kind": layer.kind,
            "macs": layer.macs,
            "weight_bytes": layer.weight_bytes,
        }
        for layer in found.layers
    ]
    return {
        "bytes_by_kind": found.bytes,
        "macs": found.macs,
        "activation_bytes": found.peak.bytes,
        "operators": operators,
    }


def benchmarks(
    paths: Sequence[Path],
    board: Ssh | None,
    options: dict[str, Any],
    progress: Callable[[str], None],
) -> dict[str, Benchmark]:
    """Times all files on one thread, taking turns, here and then on the board if there is one."""
    progress("timing")
    results = {HERE: runtime.benchmark(paths)}
    if board is not None:
        results[str(board)] = ssh.benchmark(board, paths, threads=(1,), **options, say=progress)
    return results


def latencies(path: Path, measured: dict[str, Benchmark]) -> list[Latency]:
    """Of each place the fastest engine for the file."""
    result = []
    for place, benchmark in measured.items():
        of_file = [found for found in benchmark.measurements if found.file == str(path)]
        best = min(of_file, key=lambda found: found.timing.median)
        result.append(Latency(place, best.engine, best.timing.median, best.timing.spread))
    return result
