"""Read a .tflite file into LiteRT's object API, and write it back, without TensorFlow.

`read` accepts a file only if every table, vector and index in it lies inside it, so that whoever
goes on with the model need not ask again. The schema is the one that ships with LiteRT
(`ai_edge_litert.schema_py_generated`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from keras_bnn.tflite import _verify
from keras_bnn.tflite._verify import TFLiteFileError

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT

__all__ = ["TFLiteFileError", "read", "write"]

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

_EXPORT_FIRST = "export it with keras_bnn.export.to_tflite first"
_MAGIC = {
    b"PK\x03\x04": f"a zip archive, perhaps a .keras file: {_EXPORT_FIRST}",
    b"\x89HDF": f"an HDF5 file, perhaps saved Keras weights: {_EXPORT_FIRST}",
    b"\x93NUM": "a NumPy array: pass the .tflite file instead",
    b"vers": "a Git LFS pointer, perhaps: run `git lfs pull` to fetch the file itself",
}


def read(path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview) -> ModelT:
    """Reads a .tflite file.

    Args:
        path_or_bytes: The path of a file, or its whole content.

    Returns:
        A `ModelT` of `ai_edge_litert.schema_py_generated`. Its vectors of numbers are read-only
        NumPy views of the content. Buffers that the file keeps behind its flatbuffer (files over
        2 GB do) are in `data` like all others, with `offset` and `size` zero.

    Raises:
        TFLiteFileError: If there is no such file, it is no .tflite file, it is damaged or cut
            short, or it keeps weights in other files. The message is one line: what was found,
            what was expected and what to change.

    >>> from keras_bnn.tflite.file import read
    >>> model = read("model.tflite")  # doctest: +SKIP
    >>> len(model.subgraphs[0].operators)  # doctest: +SKIP
    12
    """
    return parse(*load(path_or_bytes))


def write(model: ModelT) -> bytes:
    """Writes a model as the content of a .tflite file.

    Every buffer starts at a multiple of 16 bytes, as the schema asks for, so kernels can use it
    in place. Fields that the installed LiteRT does not know are lost between `read` and `write`.

    Args:
        model: A `ModelT`, from `read` or built by hand.

    Raises:
        TFLiteFileError: If the result would exceed 2 GB, the most that a flatbuffer can hold, or
            an operator has options of a kind that the installed LiteRT cannot write.

    >>> from keras_bnn.tflite.file import read, write
    >>> data = write(read("model.tflite"))  # doctest: +SKIP
    >>> data[4:8]  # doctest: +SKIP
    b'TFL3'
    """
    from flatbuffers import Builder
    from flatbuffers.builder import BuilderSizeError

    class AlignedBuilder(Builder):
        # The schema says `force_align: 16` for buffer data, which generated Python code ignores.
        def StartVector(self, elemSize, numElems, alignment):
            return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)

    _verify.options_are_known(model)
    size = sum(len(buffer.data) for buffer in model.buffers or [] if buffer.data is not None)
    try:
        builder = AlignedBuilder(size + 65536)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    except BuilderSizeError:
        raise TFLiteFileError(
            f"the model holds {size} bytes of constants, and a .tflite file written here holds "
            "less than 2 GB: use a smaller model"
        ) from None
    return bytes(builder.Output())


def load(path_or_bytes) -> tuple[bytes, str]:
    """Returns the content of a file, and what to call it in messages."""
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        data = bytes(path_or_bytes)
        return data, f"the given data ({len(data)} bytes)"
    try:
        path = Path(path_or_bytes)
    except TypeError:
        raise TypeError(
            "expected the path of a .tflite file or its content as bytes, got "
            f"{type(path_or_bytes).__name__}"
        ) from None
    name = str(path) if str(path).isprintable() else repr(str(path))
    try:
        return path.read_bytes(), name
    except FileNotFoundError:
        raise TFLiteFileError(
            f"{name} does not exist, expected a .tflite file: check the path (the current "
            f"directory is {Path.cwd()})"
        ) from None
    except IsADirectoryError:
        raise TFLiteFileError(
            f"{name} is a directory, expected a .tflite file: if it is a SavedModel, "
            f"{_EXPORT_FIRST}"
        ) from None
    # ValueError: a zero byte in the path.
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise TFLiteFileError(
        f"{name} cannot be read ({reason}), expected a .tflite file: check the path and its "
        "permissions"
    )


def parse(data: bytes, name: str) -> ModelT:
    """Returns the model that `data` holds; `name` is what messages call it."""
    from ai_edge_litert.schema_py_generated import Model, ModelT

    _check_beginning(data, name)
    data = _verify.StrictBytes(data)
    try:
        root = Model.GetRootAs(data, 0)
        _verify.tables(root, len(data))
        model = ModelT.InitFromObj(root)
    # LiteRT's reader checks nothing itself, so any exception may come out of a damaged file.
    except Exception as error:
        raise TFLiteFileError(
            f"{name}: damaged or cut short, expected a whole .tflite file "
            f"({_one_line(error)}): copy or export it again"
        ) from None
    try:
        if model.version != SCHEMA_VERSION:
            raise TFLiteFileError(f"schema version {model.version}, expected {SCHEMA_VERSION}")
        _verify.attach_outside_data(model, data)
        _verify.indices(model)
    except TFLiteFileError as error:
        raise TFLiteFileError(f"{name}: {error}: copy or export it again") from None
    return model


def _check_beginning(data: bytes, name: str) -> None:
    if not data:
        raise TFLiteFileError(f"{name} is empty, expected a .tflite file: copy or export it again")
    if data[4:8] == IDENTIFIER:
        return
    found = _MAGIC.get(data[:4])
    if found is None and data[:64].isascii() and data[:64].decode("ascii").split():
        text = data[:64].decode("ascii")
        if all(char.isprintable() or char.isspace() for char in text):
            found = f"text that begins {text[:24]!r}: pass the .tflite file instead"
    if found is None:
        found = (
            f"the identifier {data[4:8]!r}: pass another file, or export this one again if it "
            "should be one"
        )
    raise TFLiteFileError(
        f"{name} is no .tflite file: expected the identifier {IDENTIFIER!r} at byte 4, got {found}"
    )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, TFLiteFileError) else f"{type(error).__name__}: {text}"
