"""Small data sets, as arrays that a model of this package takes."""

from keras_bnn.data.dataset import Dataset, Split
from keras_bnn.data.load import NAMES, load

__all__ = ["NAMES", "Dataset", "Split", "load"]
