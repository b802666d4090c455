"""Training: optimizers and recipes for binary networks, and runs that resume exactly."""

from keras_bnn.training.bop import Bop
from keras_bnn.training.optimizer_group import OptimizerGroup
from keras_bnn.training.recipes import Recipe, recipe_for
from keras_bnn.training.train import Trained, train

__all__ = ["Bop", "OptimizerGroup", "Recipe", "Trained", "recipe_for", "train"]
