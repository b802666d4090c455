"""The file of binary weights: an .npz archive that NumPy alone reads, without pickle.

Its members are `header`, UTF-8 JSON as bytes,

    {"format": "keras-bnn binary weights", "version": 1, "weights":
        [{"name": "conv/kernel", "shape": [3, 3, 32, 64], "dtype": "float32",
          "packed": true, "magnitude": 0.25, "scale": null}, …]}

and flat arrays from which each weight, in that order, takes its next values. A packed kernel takes
its signs from `bits` (`bits.pack` of the kernel flattened, a new word for each kernel) and, where
`scale` names a dtype, one scale for each channel of the last axis from the array of that name. Any
other weight takes its values from the array named by its dtype; `bfloat16` is held as uint16.
"""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_bnn import bits, files
from keras_bnn.errors import InputError

FORMAT = "keras-bnn binary weights"
VERSION = 1


@dataclass(frozen=True)
class StoredWeight:
    """One weight as the file holds it.

    Attributes:
        name: Its name in the model that was saved.
        dtype: That of its variable.
        values: Its values; ±1 as float32 for a packed kernel.
        packed: Whether the file holds one bit for each value.
        scale: Of a packed kernel, of shape (channels,), or `None` where all are 1.
        magnitude: Of the latent weights of a packed kernel that has no scale.
    """

    name: str
    dtype: str
    values: np.ndarray
    packed: bool = False
    scale: np.ndarray | None = None
    magnitude: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def bytes(self) -> int:
        """What it takes in the archive before that is compressed."""
        if not self.packed:
            return self.values.nbytes
        scale = 0 if self.scale is None else self.scale.nbytes
        return 4 * bits.words_for(self.values.size) + scale


def write(path: str | os.PathLike, weights: list[StoredWeight]) -> None:
    """Writes `weights` to `path`, as a whole or not at all."""
    members: dict[str, list[np.ndarray]] = {}
    entries = []
    for weight in weights:
        entry: dict = {"name": weight.name, "shape": weight.shape, "dtype": weight.dtype}
        if not weight.packed:
            members.setdefault(weight.dtype, []).append(_storable(weight.values))
        else:
            scale = weight.scale
            entry |= {"packed": True, "magnitude": weight.magnitude}
            entry["scale"] = None if scale is None else str(scale.dtype)
            members.setdefault("bits", []).append(bits.pack(weight.values.reshape(-1)))
            if scale is not None:
                members.setdefault(str(scale.dtype), []).append(_storable(scale))
        entries.append(entry)
    header = json.dumps({"format": FORMAT, "version": VERSION, "weights": entries})
    arrays = {name: np.concatenate(parts) for name, parts in members.items()}
    arrays["header"] = np.frombuffer(header.encode(), np.uint8)
    # NumPy appends .npz to a name, but not to an open file.
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def read(path: str | os.PathLike) -> list[StoredWeight]:
    """Reads what `write` wrote.

    Raises:
        InputError: If there is no such file, it is another file, or it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}; expected one of save_binary_weights.")
    arrays = _arrays(path)
    try:
        header = json.loads(arrays.pop("header").tobytes())
        known, version = header["format"] == FORMAT, header["version"]
    except (KeyError, TypeError, ValueError, AttributeError):
        known = False
    if not known:
        raise InputError(f"{path} is no file of save_binary_weights: it has no header of one.")
    if version != VERSION:
        raise InputError(
            f"{path} has version {version} of its format, and this keras_bnn reads {VERSION}: "
            "update keras_bnn, or save the weights with this one."
        )
    try:
        members = _Members(arrays)
        weights = [_weight(entry, members) for entry in header["weights"]]
        members.check_used_up()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}): save the weights again.") from error
    return weights


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        # Given a path, NumPy leaves the file open when the archive is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    # Neither NumPy nor zipfile says what a damaged archive raises, and each raises several.
    except Exception as error:
        raise InputError(
            f"{path} is no file of save_binary_weights, or is damaged ({type(error).__name__})."
        ) from error


@dataclass
class _Members:
    """The flat arrays, each with how much of it was taken."""

    arrays: dict[str, np.ndarray]
    taken: dict[str, int] = field(default_factory=dict)

    def take(self, name: str, count: int) -> np.ndarray:
        start = self.taken.get(name, 0)
        values = self.arrays[name][start : start + count]
        if values.shape != (count,) or self.arrays[name].dtype != _storage_dtype(name):
            raise ValueError(f"too little in {name}")
        self.taken[name] = start + count
        return values

    def check_used_up(self) -> None:
        for name, array in self.arrays.items():
            if array.shape != (self.taken.get(name, 0),):
                raise ValueError(f"too much in {name}")


def _weight(entry: dict, members: _Members) -> StoredWeight:
    shape, dtype = tuple(entry["shape"]), str(entry["dtype"])
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"shape {shape}")
    size = math.prod(shape)
    if not entry.get("packed"):
        values = members.take(dtype, size).view(_dtype(dtype)).reshape(shape)
        return StoredWeight(entry["name"], dtype, values)
    words = members.take("bits", bits.words_for(size))
    signs = bits.unpack(words, size).reshape(shape)
    scale = entry["scale"]
    if scale is not None:
        scale = members.take(scale, shape[-1]).view(_dtype(scale))
    magnitude = float(entry["magnitude"])
    return StoredWeight(entry["name"], dtype, signs, True, scale, magnitude)


def _storable(values: np.ndarray) -> np.ndarray:
    return np.ravel(values).view(_storage_dtype(str(values.dtype)))


def _storage_dtype(name: str) -> np.dtype:
    if name == "bits":
        return np.dtype(np.int32)
    dtype = _dtype(name)
    # NumPy writes types that it does not know itself as raw bytes, without their names.
    return np.dtype(f"u{dtype.itemsize}") if dtype.isbuiltin != 1 else dtype


def _dtype(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes  # pyright: ignore[reportMissingImports]  (TensorFlow brings it)

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
