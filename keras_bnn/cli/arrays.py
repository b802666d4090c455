"""Arrays in .npy and .npz files, read and written for the commands."""

import textwrap
import zipfile
from pathlib import Path

import numpy as np

from keras_bnn.errors import InputError
from keras_bnn.files import check_writable, replacing


def load_arrays(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """Reads one array (.npy) or several by name (.npz).

    Raises:
        InputError: If there is no such file, or it holds no plain arrays.
    """
    try:
        # NumPy leaves a damaged archive open that it opened itself.
        with path.open("rb") as file:
            # Pickled objects in a stranger's file could run code.
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            return {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise InputError(
            f"There is no file {path}, expected samples in a .npy or .npz file."
        ) from None
    # NumPy's readers of headers and archives raise many kinds for a damaged file, and a header
    # that claims a huge array a MemoryError.
    except Exception as error:
        reason = textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" …")
        raise InputError(
            f"{path} holds no NumPy arrays ({reason}), expected a .npy or .npz file as numpy.save "
            "and numpy.savez write them."
        ) from error


def check_output_path(path: Path) -> None:
    """Raises an `InputError` if no arrays can be written at `path`."""
    if path.suffix not in (".npy", ".npz"):
        raise InputError(f"The output {path} must end in .npy, or in .npz for several outputs.")
    check_writable(path)


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes one array (.npy) or several by name (.npz), as a whole or not at all."""
    check_output_path(path)
    if path.suffix == ".npy" and len(arrays) > 1:
        raise InputError(
            f"The file has {len(arrays)} outputs, and {path} can hold one: name it .npz."
        )
    with replacing(path) as temporary:
        if path.suffix == ".npy":
            np.save(temporary, next(iter(arrays.values())))
        else:
            _save_members(temporary, arrays)


def _save_members(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Does what `np.savez` does, whose own parameters' names no array can have."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
