"""What a data set is here, and how its images and labels are split."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_bnn.errors import InputError


class Split(NamedTuple):
    """Images and their labels.

    Attributes:
        images: float32 of shape (count, height, width, channels), in [-1, 1].
        labels: int64 of shape (count,), from 0 to the number of classes - 1.
    """

    images: np.ndarray
    labels: np.ndarray

    def take(self, indices: np.ndarray) -> "Split":
        """The examples at `indices`, in that order, copied."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Dataset:
    """Labelled images to train on, and others to test with.

    Attributes:
        name: What `load` calls it.
        train: The examples to train on.
        test: Examples held out for the final figure.
        label_names: One name a class.

    Raises:
        InputError: If images and labels do not fit each other or the classes.

    >>> blank = Split(np.zeros((2, 8, 8, 1), np.float32), np.array([0, 1]))
    >>> Dataset("blank", blank, blank, ("no", "yes")).input_shape
    (8, 8, 1)
    """

    name: str
    train: Split
    test: Split
    label_names: tuple[str, ...]

    def __post_init__(self):
        for part, split in (("train", self.train), ("test", self.test)):
            _check_split(f"{self.name}, {part}", split, len(self.label_names))

    @property
    def num_classes(self) -> int:
        return len(self.label_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    def fingerprint(self) -> str:
        """A short digest that changes with any image or label, as hexadecimal digits."""
        digest = hashlib.sha256()
        for array in (*self.train, *self.test):
            digest.update(str(array.shape).encode())
            digest.update(array.tobytes())
        return digest.hexdigest()[:16]


def _check_split(where: str, split: Split, num_classes: int) -> None:
    if not isinstance(split, Split):
        raise InputError(f"{where}: of class {type(split).__name__}, expected a Split.")
    images, labels = map(np.shape, split)
    if len(images) != 4:
        raise InputError(
            f"{where}: images of shape {images}, expected (count, height, width, channels)."
        )
    if labels != images[:1]:
        raise InputError(
            f"{where}: {images[0]} images and labels of shape {labels}, expected one label an "
            f"image: ({images[0]},)."
        )
    if labels[0] and not 0 <= np.min(split.labels) <= np.max(split.labels) < num_classes:
        raise InputError(
            f"{where}: labels from {np.min(split.labels)} to {np.max(split.labels)}, expected 0 to "
            f"{num_classes - 1}, as there are {num_classes} label_names."
        )


def hold_out(split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """Splits off `fraction` of each class.

    Args:
        split: The examples.
        fraction: The share to hold out, between 0 and 1; rounded for each class by itself.
        seed: Chooses which; the same seed always chooses the same.

    Returns:
        The examples kept and those held out, each in their old order.

    >>> kept, held_out = hold_out(Split(np.zeros((10, 1, 1, 1)), np.arange(10) % 2), 0.2, seed=0)
    >>> kept.labels.size, held_out.labels.tolist()
    (8, [0, 1])
    """
    generator = np.random.default_rng(seed)
    is_held_out = np.zeros(len(split.labels), bool)
    for label in np.unique(split.labels):
        members = generator.permutation(np.flatnonzero(split.labels == label))
        is_held_out[members[: round(fraction * len(members))]] = True
    return split.take(~is_held_out), split.take(is_held_out)
