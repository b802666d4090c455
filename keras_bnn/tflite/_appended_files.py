"""Files behind the flatbuffer of a .tflite file: a zip archive, as the standard metadata wants it.

The archive is stored without compression, which readers on phones rely on, and without dates, so
that the same files give the same bytes.
"""

from __future__ import annotations

import io
import zipfile

# A list of labels has some hundred kilobytes at most; a damaged one may claim gigabytes.
_LARGEST = 1 << 24
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def append(data: bytes, files: dict[str, bytes]) -> bytes:
    """Returns `data` with `files` (content by name) behind it; without files, `data` itself."""
    if not files:
        return data
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _NO_DATE)
            # Python's default depends on the machine that writes.
            entry.create_system = _UNIX
            archive.writestr(entry, content)
    return stream.getvalue()


def read(data: bytes, name: str) -> bytes | None:
    """Returns the content of one file; None if it is not there or cannot be read."""
    archive = _archive(data)
    try:
        if archive is None or archive.getinfo(name).file_size > _LARGEST:
            return None
        return archive.read(name)
    # Damaged archives raise nearly everything.
    except Exception:
        return None


def size(data: bytes) -> int:
    """Returns how many bytes the archive takes, 0 if there is none."""
    archive = _archive(data)
    if archive is None or not archive.infolist():
        return 0
    start = min(entry.header_offset for entry in archive.infolist())
    return len(data) - start if 0 <= start <= len(data) else 0


def _archive(data: bytes) -> zipfile.ZipFile | None:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except Exception:
        return None
