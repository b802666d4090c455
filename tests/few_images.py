"""A data set so small that a test can train on it in a second."""

import numpy as np

from keras_bnn.data import Dataset, Split


def few() -> Dataset:
    """Eighty training and twenty test images of noise."""
    generator = np.random.default_rng(0)
    splits = [
        Split(generator.normal(size=(count, 4, 4, 1)).astype(np.float32), np.arange(count) % 2)
        for count in (80, 20)
    ]
    return Dataset("few", *splits, ("even", "odd"))
