"""Writing files so that an interruption leaves the old file or the new one, never half."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from keras_bnn.errors import InputError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path`, and renames it to `path` if the block succeeds.

    The temporary name keeps the suffix of `path`, by which Keras chooses its file format.

    Raises:
        InputError: If `path` is a directory, or its folder does not exist or cannot be written.
    """
    path = Path(path)
    check_writable(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike) -> None:
    """Raises an `InputError` if no file can be written at `path`."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a directory, expected the name of a file to write.")
    if not path.parent.is_dir():
        raise InputError(f"Cannot write {path}: there is no folder {path.parent}. Create it first.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"Cannot write {path}: the folder {path.parent} is not writable.")


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path`; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
