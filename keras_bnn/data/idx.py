"""The IDX files in which MNIST and its successors come."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from keras_bnn.errors import InputError

_UNSIGNED_BYTES = 0x08


def read_idx(path: Path, rank: int) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, gzipped if its name ends in `.gz`.

    The format: two zero bytes, the type (0x08), the rank, each dimension as a big-endian 32-bit
    number, then the values in row-major order.

    Args:
        path: The file.
        rank: The number of dimensions expected: 1 for labels, 3 for images.

    Returns:
        uint8, read-only, of the shape that the file states.

    Raises:
        InputError: If the file cannot be read, is no IDX file of this rank, or is longer or
            shorter than its dimensions say.

    >>> Path("labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9]))
    11
    >>> read_idx(Path("labels"), rank=1)
    array([7, 0, 9], dtype=uint8)
    """
    data = _read(path)
    expected = bytes([0, 0, _UNSIGNED_BYTES, rank])
    if data[:4] != expected:
        raise InputError(
            f"{path} starts with the bytes {data[:4].hex(' ') or '(none)'}, expected "
            f"{expected.hex(' ')}: it is no IDX file of {rank}-dimensional unsigned bytes. "
            "Download it again."
        )
    start = 4 + 4 * rank
    if len(data) < start:
        raise InputError(f"{path} ends within its header. Download it again.")
    shape = [int(n) for n in np.frombuffer(data, ">u4", rank, offset=4)]
    size = start + math.prod(shape)
    if len(data) != size:
        raise InputError(
            f"{path} holds {len(data)} bytes, expected {size} for the shape {tuple(shape)} in its "
            "header: it is damaged. Download it again."
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is no complete gzip file: {error}. Download it again.") from error
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
