"""Prints by how many MiB a process grows for an interpreter and its first prediction.

python benchmarks/resident.py FILE [ENGINE]
"""

import resource
import sys
from pathlib import Path

import numpy as np

from keras_bnn.runtime import Interpreter
from keras_bnn.runtime.lce import LCE_KERNELS

PAGE = resource.getpagesize()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def predict(path: str, engine: str | None) -> Interpreter:
    interpreter = Interpreter(path, engine=engine)
    shapes = [(1, *tensor.shape[1:]) for _, tensor in interpreter._inputs]
    interpreter.predict([np.zeros(shape, np.float32) for shape in shapes])
    return interpreter


def main() -> None:
    path, engine = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    if engine in LCE_KERNELS:
        from keras_bnn import _lce  # noqa: F401  TensorFlow's size is no part of it
    import ai_edge_litert.interpreter  # noqa: F401

    before = resident()
    interpreter = predict(path, engine)
    print(f"{(resident() - before) / 2**20:.2f} {interpreter.engine}")


if __name__ == "__main__":
    main()
