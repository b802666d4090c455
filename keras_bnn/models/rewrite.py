"""The same network with other layers in the place of its own."""

import itertools
from collections import defaultdict
from collections.abc import Callable

from keras_bnn._keras import keras
from keras_bnn.errors import InputError


def is_of_keras(layer) -> bool:
    """Whether the class of `layer` is one of Keras' own."""
    return type(layer).__module__.startswith("tf_keras.")


def refuse_shared(model, purpose: str) -> None:
    """Raises where models or wrappers share a layer, since each would get one of its own.

    Raises:
        InputError: If a layer is part of several of those in `model`, this included.
    """
    kinds = (keras.Model, keras.layers.Wrapper)
    holders = defaultdict(list)
    for holder in {id(part): part for part in (model, *model.submodules)}.values():
        if isinstance(holder, kinds):
            for layer in holder._flatten_layers(recursive=False, include_self=False):
                if layer.weights or not layer.built:
                    holders[layer].append(holder.name)
    for layer, names in holders.items():
        if len(names) > 1:
            raise InputError(
                f"{layer.name}: {purpose} cannot keep a layer shared that is part of "
                f"{' and of '.join(names)}. Make a model of it that both call, or build what "
                f"{purpose} would make by hand."
            )


def check_rewritable(model, purpose: str) -> None:
    """Raises where the layers of `model` are not all that it computes.

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


def rewritten(model, name: str, parts_of: Callable, purpose: str):
    """Makes a model in which each layer is replaced by none, one or several in a row.

    Args:
        model: A Sequential or functional model. It is left as it is.
        name: Of the new model.
        parts_of: From a layer to the list of new layers that take its place, one of them under its
            name; others get a number behind theirs if it is taken.
        purpose: What the new model is, for errors: "float_twin".

    Returns:
        A new model of the same class, freshly initialised and not compiled.

    Raises:
        InputError: If the model is subclassed.
    """
    check_rewritable(model, purpose)
    # First, since Keras cannot serialize every layer that is refused here.
    parts = [parts_of(layer) for layer in model.layers]
    _rename_new(parts, [layer.name for layer in model.layers])
    config = model.get_config()
    layers = _sequential if isinstance(model, keras.Sequential) else _functional
    result = type(model).from_config(
        {**config, "name": name, **layers(parts, config)},
        # Keras itself does not find all of its layers by their names.
        custom_objects={type(part).__name__: type(part) for of_layer in parts for part in of_layer},
    )
    theirs = by_path(model)
    for path, layer in by_path(result).items():
        for our, their in zip(batch_norms(layer), batch_norms(theirs.get(path)), strict=False):
            # Keras leaves these out of the configuration.
            our.synchronized, our.fused = their.synchronized, their.fused
    return result


def by_path(model, folder: str = "") -> dict:
    """The layers of `model` and of the models inside of it, as "layer" and "inner/layer"."""
    found = {}
    for layer in model.layers:
        path = f"{folder}{layer.name}"
        is_model = isinstance(layer, keras.Model)
        found.update(by_path(layer, f"{path}/") if is_model else {path: layer})
    return found


def batch_norms(layer) -> list:
    """The batch normalizations in `layer`, or that it is."""
    layers = layer._flatten_layers() if layer else []
    return [part for part in layers if isinstance(part, keras.layers.BatchNormalization)]


def _rename_new(parts: list[list], of_model: list[str]) -> None:
    """Numbers new layers that would have the name of another."""
    taken = set(of_model)
    for name, of_layer in zip(of_model, parts, strict=True):
        for part in of_layer:
            if part.name == name:
                continue
            names = itertools.chain([part.name], (f"{part.name}_{i}" for i in itertools.count(2)))
            part._name = next(name for name in names if name not in taken)
            taken.add(part.name)


def _sequential(parts: list[list], config: dict) -> dict:
    # `model.layers` leaves out the input layer, the configuration has it.
    inputs = [entry for entry in config["layers"] if entry["class_name"] == "InputLayer"]
    return {"layers": [*inputs, *(_serialized(part) for of_layer in parts for part in of_layer)]}


def _functional(parts: list[list], config: dict) -> dict:
    entries, instead = [], {}
    for of_layer, old in zip(parts, config["layers"], strict=True):
        for call, inbound in enumerate(old["inbound_nodes"]):
            if not of_layer:
                instead[old["name"], call] = inbound[0][:3]
            elif of_layer[-1].name != old["name"]:
                instead[old["name"], call] = [of_layer[-1].name, call, 0]
    for of_layer, old in zip(parts, config["layers"], strict=True):
        # The first part takes the layer's inputs; each further one, call by call, the part before.
        inbound_nodes = _redirected(old["inbound_nodes"], instead)
        for part in of_layer:
            new = {"name": part.name, "inbound_nodes": inbound_nodes}
            entries.append({**_serialized(part), **new})
            inbound_nodes = [[[part.name, call, 0, {}]] for call in range(len(inbound_nodes))]
    return {"layers": entries, "output_layers": _redirected(config["output_layers"], instead)}


def _redirected(nested, instead: dict):
    """A part of a configuration, with other tensors in the place of those that are gone.

    A tensor is written as [layer, call, index], with keyword arguments behind it in inbound nodes.
    """
    if isinstance(nested, dict):
        return {key: _redirected(value, instead) for key, value in nested.items()}
    if not isinstance(nested, (list, tuple)):
        return nested
    match nested:
        case [str() as name, int() as call, int(), *rest] if (name, call) in instead:
            # What stands in for it can be gone, too.
            return [*_redirected(instead[name, call], instead), *_redirected(rest, instead)]
    return [_redirected(part, instead) for part in nested]


def _serialized(layer) -> dict:
    return keras.layers.serialize(layer)  # pyright: ignore[reportReturnType]
