"""Which engine runs a file."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING

from keras_bnn.errors import InputError, MissingLibraryWarning
from keras_bnn.runtime import native
from keras_bnn.runtime.engine import Engine
from keras_bnn.runtime.foreign import has_1bit_operators, prepare
from keras_bnn.runtime.lce import LCE_KERNELS, LceEngine, is_installed, most_exact_kernel
from keras_bnn.runtime.litert import LiteRTEngine
from keras_bnn.tflite.file import write
from keras_bnn.tflite.graph import Graph

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT

LITERT = "LiteRT"
ENGINES = (LITERT, *LCE_KERNELS)


def engine_for(model: ModelT, num_threads: int = 1, name: str | None = None) -> Engine:
    """The engine that runs a file.

    Args:
        model: The file's content; changed where LiteRT needs it (see `foreign.prepare`).
        num_threads: Threads for one prediction.
        name: One of `ENGINES`. `None`: LiteRT, with our delegate if there are 1-bit operators.
            Where our library is missing these run on LCE's interpreter, with a warning.

    Raises:
        InputError: If there is no such engine, nothing here runs 1-bit operators, the file's
            inputs have no batch in common, or the engine refuses the file.
    """
    if name is not None and name not in ENGINES:
        raise InputError(f"engine is {name!r}, expected one of {list(ENGINES)}.")
    graph = Graph(model)
    _check_batch(graph)
    is_1bit = has_1bit_operators(graph)
    if is_1bit and name is None and native.library_path() is None:
        name = _instead_of_library(graph)
    if name in LCE_KERNELS:
        return LceEngine(write(model), num_threads, name)
    library = native.library_path() if is_1bit else None
    if is_1bit and library is None:
        raise _nothing_runs_it()
    prepare(model, graph)
    return LiteRTEngine(write(model), num_threads, library)


def _instead_of_library(graph: Graph) -> str:
    if not is_installed():
        raise _nothing_runs_it()
    _warn_once()
    return most_exact_kernel(graph)


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "1-bit operators run on LCE's interpreter, which is slower, because keras-bnn's own "
        f"library is not in use: {native.why_no_library()}.",
        MissingLibraryWarning,
        stacklevel=5,
    )


def _nothing_runs_it() -> InputError:
    return InputError(
        f"Nothing here runs 1-bit operators: of keras-bnn's own library, {native.why_no_library()}."
        " Install it again where there is a C compiler, or run: pip install "
        '"keras-bnn[train]", which brings LCE\'s interpreter.'
    )


def _check_batch(graph: Graph) -> None:
    signatures = [graph.tensor(port.tensor).shape_signature for port in graph.inputs]
    expected = "expected inputs whose first axes are one batch"
    if not signatures or () in signatures:
        got = "an input that is a single number" if signatures else "no inputs"
        raise InputError(f"The file has {got}, {expected}.")
    batches = {signature[0] for signature in signatures if signature[0] > 0}
    if len(batches) > 1:
        raise InputError(f"The file has inputs of {sorted(batches)} samples each, {expected}.")
