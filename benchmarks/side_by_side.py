"""Everything that the README says of speed, in one run on one core.

    python benchmarks/side_by_side.py [FOLDER]

Networks against Larq Compute Engine (LCE) with the flags that are its best here and against their
float graphs on LiteRT with XNNPACK; convolutions alone; outputs, quantization, threads, batches and
memory. Each row has a target, and where it is missed the run says what bounds it. FOLDER keeps the
networks' files, which take a minute to make.
"""

import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import imagenet_networks
import kernels
import native_kernels as native
import numpy as np
import single_operator

from keras_bnn import runtime
from keras_bnn.runtime import machine
from keras_bnn.runtime.lce import LCE_KERNELS
from keras_bnn.runtime.native import instruction_sets
from keras_bnn.tables import aligned

SECONDS = 10.0
# Times as fast as LCE's best and as the float graph, GMAC/s of a 3×3 convolution.
NETWORK_TARGETS = {"quicknet": (7.0, 12.0), "birealnet18": (4.5, 7.0)}
CONVOLUTION_TARGETS = {"avx512": 1150, "avx2": 420}
QUANTIZE_TARGETS = {"avx512": 1.5, "avx2": 0.8}


@dataclass(frozen=True)
class Row:
    """One line of the table: `value` is to reach `target`, or with `at_most` not to exceed it."""

    what: str
    value: float
    target: float
    unit: str = "x"
    remark: str = ""
    at_most: bool = False

    def cells(self) -> tuple[str, ...]:
        form = "{:,.0f} GMAC/s" if self.unit == "GMAC/s" else "{:.2f}" + self.unit
        met = self.value <= self.target if self.at_most else self.value >= self.target
        sign = "≤" if self.at_most else "≥"
        target = f"{sign} {form.format(self.target)}"
        return self.what, form.format(self.value), target, "yes" if met else "NO", self.remark


def whole_networks(files, limit):
    paths = [path for pair in files.values() for path in pair]
    found = runtime.benchmark(paths, seconds=4 * SECONDS, core=0, profiled=True)
    medians = {(m.file, m.engine): m.timing.median for m in found.measurements}
    profiles = {profile.file: profile for profile in found.profiles}
    for name, (binary, other) in files.items():
        ours, lce = (
            next(
                (engine, time)
                for (file, engine), time in medians.items()
                if file == str(binary) and engine.startswith(prefix)
            )
            for prefix in ("LiteRT", "LCE")
        )
        real = next(time for (file, _), time in medians.items() if file == str(other))
        best = at_limit(profiles[str(binary)], limit)
        remark = f"{ours[1]:.2f} ms; convolutions at their limit: " + "{:.1f}x"
        for peer, time, target in zip(
            (lce[0], "its float graph, LiteRT + XNNPACK"),
            (lce[1], real),
            NETWORK_TARGETS[name],
            strict=True,
        ):
            yield Row(
                f"{name} against {peer}", time / ours[1], target, remark=remark.format(time / best)
            )
    for profile in found.profiles:
        print(f"\n{profile}\n")


def at_limit(profile, limit):
    """Milliseconds, were the convolutions as fast as the counting loop alone."""
    convolutions = [step for step in profile.steps if step.names == "LceBconv2d"]
    left = profile.milliseconds - sum(step.milliseconds for step in convolutions)
    return left + sum(step.milliseconds * step.gmacs / limit for step in convolutions)


