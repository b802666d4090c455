"""The library of 1-bit kernels and the LiteRT delegate that offers them, if it was built."""

import os
from pathlib import Path

_NAME = "libkeras_bnn.so"


def library_path() -> Path | None:
    """The library beside this file, or `None` where it is not installed or not wanted.

    `KERAS_BNN_NATIVE=0` in the environment ignores it.
    """
    path = Path(__file__).with_name(_NAME)
    if os.environ.get("KERAS_BNN_NATIVE") == "0" or not path.exists():
        return None
    return path
