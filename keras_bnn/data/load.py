"""Loading data sets by name."""

import os

import numpy as np

from keras_bnn.data.dataset import Dataset, Split, hold_out
from keras_bnn.data.mnist import FASHION_MNIST, MNIST, load_mnist
from keras_bnn.errors import InputError

NAMES = ("digits", "fashion_mnist", "mnist")
"""The data sets that `load` knows."""


def load(name: str, folder: str | os.PathLike | None = None) -> Dataset:
    """Loads a data set.

    | name            | images                      | training | test   | from                    |
    |-----------------|-----------------------------|----------|--------|-------------------------|
    | `digits`        | 8×8×1, handwritten digits   | 1,438    | 359    | scikit-learn's package  |
    | `fashion_mnist` | 28×28×1, pieces of clothing | 60,000   | 10,000 | files, see below        |
    | `mnist`         | 28×28×1, handwritten digits | 60,000   | 10,000 | files, see below        |

    The files are looked for in `folder` if one is given; else in Keras' cache
    (`~/.keras/datasets`); else, for `fashion_mnist`, where the Debian package
    `dataset-fashion-mnist` puts them; else Keras downloads them into its cache.

    Args:
        name: One of `NAMES`.
        folder: Where the four IDX files lie, plain or gzipped (`train-images-idx3-ubyte.gz`, ...).

    Returns:
        Images as float32 of shape (count, height, width, 1), scaled so that black is -1.0 and
        white 1.0; labels as int64.

    Raises:
        InputError: If the name is unknown, a file is damaged, or the files are nowhere.
        ImportError: If scikit-learn is needed and not installed.

    >>> digits = load("digits")
    >>> digits.input_shape, digits.num_classes, len(digits.train.labels), len(digits.test.labels)
    ((8, 8, 1), 10, 1438, 359)

    References:
        Xiao et al., Fashion-MNIST, 2017. https://arxiv.org/abs/1708.07747
        LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998.
        https://doi.org/10.1109/5.726791
    """
    if name == "digits":
        if folder is not None:
            raise InputError(
                f"digits comes with scikit-learn and is in no folder, got {os.fspath(folder)!r}. "
                "Leave the folder out."
            )
        return _load_digits()
    for source in (FASHION_MNIST, MNIST):
        if name == source.name:
            return load_mnist(source, folder)
    raise InputError(f"Unknown data set {name!r}. Expected one of {', '.join(NAMES)}.")


def _load_digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "The data set digits comes with scikit-learn, which is not installed. Run: "
            'pip install "keras-bnn[train]"'
        ) from error
    digits = load_digits()
    images = (digits.images / 8 - 1).astype(np.float32)[..., np.newaxis]
    train, test = hold_out(Split(images, digits.target.astype(np.int64)), 0.2, seed=0)
    return Dataset("digits", train, test, tuple("0123456789"))
