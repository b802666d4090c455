"""MNIST and Fashion-MNIST: the same files under other names."""

import contextlib
import importlib
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_bnn.data.dataset import Dataset, Split
from keras_bnn.data.idx import read_idx
from keras_bnn.errors import InputError


@dataclass(frozen=True)
class Source:
    """A data set in MNIST's files, and where they may be.

    Attributes:
        name: The data set's name, also that of the module in `keras.datasets`.
        label_names: One name a class.
        cache: The folder in which Keras keeps it, under its cache.
        system_folder: The folder of the Debian package, if there is one.
        package: The name of that package.
    """

    name: str
    label_names: tuple[str, ...]
    cache: str
    system_folder: Path | None = None
    package: str | None = None


FASHION_MNIST = Source(
    "fashion_mnist",
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    cache="fashion-mnist",
    system_folder=Path("/usr/share/datasets/fashion-mnist"),
    package="dataset-fashion-mnist",
)
MNIST = Source("mnist", tuple("0123456789"), cache="")

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Training images, training labels, test images, test labels; uint8."""


def load_mnist(source: Source, folder: str | os.PathLike | None) -> Dataset:
    """Loads `source` from `folder`, or from the first place that has it; see `data.load`.

    Raises:
        InputError: If a file is damaged, or the files are nowhere.
    """
    if folder is not None:
        arrays = _read_folder(source, Path(folder))
        if arrays is None:
            raise InputError(
                f"{source.name} is not in {os.fspath(folder)}: expected the files {_file_names()} "
                "there, plain or with .gz."
            )
        return _as_dataset(source, arrays, folder)
    for place in (_keras_cache() / source.cache, source.system_folder):
        if place is not None and (arrays := _read_folder(source, place)) is not None:
            return _as_dataset(source, arrays, place)
    return _as_dataset(source, _download(source), _keras_cache())


def _keras_cache() -> Path:
    return Path.home() / ".keras" / "datasets"


_STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def _file_names() -> str:
    return ", ".join(f"{stem}-idx{_rank(stem)}-ubyte" for stem in _STEMS)


def _rank(stem: str) -> int:
    return 3 if stem.endswith("images") else 1


def _read_folder(source: Source, folder: Path) -> Arrays | None:
    """The arrays in `folder`, or `None` if a file is missing."""
    paths = [_find(folder, stem) for stem in _STEMS]
    if all(paths):
        train_images, train_labels, test_images, test_labels = (
            read_idx(path, _rank(stem)) for path, stem in zip(paths, _STEMS, strict=True) if path
        )
        return train_images, train_labels, test_images, test_labels
    archive = folder / f"{source.name}.npz"
    return _read_npz(archive) if archive.is_file() else None


def _find(folder: Path, stem: str) -> Path | None:
    # Copies unpacked by hand often have a dot before "idx".
    names = [
        f"{stem}{separator}idx{_rank(stem)}-ubyte{suffix}"
        for separator in "-."
        for suffix in (".gz", "")
    ]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_npz(path: Path) -> Arrays:
    """Reads the archive in which Keras keeps MNIST."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            return archive["x_train"], archive["y_train"], archive["x_test"], archive["y_test"]
    # An array that is no archive raises the IndexError.
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read: {' '.join(str(error).split())}. Delete it, and it is "
            "downloaded again."
        ) from error


def _download(source: Source) -> Arrays:
    places = f"pass a folder that holds {_file_names()} (plain or with .gz)"
    if source.package:
        places += f", or install the Debian package {source.package}"
    places += f", or put them into {_keras_cache() / source.cache}"
    try:
        (train_images, train_labels), (test_images, test_labels) = _keras_loader(source)()
    except Exception as error:
        # urllib's, http.client's and Keras' own exceptions share no narrower class.
        raise InputError(
            f"{source.name} is not on this machine and Keras cannot download it "
            f"({' '.join(str(error).split())}): {places}."
        ) from error
    return train_images, train_labels, test_images, test_labels


def _keras_loader(source: Source) -> Callable:
    from keras_bnn._keras import keras

    module = importlib.import_module(f"{keras.__name__}.datasets.{source.name}")

    def load():
        # Keras reports its progress on standard output, which belongs to the caller.
        with contextlib.redirect_stdout(sys.stderr):
            return module.load_data()

    return load


def _as_dataset(source: Source, arrays: Arrays, place: str | os.PathLike) -> Dataset:
    train_images, train_labels, test_images, test_labels = arrays
    splits = []
    for images, labels in ((train_images, train_labels), (test_images, test_labels)):
        if images.ndim != 3 or labels.shape != images.shape[:1] or not images.size:
            raise InputError(
                f"{source.name} in {os.fspath(place)}: images of shape {images.shape} and labels "
                f"of shape {labels.shape} do not belong together, expected (count, height, width) "
                "and (count,)."
            )
        if {images.dtype, labels.dtype} != {np.dtype(np.uint8)}:
            raise InputError(
                f"{source.name} in {os.fspath(place)}: images are {images.dtype} and labels "
                f"{labels.dtype}, expected uint8."
            )
        if labels.max() >= len(source.label_names):
            raise InputError(
                f"{source.name} in {os.fspath(place)}: a label is {labels.max()}, expected 0 to "
                f"{len(source.label_names) - 1}."
            )
        scaled = images[..., np.newaxis].astype(np.float32)
        scaled /= 127.5
        scaled -= 1
        splits.append(Split(scaled, labels.astype(np.int64)))
    if splits[0].images.shape[1:] != splits[1].images.shape[1:]:
        raise InputError(
            f"{source.name} in {os.fspath(place)}: training images are "
            f"{train_images.shape[1:]}, test images {test_images.shape[1:]}, expected one size."
        )
    return Dataset(source.name, splits[0], splits[1], source.label_names)
