"""The library of 1-bit kernels, with the LiteRT delegate that offers them, if it was built."""

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from keras_bnn.errors import InputError

_NAME = "libkeras_bnn.so"


def library_path() -> Path | None:
    """The library beside this file, or `None` where it is not installed or not wanted.

    `KERAS_BNN_NATIVE=0` in the environment ignores it.
    """
    path = Path(__file__).with_name(_NAME)
    if os.environ.get("KERAS_BNN_NATIVE") == "0" or not path.exists():
        return None
    return path


def why_no_library() -> str:
    """Why `library_path` is `None`, as a clause."""
    if os.environ.get("KERAS_BNN_NATIVE") == "0":
        return "KERAS_BNN_NATIVE=0 asks not to use it"
    # Python prefers the folder in which it starts to what is installed.
    source = Path(__file__).parents[2]
    if (source / "export" / "CMakeLists.txt").exists():
        return (
            f"{source} is the source, where it is not built; start Python in another folder, or "
            "run pip install -e . there"
        )
    return "this installation has none, for it was built without a C compiler"


def instruction_sets() -> list[str]:
    """The instruction sets that this processor and the library have, best first.

    The last is "portable". Empty without the library.
    """
    path = library_path()
    if path is None:
        return []
    names = _load(path).bnn_isa_available
    found = []
    while name := names(len(found)):
        found.append(name.decode())
    return found


def instruction_set() -> str | None:
    """The instruction set in use: the best, or the one that `KERAS_BNN_ISA` names.

    `None` without the library.

    Raises:
        InputError: If that one is not available here, or the library cannot be loaded.
    """
    sets, wanted = instruction_sets(), os.environ.get("KERAS_BNN_ISA")
    if not sets:
        return None
    if wanted and wanted not in sets:
        raise InputError(f"KERAS_BNN_ISA is {wanted!r}, expected one of {sets}, which run here.")
    return wanted or sets[0]


class Event(ctypes.Structure):
    """When one 1-bit operator ran, in nanoseconds of `time.perf_counter_ns`."""

    _fields_ = [("node", ctypes.c_int32), ("start", ctypes.c_int64), ("end", ctypes.c_int64)]


class _Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 256)]


@contextlib.contextmanager
def event_log(capacity: int) -> Iterator[list[Event]]:
    """Logs the 1-bit operators of all interpreters that run meanwhile; the list is filled after.

    Raises:
        InputError: If a log is kept already, or there is no library.
    """
    path, events, error = library_path(), [], _Error()
    if path is None:
        raise InputError(
            f"Only this package's own library can be profiled, and {why_no_library()}."
        )
    library = _load(path)
    if not library.bnn_profile_start(capacity, ctypes.byref(error)):
        raise InputError(error.text.decode() + ".")
    buffer = (Event * capacity)()
    try:
        yield events
    finally:
        count = library.bnn_profile_stop(buffer, capacity)
        events += buffer[: min(count, capacity)]


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise InputError(
            f"The library of 1-bit kernels cannot be loaded ({error}). Install keras-bnn again, or "
            "do without it: KERAS_BNN_NATIVE=0."
        ) from error
    library.bnn_isa_available.restype = ctypes.c_char_p
    library.bnn_isa_available.argtypes = [ctypes.c_size_t]
    library.bnn_profile_start.restype = ctypes.c_bool
    library.bnn_profile_start.argtypes = [ctypes.c_size_t, ctypes.c_void_p]
    library.bnn_profile_stop.restype = ctypes.c_size_t
    library.bnn_profile_stop.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library
