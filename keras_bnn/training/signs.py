"""Where a network takes signs."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keras_bnn._keras import keras, larq
from keras_bnn.probe import is_quantized, own_weights

# Where the layers of keras_bnn, larq and Keras hold what takes a sign.
_ATTRIBUTES = ("input_quantizer", "activation", "quantizer")


@dataclass(frozen=True)
class Sign:
    """A place that may take a sign: the quantizer of a layer, or one that is a layer itself.

    Attributes:
        layer: The layer that has the quantizer.
        attribute: By what name; "call" for a quantizer that is a layer.
        quantizer: What is called with the values.
        axis: That of their channels.
    """

    layer: Any
    attribute: str
    quantizer: Callable
    axis: int


def possible_signs(model) -> list[Sign]:
    """All quantizers of `model` but those of kernels. Only a call shows which give ±1."""
    parts = [part for part in model.submodules if isinstance(part, keras.layers.Layer)]
    quantizers = {id(part) for part in parts if isinstance(part, larq.quantizers.Quantizer)}
    found, held = [], set()
    for layer in parts:
        held.update(id(each.quantizer) for each in own_weights(layer) if is_quantized(each))
        axis = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
        for name in _ATTRIBUTES:
            quantizer: Any = layer.__dict__.get(name)
            # Activations that are no quantizers take no signs.
            if id(quantizer) in quantizers or (callable(quantizer) and name != "activation"):
                held.add(id(quantizer))
                found.append(Sign(layer, name, quantizer, axis))
    bare = [part for part in parts if id(part) in quantizers - held]
    return [*found, *(Sign(quantizer, "call", quantizer.call, -1) for quantizer in bare)]


@contextlib.contextmanager
def replaced_quantizers(replacements: Mapping[Sign, Callable]) -> Iterator[None]:
    """Replaces quantizers in their layers while the block runs, unseen by Keras' tracking."""
    before = {sign: sign.layer.__dict__.get(sign.attribute) for sign in replacements}
    try:
        for sign, quantizer in replacements.items():
            sign.layer.__dict__[sign.attribute] = quantizer
        yield
    finally:
        for sign, quantizer in before.items():
            # What a class has, its objects need not hold.
            sign.layer.__dict__.pop(sign.attribute, None)
            if quantizer is not None:
                sign.layer.__dict__[sign.attribute] = quantizer
