"""Times files and engines side by side in one run."""

from __future__ import annotations

import contextlib
import math
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_bnn.errors import InputError
from keras_bnn.runtime import machine, native
from keras_bnn.runtime.foreign import has_1bit_operators
from keras_bnn.runtime.interpreter import Interpreter
from keras_bnn.runtime.lce import LCE_KERNELS, is_installed
from keras_bnn.runtime.machine_state import machine_state
from keras_bnn.runtime.measurements import Benchmark, Measurement
from keras_bnn.runtime.profiling import Profile, profile
from keras_bnn.runtime.timing import fastest, time_side_by_side
from keras_bnn.tflite.file import read
from keras_bnn.tflite.graph import Graph

# Enough to tell LCE's kernels apart, which differ several times over.
_TRIAL_SECONDS = 0.3


def benchmark(
    paths: Sequence[str | os.PathLike],
    threads: Sequence[int] = (1,),
    batch: int = 1,
    seconds: float = 2.0,
    core: int | None = None,
    profiled: bool = False,
) -> Benchmark:
    """Times files on every engine that runs them here, all taking turns in one run.

    A file with 1-bit operators runs on this runtime and, if LCE is installed, on its interpreter
    with the flags that are fastest here, which are tried first; other files run on LiteRT with
    XNNPACK. Inputs are random: normal floats, integers over their whole range.

    Args:
        paths: .tflite files.
        threads: Numbers of threads to try each with, >= 1.
        batch: Samples in one prediction, >= 1.
        seconds: How long to measure, all together for each number of threads, after a warm-up.
        core: Pins this process to a core while it measures; Linux only. One thread alone fits.
        profiled: Whether to watch, afterwards and for as long again, where the time of each 1-bit
            file goes on this runtime.

    Returns:
        The measurements and where they were taken.

    Raises:
        TFLiteFileError: If a file is none.
        InputError: If an argument is out of range, or nothing here runs a file.

    >>> print(benchmark(["model.tflite", "float.tflite"]))  # doctest: +SKIP
    """
    if not paths or batch < 1 or not threads or min(threads) < 1 or not 0 < seconds < math.inf:
        raise InputError(
            f"Got {len(paths)} files, threads {list(threads)}, batch {batch} and {seconds} "
            "seconds, expected 1 or more of each, and an end."
        )
    notes: list[str] = []
    measurements: list[Measurement] = []
    profiles: list[Profile] = []
    before = machine_state()
    with _pinned(core):
        for count in threads:
            calls = {}
            for path in paths:
                for interpreter, inputs in _interpreters(path, count, batch, notes):
                    calls[str(path), interpreter.engine] = _call(interpreter, inputs)
            timings = time_side_by_side(calls, seconds)
            measurements += [
                Measurement(file, engine, count, batch, timing)
                for (file, engine), timing in timings.items()
            ]
            if profiled:
                profiles += _profiles(paths, count, batch, seconds / len(paths), notes)
    after = machine_state()
    return Benchmark(
        sorted(measurements, key=lambda found: [str(path) for path in paths].index(found.file)),
        machine.processor(),
        platform.machine(),
        platform.python_version(),
        machine.versions(),
        native.instruction_set(),
        core,
        list(dict.fromkeys(notes)),
        profiles,
        machine.board(),
        before,
        after,
    )


def _profiles(
    paths: Sequence[str | os.PathLike],
    threads: int,
    batch: int,
    seconds: float,
    notes: list[str],
) -> Iterator[Profile]:
    for path in paths:
        graph, interpreter = Graph(read(path)), Interpreter(path, threads)
        if not has_1bit_operators(graph):
            notes.append(f"{path} has no 1-bit operators, so there is nothing to profile.")
        elif interpreter.engine in LCE_KERNELS:
            notes.append(f"{path} runs on {interpreter.engine}, which cannot be profiled.")
        else:
            call = _call(interpreter, _random_inputs(graph, batch, path))
            yield Profile(str(path), threads, batch, *profile(call, graph, seconds))


def _call(interpreter: Interpreter, inputs: dict[str, np.ndarray]):
    return lambda: interpreter.predict(inputs)


def _interpreters(
    path: str | os.PathLike, threads: int, batch: int, notes: list[str]
) -> Iterator[tuple[Interpreter, dict[str, np.ndarray]]]:
    graph = Graph(read(path))
    inputs = _random_inputs(graph, batch, path)
    own = Interpreter(path, threads)
    own.predict(inputs)
    yield own, inputs
    if not has_1bit_operators(graph) or own.engine in LCE_KERNELS:
        return
    if not is_installed():
        notes.append("LCE's interpreter is not installed, so it was not timed.")
        return
    best = _best_of_lce(path, threads, inputs, notes)
    if best:
        yield best, inputs


def _best_of_lce(path, threads, inputs, notes) -> Interpreter | None:
    candidates: dict[str, Interpreter] = {}
    for name in LCE_KERNELS:
        try:
            interpreter = Interpreter(path, threads, name)
            interpreter.predict(inputs)
            candidates[name] = interpreter
        except InputError as error:
            notes.append(f"{Path(path).name}: {error}")
    if not candidates:
        return None
    calls = {name: _call(interpreter, inputs) for name, interpreter in candidates.items()}
    return candidates[fastest(time_side_by_side(calls, _TRIAL_SECONDS))]


def _random_inputs(graph: Graph, batch: int, path) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    inputs = {}
    for port in graph.inputs:
        tensor = graph.tensor(port.tensor)
        if tensor.dtype is None:
            raise InputError(f"{path} takes {tensor.type} for {port.name!r}, expected numbers.")
        if -1 in tensor.shape_signature[1:]:
            raise InputError(
                f"{path} leaves the size of {port.name!r} open ({tensor.shape_signature}), "
                "expected sizes: export the model with the size that you will use."
            )
        shape = (batch, *tensor.shape[1:])
        if tensor.dtype.kind == "f":
            inputs[port.name] = generator.normal(size=shape).astype(tensor.dtype)
        elif tensor.dtype.kind == "b":
            inputs[port.name] = generator.random(shape) < 0.5
        else:
            limits = np.iinfo(tensor.dtype)
            inputs[port.name] = generator.integers(limits.min, limits.max, shape, tensor.dtype)
    return inputs


@contextlib.contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    if core is None:
        yield
        return
    if not hasattr(os, "sched_setaffinity"):
        raise InputError("This system cannot pin a process to a core: leave that out.")
    before = os.sched_getaffinity(0)
    if core not in before:
        raise InputError(f"core is {core}, expected one of {sorted(before)}.")
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
