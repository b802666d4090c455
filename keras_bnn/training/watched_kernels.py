"""The binary kernels of a network, and what an epoch does to them."""

from typing import Any

import numpy as np

from keras_bnn._keras import larq, tf
from keras_bnn.probe import (
    BinaryKernel,
    labels,
    layers_with_kernels,
    quantized_kernels,
    quantized_values,
)
from keras_bnn.training.causes import KernelFigures
from keras_bnn.training.flips import FlipRatio
from keras_bnn.training.saturation import Saturation, clip_of


class WatchedKernel:
    """One binary kernel: its signs before, and the metrics of an epoch.

    It calls metrics where it could update them: between steps Keras then does so in each replica.

    Args:
        label: Its layer, or its layer and its name where that has several.
        variable: The kernel.
    """

    def __init__(self, label: str, variable: Any):
        self.label = label
        self.variable = variable
        self.weights = int(np.prod(variable.shape))
        self._of_epoch, self._of_steps = FlipRatio(), FlipRatio()
        self._before = None

    def begin_epoch(self, keep_signs: bool) -> None:
        """Compares with the signs of now from here on."""
        signs = self._signs()
        for metric in (self._of_epoch, self._of_steps):
            metric(signs)
            metric.reset_state()
        self._before = signs.numpy() if keep_signs else None

    def after_step(self) -> None:
        """Counts what a step flipped."""
        self._of_steps(self._signs())

    def figures(self, is_trained: bool, has_latent_weights: bool) -> KernelFigures:
        """What the epoch did, at its end."""
        self._of_epoch(self._signs())
        clip_value = clip_of(self.variable) if has_latent_weights else None
        saturation = None
        if clip_value is not None:
            metric = Saturation(clip_value)
            metric(self.latent())
            saturation = float(metric.result())
        return KernelFigures(
            self.label,
            self.weights,
            is_trained,
            float(self._of_epoch.result()),
            float(self._of_steps.result()),
            saturation,
        )

    def latent(self) -> np.ndarray:
        """The weights that are trained."""
        with larq.context.quantized_scope(False):
            return tf.convert_to_tensor(self.variable).numpy()

    def flips_of_channels(self) -> np.ndarray:
        """The share of each output channel that the epoch flipped."""
        flipped = self._signs().numpy() != self._before
        return flipped.reshape(-1, flipped.shape[-1]).mean(axis=0)

    def _signs(self):
        # As the layer reads them: a quantizer may have a threshold of its own, or 0 for -1.
        with larq.context.quantized_scope(True):
            return tf.convert_to_tensor(self.variable) > 0


def watched_kernels(model) -> list[WatchedKernel]:
    """The kernels of `model` whose weights read as two values."""
    layers = layers_with_kernels(model)
    found = []
    for layer, label in zip(layers, labels([layer.name for layer in layers]), strict=True):
        binary = {
            name: kernel for name, kernel in quantized_kernels(layer).items() if _is_binary(kernel)
        }
        for name, kernel in binary.items():
            found.append(WatchedKernel(label if len(binary) == 1 else f"{label}.{name}", kernel))
    return found


def _is_binary(kernel) -> bool:
    if kernel.precision is not None:
        return kernel.precision == 1
    return BinaryKernel.from_values(quantized_values(kernel)) is not None
