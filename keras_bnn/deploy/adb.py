"""Measures files on a phone behind adb, with LiteRT's own `benchmark_model`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_bnn.deploy import benchmark_report
from keras_bnn.deploy.phone import Phone
from keras_bnn.errors import InputError
from keras_bnn.runtime.foreign import has_1bit_operators
from keras_bnn.runtime.measurements import Benchmark, Measurement
from keras_bnn.tflite.file import read
from keras_bnn.tflite.graph import Graph

_ABI, _API = "arm64-v8a", 26
_ELF_64, _AARCH64 = b"\x7fELF\x02", (183).to_bytes(2, "little")
_GUIDE = "export/android/README.md"
# When benchmark_model ends, whatever else it is asked for: its own default.
_MOST_SECONDS = 150.0


@dataclass(frozen=True)
class _File:
    shown: str
    path: Path
    is_1bit: bool
    batch: int


def benchmark(
    serial: str | None,
    files: Sequence[str | os.PathLike],
    *,
    threads: Sequence[int],
    library: Path | None,
    benchmark_model: Path | None,
    batch: int = 1,
    seconds: float = 2.0,
    core: int | None = None,
    profiled: bool = False,
) -> Benchmark:
    """Times files on a phone, one after another; 1-bit files run on our delegate.

    Args:
        serial: The phone's; `None` if there is only one.
        files: .tflite files.
        threads: Numbers of threads to try each with, >= 1.
        library: libkeras_bnn.so for the phone; files without 1-bit operators need none.
        benchmark_model: LiteRT's program of that name, for the phone.
        batch, profiled: 1 and `False`; the program can do no more.
        seconds: How long to measure, all together for each number of threads.
        core: Pins the program to a core.

    Raises:
        TFLiteFileError: If a file is none.
        InputError: If an argument is out of range, or the phone does not do its part.
    """
    _refuse_what_it_cannot(batch, profiled)
    described = [_describe(path) for path in files]
    program = _for_android("--benchmark-model", benchmark_model)
    needed = library or any(file.is_1bit for file in described)
    delegate = _for_android("--library", library) if needed else None
    phone = Phone(serial)
    properties = phone.properties()
    _check(phone, properties)
    notes = [
        "Files ran one after another, not in turns: a phone that gets warm slows the later ones.",
        "benchmark_model tells no quartiles, and so the spread is unknown.",
    ]
    pushed = {"benchmark_model": program, **({"libkeras_bnn.so": delegate} if delegate else {})}
    pushed |= {f"{i}.tflite": file.path for i, file in enumerate(described)}
    with phone.prepared():
        bench = _Bench(phone, phone.push(pushed), seconds / len(described), core)
        found = [
            bench.measure(file, f"{i}.tflite", count, notes)
            for i, file in enumerate(described)
            for count in threads
        ]
    return _summed_up(found, properties, core, notes)


def _refuse_what_it_cannot(batch: int, profiled: bool) -> None:
    if batch != 1:
        raise InputError(
            f"--batch is {batch}, expected 1: benchmark_model runs a file as it is. Export it with "
            "that batch."
        )
    if profiled:
        raise InputError("--profile means nothing with --on adb: only our own runtime is watched.")


@dataclass(frozen=True)
class _Bench:
    """What all measurements have in common; `there` is where files are on the phone."""

    phone: Phone
    there: dict[str, str]
    seconds: float
    core: int | None

    def measure(self, file: _File, name: str, threads: int, notes: list[str]) -> Measurement:
        ran = self.phone.run(self._command(name, threads, file.is_1bit))
        report = ran.stdout + ran.stderr
        where = f"{file.shown} on the phone {self.phone.serial}"
        if ran.returncode:
            raise InputError(
                f"benchmark_model ended with status {ran.returncode} for {where}: "
                f"{benchmark_report.last_error(report)}"
            )
        if file.is_1bit and not benchmark_report.uses_delegate(report):
            raise InputError(
                f"benchmark_model ran {where} without keras-bnn's delegate: expected the program "
                f"that takes --external_delegate_path, see {_GUIDE}."
            )
        if not benchmark_report.uses_xnnpack(report):
            notes.append(f"{file.shown}: benchmark_model does not say that it used XNNPACK.")
        engine = "LiteRT + keras-bnn" if file.is_1bit else "LiteRT"
        timing = benchmark_report.timing(report)
        return Measurement(file.shown, engine, threads, file.batch, timing)

    def _command(self, name: str, threads: int, is_1bit: bool) -> list[str]:
        delegate = [f"--external_delegate_path={self.there['libkeras_bnn.so']}"] if is_1bit else []
        pinned = [] if self.core is None else ["taskset", f"{1 << self.core:x}"]
        # XNNPACK is left to LiteRT, which applies it behind the delegate: named here it would come
        # before, and meet operators that it does not know.
        return [
            *pinned,
            self.there["benchmark_model"],
            f"--graph={self.there[name]}",
            f"--num_threads={threads}",
            "--num_runs=3",
            f"--min_secs={self.seconds:g}",
            f"--max_secs={max(_MOST_SECONDS, 2 * self.seconds):g}",
            *delegate,
        ]


def _describe(path: str | os.PathLike) -> _File:
    graph = Graph(read(path))
    shapes = [graph.tensor(port.tensor).shape for port in graph.inputs]
    batch = shapes[0][0] if shapes and shapes[0] else 1
    return _File(str(path), Path(path), has_1bit_operators(graph), batch)


def _for_android(option: str, path: Path | None) -> Path:
    """Checks that a program or library is for the phone."""
    if path is None:
        raise InputError(f"{option} is missing: name the phone's, see {_GUIDE}.")
    content = path.read_bytes()
    if content[:5] != _ELF_64 or content[18:20] != _AARCH64:
        raise InputError(f"{option} is {path}, which is not for {_ABI}, see {_GUIDE}.")
    if b"\0libc.so.6\0" in content:
        raise InputError(f"{option} is {path}, which is for Linux and not Android, see {_GUIDE}.")
    return path


def _check(phone: Phone, properties: dict[str, str]) -> None:
    abis = properties.get("ro.product.cpu.abilist", "")
    if _ABI not in abis.split(","):
        raise InputError(
            f"The phone {phone.serial} runs {abis or 'nothing that it tells'}, expected {_ABI}."
        )
    api = properties.get("ro.build.version.sdk", "")
    if not api.isdecimal() or int(api) < _API:
        raise InputError(
            f"The phone {phone.serial} has Android API {api or 'unknown'}, expected {_API} "
            "(Android 8.0) or later."
        )


def _summed_up(
    found: list[Measurement], properties: dict[str, str], core: int | None, notes: list[str]
) -> Benchmark:
    # Before Android 12 only the platform is told.
    chip = _joined(properties, "ro.soc") or properties.get("ro.board.platform") or "unknown"
    return Benchmark(
        measurements=found,
        processor=chip,
        machine=_ABI,
        python=None,
        versions={"Android": properties.get("ro.build.version.release")},
        instruction_set=None,
        core=core,
        notes=list(dict.fromkeys(notes)),
        profiles=[],
        board=_joined(properties, "ro.product"),
    )


def _joined(properties: dict[str, str], of: str) -> str | None:
    known = [properties.get(f"{of}.{key}", "") for key in ("manufacturer", "model")]
    return " ".join(filter(None, known)) or None