def counting_limit(rng, isa):
    """GMAC/s of a convolution that does nothing but count: 1×1, with few outputs of many signs."""
    pixels, depth, channels = 35, 16384, 64
    words = kernels.random_words(rng, 1, 1, pixels, depth // 32)
    filters = kernels.random_words(rng, channels, 1, 1, depth // 32)
    conv = native.Bconv2d(
        filters, channels_in=depth, isa=isa, threshold=np.zeros(channels, np.int32)
    )
    return pixels * depth * channels / kernels.seconds_of(conv, words) / 1e9


def convolutions(rng, isa, limit):
    speeds = {
        dtype: dict(kernels.convolutions(rng, dtype, isa))
        for dtype in ("float32", "int8", "packed")
    }
    for shape, speed in speeds["float32"].items():
        remark = f"the counting loop alone: {limit:,.0f}"
        yield Row(
            f"3×3 convolution {shape}, {isa}", speed, CONVOLUTION_TARGETS[isa], "GMAC/s", remark
        )
    for dtype in ("int8", "packed"):
        ratios = {shape: speeds[dtype][shape] / speeds["float32"][shape] for shape in speeds[dtype]}
        shape = min(ratios, key=ratios.get)
        what = f"{dtype} output against float32, {isa}"
        yield Row(what, ratios[shape], 1.0, remark=f"worst: {shape}")


def portable(rng):
    """Single-operator files: the portable kernels of ours, and LCE's best flags."""
    for size, channels in kernels.CONVOLUTIONS:
        words = kernels.random_words(rng, 1, size, size, channels // 32)
        data = single_operator.bconv2d(
            words,
            kernels.random_words(rng, channels, 3, 3, channels // 32),
            np.empty((1, size, size, channels), np.float32),
            channels_in=channels,
            multiplier=np.ones(channels),
            bias=np.zeros(channels),
            padding="same",
        )
        calls = {name: _call(runtime.Interpreter(data, engine=name), words) for name in LCE_KERNELS}
        with mock.patch.dict(os.environ, KERAS_BNN_ISA="portable"):
            calls["ours"] = _call(runtime.Interpreter(data), words)
        timings = runtime.time_side_by_side(calls, 2.0)
        ours = timings.pop("ours").minimum
        best = min(timings, key=lambda name: timings[name].minimum)
        yield Row(
            f"3×3 convolution {size}²×{channels}, portable against LCE's best",
            timings[best].minimum / ours,
            1.0,
            remark=best,
        )


def _call(interpreter, inputs):
    return lambda: interpreter.predict(inputs)


def quantize(rng, isa):
    """Bytes read per second against memcpy's, of what stays in the second cache."""
    rows, channels, repeat = 1024, 64, 50
    values = rng.normal(size=(rows, channels)).astype(np.float32)
    words, copy = np.empty((rows, channels // 32), np.int32), np.empty_like(values)
    options = native._Quantize(native.TYPES["float32"], 0, rows, channels)
    source, target = native._pointer(values), native._pointer(copy)
    arguments = ctypes.byref(options), source, native._pointer(words), native.ISAS.index(isa), None
    nothing = native._Quantize(native.TYPES["float32"], 0, 0, channels)
    idle = ctypes.byref(nothing), *arguments[1:]
    memcpy = ctypes.CDLL(None).memcpy

    def seconds(function, *given):
        return kernels.best_of(lambda: [function(*given) for _ in range(repeat)]) / repeat

    size = ctypes.c_size_t(values.nbytes)
    ours = seconds(native.LIBRARY.bnn_quantize, *arguments)
    ours -= seconds(native.LIBRARY.bnn_quantize, *idle)
    theirs = seconds(memcpy, target, source, size)
    theirs -= seconds(memcpy, target, source, ctypes.c_size_t(0))
    speed = values.nbytes / ours / 1e9
    yield Row(
        f"LceQuantize of float32 against memcpy, {isa}",
        theirs / ours,
        QUANTIZE_TARGETS[isa],
        remark=f"{speed:.0f} GB/s of {values.nbytes // 1024} KiB",
    )


def threads(files):
    if len(os.sched_getaffinity(0)) < 2:
        print("NOT MEASURED: two threads, for there is one core")
        return
    path = files["birealnet18"][0]
    found = runtime.benchmark([path], threads=[1, 2], seconds=SECONDS, profiled=True)
    one, two = (
        sum(step.milliseconds for step in profile.steps if step.is_1bit)
        for profile in found.profiles
    )
    yield Row(
        "birealnet18, 1-bit part: two threads against one",
        one / two,
        1.7,
        remark=f"{one:.2f} and {two:.2f} ms",
    )


def batches(files):
    rng = np.random.default_rng(0)
    for name, (path, _) in files.items():
        images = rng.normal(size=(16, *imagenet_networks.IMAGE)).astype(np.float32)
        timings = runtime.time_side_by_side(
            {
                1: _call(runtime.Interpreter(path), images[:1]),
                16: _call(runtime.Interpreter(path), images),
            },
            SECONDS,
        )
        yield Row(
            f"{name}, an image in a batch of 16 against a batch of 1",
            timings[16].median / 16 / timings[1].median,
            1.0,
            at_most=True,
        )


def memory(files):
    for name, (path, _) in files.items():
        ours = _grown(path)
        peers = {engine: _grown(path, engine) for engine in LCE_KERNELS if "XNNPACK" in engine}
        best = min(peers, key=peers.get)
        yield Row(
            f"{name}, resident MiB, ours against {best}",
            ours,
            peers[best],
            " MiB",
            at_most=True,
        )


def _grown(path, *engine):
    command = [sys.executable, Path(__file__).with_name("resident.py"), path, *engine]
    runs = [subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL) for _ in "123"]
    return statistics.median(float(run.split()[0]) for run in runs)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        files = imagenet_networks.export(folder)
        report(files)


def report(files):
    rng, isas = np.random.default_rng(0), instruction_sets()
    everywhere = os.sched_getaffinity(0)
    rows = list(threads(files))
    os.sched_setaffinity(0, {0})
    limits = {isa: counting_limit(rng, isa) for isa in isas}
    rows += whole_networks(files, limits[isas[0]])
    for isa in filter(CONVOLUTION_TARGETS.get, isas):
        rows += [*convolutions(rng, isa, limits[isa]), *quantize(rng, isa)]
    rows += [*portable(rng), *batches(files), *memory(files)]
    os.sched_setaffinity(0, everywhere)
    versions = [f"{name} {version}" for name, version in machine.versions().items() if version]
    print(aligned([("what", "here", "target", "met", "")] + [row.cells() for row in rows], {1, 2}))
    print(
        f"\n{machine.processor()}, {isas[0]}, one core unless said otherwise; {', '.join(versions)}"
    )


if __name__ == "__main__":
    main()
