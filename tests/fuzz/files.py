"""Damages whole .tflite files and runs them, in processes that may die.

    python tests/fuzz/files.py --seconds 60
    python tests/fuzz/files.py --replay FILE

A finding is a process that dies or hangs with our library on its stack, or outside of LiteRT's,
whose memory grows and grows, or of which a sanitizer says something, and a Python error that is not
one line of an InputError. Each is kept in --findings, with its seed in its name and what is known
of it beside it; then the exit status is 1. Where LiteRT alone dies or hangs, one file for each
place in it is kept likewise, but that is no finding: SECURITY.md says what is promised.
"""

import argparse
import collections
import ctypes
import gc
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from dataclasses import dataclass
from pathlib import Path

# Small tensors are enough, and large ones take time.
os.environ.setdefault("KERAS_BNN_MEMORY_LIMIT", "64")

import numpy as np
from mutations import mutate

from keras_bnn.errors import InputError
from keras_bnn.runtime import Interpreter

HERE = Path(__file__).parent
OURS, LITERT = "libkeras_bnn.so", "litert"
MARK = "stack of the crash:"
# LiteRT refuses what it cannot allocate; the machine must not swap.
MOST_ADDRESSES = 16 << 30
# After so many files a process has its memory looked at, and another takes its place.
FILES_A_PROCESS = 2000
MOST_GROWTH = 32 << 20
KINDS = {
    **{"r": "ran", "n": "refused", "e": "error", "s": "sanitizer", "g": "growth"},
    **{"h": "hang", "c": "crash"},
}
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:")


def run(data):
    """Runs a file on two batches. Returns "ran", or "refused"; any other error passes through."""
    try:
        interpreter = Interpreter(data)
        # Reading the file once more for what the interpreter knows would take as long as the rest.
        tensors = [tensor for _, tensor in interpreter._inputs]
        rng = np.random.default_rng(zlib.crc32(data))
        for batch in (1, 2):
            interpreter.predict([_values(rng, tensor, batch) for tensor in tensors])
    except InputError as error:
        message = str(error)
        if "\n" in message or not message.isprintable():
            raise AssertionError(f"more than one line: {message!r}") from error
        return "refused"
    return "ran"


def _values(rng, tensor, batch):
    fixed, *rest = tensor.shape_signature
    shape = [fixed if fixed > 1 else batch, *(size if size > 0 else 3 for size in rest)]
    dtype = tensor.dtype or np.dtype("float32")
    if np.prod(shape, dtype=float) > 1 << 22:
        return np.zeros(shape[:1], dtype)
    if dtype.kind in "fc":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 2 if dtype.kind == "b" else 128, shape).astype(dtype)


class Process:
    """A copy of this process that damages and runs files until one of them ends it.

    Of each file it tells one letter: r (it ran), n (it was refused), e (a Python error), s (a
    sanitizer), g (memory grew). After one of the last three it ends.
    """

    def __init__(self, folder, files):
        self.file, self.report = folder / "current.tflite", folder / "report.txt"
        self.report.write_bytes(b"")
        self._letters, there = os.pipe()
        self._id = os.fork()
        if self._id:
            os.close(there)
            return
        try:
            os.dup2(os.open(self.report, os.O_WRONLY | os.O_APPEND), 2)
            _limit()
            self._loop(files, there)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(0)

    def _loop(self, files, letters):
        growth = Growth()
        for data in files:
            os.ftruncate(2, 0)
            # Whatever happens now, it is known of which file.
            self.file.write_bytes(data)
            letter = _letter(data)
            if SANITIZER.search(self.report.read_text(errors="replace")):
                letter = b"s"
            elif letter in b"rn" and growth.is_steady():
                letter = b"g"
            os.write(letters, letter)
            if letter in b"esg":
                return

    def letter(self, timeout):
        """The next letter; h if none came for so many seconds, c if the process ended."""
        if select.select([self._letters], [], [], timeout)[0]:
            return os.read(self._letters, 1).decode() or "c"
        # It writes its stack.
        os.kill(self._id, signal.SIGABRT)
        select.select([self._letters], [], [], 2)
        return "h"

    def end(self):
        """Ends the process; returns its status, negative for a signal."""
        os.kill(self._id, signal.SIGKILL)
        os.close(self._letters)
        return os.waitstatus_to_exitcode(os.waitpid(self._id, 0)[1])


def _letter(data):
    try:
        return b"r" if run(data) == "ran" else b"n"
    except Exception:
        os.write(2, traceback.format_exc().encode())
        return b"e"


def _limit():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # AddressSanitizer reserves far more addresses than it uses.
    if "asan" not in os.environ.get("LD_PRELOAD", ""):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))


class Growth:
    """Whether memory grows and grows: from the first hundreds of files to the last ones."""

    def __init__(self):
        self._files, self._first = 0, 0

    def is_steady(self):
        self._files += 1
        if self._files == FILES_A_PROCESS // 4:
            self._first = _in_use()
        if self._files < FILES_A_PROCESS:
            return False
        grown = _in_use() - self._first
        os.write(2, f"{grown} bytes more after {FILES_A_PROCESS * 3 // 4} files\n".encode())
        return grown > MOST_GROWTH


