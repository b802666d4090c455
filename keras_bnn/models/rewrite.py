"""The same network with other layers in the place of its own."""

import itertools
from collections.abc import Callable

from keras_bnn._keras import keras
from keras_bnn.errors import InputError


def is_of_keras(layer) -> bool:
    """Whether the class of `layer` is one of Keras' own."""
    return type(layer).__module__.startswith("tf_keras.")


def rewritten(model, name: str, parts_of: Callable, purpose: str):
    """Makes a model in which each layer is replaced by one or several in a row.

    Args:
        model: A Sequential or functional model. It is left as it is.
        name: Of the new model.
        parts_of: From a layer to the list of new layers that take its place, the last under its
            name.
        purpose: What the new model is, for errors: "float_twin".

    Returns:
        A new model of the same class, freshly initialised and not compiled.

    Raises:
        InputError: If the model is subclassed.
    """
    # The class of functional models has no public name.
    is_known = isinstance(model, keras.Sequential) or type(model).__name__ == "Functional"
    if not (is_known and is_of_keras(model)):
        raise InputError(
            f"{model.name}: {purpose} takes Sequential and functional models, got the class "
            f"{type(model).__name__}, whose call it cannot rewrite. Build it by hand."
        )
    # First, since Keras cannot serialize every layer that is refused here.
    parts = [parts_of(layer) for layer in model.layers]
    _rename_new(parts, {layer.name for layer in model.layers})
    config = model.get_config()
    entries = _sequential if isinstance(model, keras.Sequential) else _functional
    result = type(model).from_config(
        {**config, "name": name, "layers": entries(parts, config)},
        # Keras itself does not find all of its layers by their names.
        custom_objects={type(part).__name__: type(part) for of_layer in parts for part in of_layer},
    )
    for ours, theirs in zip(_batch_norms(result), _batch_norms(model), strict=True):
        # Keras leaves these out of the configuration.
        ours.synchronized, ours.fused = theirs.synchronized, theirs.fused
    return result


def _batch_norms(model) -> list:
    layers = model._flatten_layers()
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def _rename_new(parts: list[list], taken: set[str]) -> None:
    """Numbers new layers that would have the name of another."""
    for *new, _ in parts:
        for part in new:
            names = itertools.chain([part.name], (f"{part.name}_{i}" for i in itertools.count(2)))
            part._name = next(name for name in names if name not in taken)
            taken.add(part.name)


def _sequential(parts: list[list], config: dict) -> list[dict]:
    # `model.layers` leaves out the input layer, the configuration has it.
    inputs = [entry for entry in config["layers"] if entry["class_name"] == "InputLayer"]
    return [*inputs, *(_serialized(part) for of_layer in parts for part in of_layer)]


def _functional(parts: list[list], config: dict) -> list[dict]:
    entries = []
    for of_layer, old in zip(parts, config["layers"], strict=True):
        # The first part takes the layer's inputs; each further one, call by call, the part before.
        inbound_nodes = old["inbound_nodes"]
        for part in of_layer:
            new = {"name": part.name, "inbound_nodes": inbound_nodes}
            entries.append({**_serialized(part), **new})
            inbound_nodes = [[[part.name, call, 0, {}]] for call in range(len(inbound_nodes))]
    return entries


def _serialized(layer) -> dict:
    return keras.layers.serialize(layer)  # pyright: ignore[reportReturnType]
