"""Training: optimizers and recipes for binary networks, and runs that resume exactly."""

from keras_bnn.training import presets
from keras_bnn.training.binarize import binarize
from keras_bnn.training.binarize_report import Binarized, Change
from keras_bnn.training.bop import Bop
from keras_bnn.training.clip import set_clip
from keras_bnn.training.diagnostics import Diagnostics
from keras_bnn.training.distillation import Distillation
from keras_bnn.training.flips import FlipRatio
from keras_bnn.training.optimizer_group import OptimizerGroup
from keras_bnn.training.real_weights import with_real_weights
from keras_bnn.training.recipes import RECIPES
from keras_bnn.training.resume import Resume
from keras_bnn.training.saturation import Saturation
from keras_bnn.training.schedules import WarmUp, cosine
from keras_bnn.training.settings import Settings, settings_for
from keras_bnn.training.stages import real_to_binary, two_step
from keras_bnn.training.synchronize import synchronize_batch_norm
from keras_bnn.training.train import Trained, train

__all__ = [
    "RECIPES",
    "Binarized",
    "Bop",
    "Change",
    "Diagnostics",
    "Distillation",
    "FlipRatio",
    "OptimizerGroup",
    "Resume",
    "Saturation",
    "Settings",
    "Trained",
    "WarmUp",
    "binarize",
    "cosine",
    "presets",
    "real_to_binary",
    "set_clip",
    "settings_for",
    "synchronize_batch_norm",
    "train",
    "two_step",
    "with_real_weights",
]