class _Mallinfo(ctypes.Structure):
    """What glibc's mallinfo2 returns; named are the fields that are used."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("a", "b", "c", "d", "hblkhd", "f", "g", "uordblks", "i", "j")
    ]


def _in_use():
    """Bytes that this process has from malloc and has not given back."""
    gc.collect()
    function = ctypes.CDLL(None).mallinfo2
    function.restype = _Mallinfo
    found = function()
    return found.hblkhd + found.uordblks


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        kind: "ran", "refused", a kind of finding, or "litert" for what ends LiteRT alone.
        place: Where in LiteRT that was.
        report: What is known of it.
    """

    kind: str
    place: str = ""
    report: str = ""

    @property
    def is_finding(self):
        return self.kind not in ("ran", "refused", "litert")


def outcome(process, timeout):
    """Waits for what becomes of the next file of a process."""
    letter = process.letter(timeout)
    if letter in "rn":
        return Outcome(KINDS[letter])
    status = process.end()
    report = process.report.read_text(errors="replace")
    kind, place = KINDS[letter], ""
    if SANITIZER.search(report):
        kind = "sanitizer"
    elif kind in ("crash", "hang") and _is_litert_alone(report, process.file.read_bytes()):
        kind, place = "litert", _place(report)
    return Outcome(kind, place, f"{KINDS[letter]}, status {status}\n{report}")


def _is_litert_alone(report, data):
    """Whether our library is not on the stack, or, where that is destroyed, was not even loaded."""
    stack = report.partition(MARK)[2]
    return OURS not in stack and (LITERT in stack or b"Lce" not in data)


def _place(report):
    """The innermost address in LiteRT's libraries, by which to tell crashes apart."""
    found = re.search(r"/\S*litert\S*?\(\S*?\+0x\w+\)", report.partition(MARK)[2])
    return found.group() if found else "unknown"


class Session:
    """What was tried and found so far."""

    def __init__(self, folder):
        self._folder, self._begin, self._shown = folder, time.monotonic(), 0.0
        self._counts, self._places = collections.Counter(), set()
        self.findings = 0

    def seconds(self):
        return time.monotonic() - self._begin

    def add(self, found, seed, data):
        self._counts[found.kind] += 1
        self.findings += found.is_finding
        if found.is_finding or (found.kind == "litert" and found.place not in self._places):
            if found.place:
                self._places.add(found.place)
            self._keep(found, seed, data)
        if self.seconds() > self._shown + 10:
            self._shown = self.seconds()
            self.show()

    def _keep(self, found, seed, data):
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{found.kind}-{seed}.tflite"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(found.report)
        print(f"{found.kind}: {path}", flush=True)

    def show(self):
        total, seconds = sum(self._counts.values()), self.seconds()
        print(
            f"{total} files in {seconds:.0f} s ({total / seconds:.0f} a second): "
            f"{self._counts['ran']} ran, {self._counts['refused']} refused, "
            f"{self._counts['litert']} ended LiteRT (in {len(self._places)} places), "
            f"{self.findings} findings",
            flush=True,
        )


def fuzz(arguments):
    corpus = [path.read_bytes() for path in sorted(arguments.corpus.glob("*.tflite"))]
    session = Session(arguments.findings)
    seed = arguments.seed << 32
    with tempfile.TemporaryDirectory() as folder:
        while session.seconds() < arguments.seconds:
            seeds = range(seed, seed + FILES_A_PROCESS)
            process = Process(Path(folder), (mutate(seed, corpus) for seed in seeds))
            for current in seeds:
                found = outcome(process, arguments.timeout)
                # Only a process that has ended has its last file still there.
                ended = found.kind not in ("ran", "refused")
                session.add(found, current, process.file.read_bytes() if ended else b"")
                seed = current + 1
                if ended or session.seconds() > arguments.seconds:
                    break
            if not ended:
                process.end()
    session.show()
    return 1 if session.findings else 0


def replay(arguments):
    data = arguments.replay.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        process = Process(Path(folder), [data] * arguments.times)
        for _ in range(arguments.times):
            found = outcome(process, arguments.timeout)
            if found.kind not in ("ran", "refused"):
                break
        else:
            process.end()
    print(f"{found.kind}\n{found.report}".strip())
    return 1 if found.is_finding else 0


def load_stack_of_crash():
    """Lets processes that crash write their stack, unless a sanitizer does so already."""
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        return
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "stack_of_crash.so"
        source = HERE / "stack_of_crash.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        ctypes.CDLL(str(library))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="other numbers damage files otherwise")
    parser.add_argument("--corpus", type=Path, default=HERE / "corpus" / "files")
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--timeout", type=float, default=20, help="seconds that one file may take")
    parser.add_argument("--replay", type=Path, help="runs this file alone")
    parser.add_argument("--times", type=int, default=1, help="how often to replay it")
    arguments = parser.parse_args()
    load_stack_of_crash()
    # Loads LiteRT once, and not in every process; nothing runs here.
    Interpreter(next(iter(sorted(HERE.glob("corpus/files/*.tflite")))))
    return replay(arguments) if arguments.replay else fuzz(arguments)


if __name__ == "__main__":
    sys.exit(main())
