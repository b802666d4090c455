"""Training that can be interrupted and resumed exactly."""

from keras_bnn.training.recipes import Recipe, recipe_for
from keras_bnn.training.train import Trained, train

__all__ = ["Recipe", "Trained", "recipe_for", "train"]
