"""Which layers the values in front of a sign come from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_bnn._keras import keras, tf
from keras_bnn.probe import NORMS, inner_functions_inlined, kernels, replaced_calls
from keras_bnn.training.signs import Sign, possible_signs, replaced_quantizers

_RELUS = (keras.activations.relu, tf.nn.relu, tf.nn.relu6)


@dataclass(frozen=True)
class BeforeSign:
    """The layers on all ways to one sign, back to the first normalization or kernel of each.

    Attributes:
        kernels: Layers with a kernel, from which values come that nothing normalizes.
        norms: Normalizations.
        relus: Layers that cut off what is negative.
        has_inputs: Whether the model's own inputs come that way.
    """

    kernels: tuple[str, ...] = ()
    norms: tuple[str, ...] = ()
    relus: tuple[str, ...] = ()
    has_inputs: bool = False

    @property
    def is_normalized(self) -> bool:
        """Whether all values come from a normalization."""
        return not self.kernels and not self.has_inputs


def before_signs(model, inputs) -> dict[Sign, BeforeSign]:
    """Looks in the graph of `model`, of any kind, for what comes before each sign's first call."""
    reached: dict[Sign, Any] = {}
    made_by: dict[Any, Any] = {}
    layers = [
        part
        for part in model.submodules
        if isinstance(part, keras.layers.Layer)
        and (kernels(part) or isinstance(part, NORMS) or _is_relu(part))
    ]
    calls = {layer: _noting_outputs(layer, made_by) for layer in layers}
    quantizers = {sign: _noting_inputs(sign, reached) for sign in possible_signs(model)}

    @tf.function
    def traced(*leaves):
        return model(tf.nest.pack_sequence_as(inputs, leaves), training=False)

    with replaced_calls(calls), replaced_quantizers(quantizers), inner_functions_inlined():
        graph = traced.get_concrete_function(*tf.nest.flatten(inputs)).graph
    captured = {tensor.ref() for tensor in graph.internal_captures}
    given = {tensor.ref() for tensor in graph.inputs} - captured
    return {sign: _before(sign, values, made_by, given) for sign, values in reached.items()}


def _is_relu(layer) -> bool:
    return isinstance(layer, keras.layers.ReLU) or getattr(layer, "activation", None) in _RELUS


def _noting_outputs(layer, made_by: dict) -> Callable:
    original = layer.call

    def call(*args, **kwargs):
        outputs = original(*args, **kwargs)
        made_by.update({tensor.ref(): layer for tensor in tf.nest.flatten(outputs)})
        return outputs

    return call


def _noting_inputs(sign: Sign, reached: dict) -> Callable:
    def call(values, *args, **kwargs):
        reached.setdefault(sign, values)
        return sign.quantizer(values, *args, **kwargs)

    return call


def _before(sign: Sign, values, made_by: dict, given: set) -> BeforeSign:
    """Walks from `values` against the direction in which they are computed."""
    if sign.attribute == "activation" and kernels(sign.layer):
        return BeforeSign(kernels=(sign.layer.name,))
    kernels_, norms, relus, has_inputs = [], [], [], False
    seen, ahead = set(), [values]
    while ahead:
        tensor = ahead.pop(0)
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        has_inputs |= tensor.ref() in given
        layer = made_by.get(tensor.ref())
        if layer is not None and _is_relu(layer):
            relus.append(layer.name)
        if isinstance(layer, NORMS):
            norms.append(layer.name)
        elif layer is not None and kernels(layer):
            kernels_.append(layer.name)
        else:
            ahead.extend(tensor.op.inputs)
    return BeforeSign(tuple(kernels_), tuple(norms), tuple(relus), has_inputs)
