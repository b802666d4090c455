"""What reaches the signs of a network: measured in a forward pass."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.probe import inner_functions_inlined, labels
from keras_bnn.training.signs import Sign, possible_signs, replaced_quantizers


@dataclass
class SignInput:
    """The values in front of one sign, over all samples, positions and calls.

    Attributes:
        sign: Where it is taken.
        label: The name of its layer, numbered where several share it.
        lowest, highest: The extremes of each channel, of shape (channels,).
        blocked: The share of values for which the sign passes no gradient; in several calls, the
            largest.
        values: All of them, flat, one array a call, if they were to be kept.
    """

    sign: Sign
    label: str
    lowest: np.ndarray
    highest: np.ndarray
    blocked: float
    values: list[np.ndarray] = field(default_factory=list)

    @property
    def channels(self) -> int:
        """How many there are."""
        return len(self.lowest)

    @property
    def dead(self) -> np.ndarray:
        """Which channels have the same value on all samples and positions."""
        return self.lowest == self.highest

    @property
    def constant_sign(self) -> np.ndarray:
        """Which channels have the same sign on all samples and positions; dead ones have, too."""
        return (self.lowest >= 0) | (self.highest < 0)


def sign_inputs(model, inputs, keep_values: bool = False) -> list[SignInput]:
    """Runs `model` once, as in inference, and reports the values in front of each sign.

    A sign is a quantizer whose results are ±1 and whose inputs are not: that of the inputs of a
    layer, one that is a layer or an activation, and that of an `RSign`.
    """
    found: dict[tuple, SignInput] = {}
    recorders = {sign: _recorder(sign, found, keep_values) for sign in possible_signs(model)}
    with replaced_quantizers(recorders), inner_functions_inlined():
        model(inputs, training=False)
    measured = list(found.values())
    for each, label in zip(measured, labels([each.label for each in measured]), strict=True):
        each.label = label
    return measured


def _recorder(sign: Sign, found: dict[tuple, SignInput], keep_values: bool) -> Callable:
    """The quantizer of `sign`, with a record in `found` of what it is called with."""

    def call(values, *args, **kwargs):
        with tf.GradientTape() as tape:
            tape.watch(values)
            signs = sign.quantizer(values, *args, **kwargs)
        if _are_signs(signs) and not _are_signs(values):
            measured = _measured(sign, values, tape.gradient(signs, values))
            # A layer that is shared may be called with different channels.
            known = found.setdefault((sign, measured.channels), measured)
            known.lowest = np.minimum(known.lowest, measured.lowest)
            known.highest = np.maximum(known.highest, measured.highest)
            known.blocked = max(known.blocked, measured.blocked)
            if keep_values:
                known.values.append(values.numpy().ravel())
        return signs

    return call


def _measured(sign: Sign, values, gradient) -> SignInput:
    channels = sign.axis % values.shape.rank
    others = [axis for axis in range(values.shape.rank) if axis != channels]
    lowest, highest = tf.reduce_min(values, others).numpy(), tf.reduce_max(values, others).numpy()
    blocked = 1.0 if gradient is None else float(np.mean(gradient.numpy() == 0))
    return SignInput(sign, sign.layer.name, lowest, highest, blocked)


def _are_signs(values) -> bool:
    return bool(tf.reduce_all(tf.abs(values) == 1))
