"""Writing files so that an interruption leaves the old file or the new one, never half."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_bnn.errors import InputError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path of the same name, and renames it to `path` if the block succeeds.

    It lies in a hidden folder beside `path`, so its name is valid if that of `path` is, and keeps
    the suffix by which Keras chooses its file format. Only a process that is killed leaves it.

    Raises:
        InputError: If `path` is a directory, or its folder does not exist or cannot be written.
    """
    path = Path(path)
    check_writable(path)
    try:
        with tempfile.TemporaryDirectory(
            prefix=".keras-bnn-", dir=path.parent, ignore_cleanup_errors=True
        ) as folder:
            temporary = Path(folder, path.name)
            yield temporary
            temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def check_writable(path: str | os.PathLike) -> None:
    """Raises an `InputError` if no file can be written at `path`."""
    path = Path(path)
    try:
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except OSError as error:  # A name that is too long.
        raise _cannot_write(path, error) from error
    if is_folder:
        raise InputError(f"{path} is a directory, expected the name of a file to write.")
    if not has_folder:
        raise InputError(f"Cannot write {path}: there is no folder {path.parent}. Create it first.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"Cannot write {path}: the folder {path.parent} is not writable.")


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, if need be.

    Raises:
        InputError: If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {path}: {error.strerror}.") from error


def _cannot_write(path: Path, error: OSError) -> InputError:
    remedy = "Free some space" if error.errno == errno.ENOSPC else "Choose another path"
    return InputError(f"Cannot write {path}: {error.strerror or error}. {remedy}.")


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path`; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
