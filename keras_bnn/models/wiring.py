"""Which layer of a model reads which, through the models inside of it."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from keras_bnn._keras import keras, tf


@dataclass
class Wiring:
    """The layers of a Sequential or functional model that hold no layers of a model themselves.

    Models inside are looked into; one that is called in several places reads what all of them give.

    Attributes:
        paths: From each layer, in an order in which it comes behind what it reads, to where it is:
            "layer", or "inner/layer" in a model inside.
        sources: From a layer to those that it reads.
        readers: From a layer to those that read it.
        calls: From a layer to how often the model that holds it calls it.
        outputs: The layers whose outputs the model returns.
    """

    paths: dict = field(default_factory=dict)
    sources: dict = field(default_factory=lambda: defaultdict(list))
    readers: dict = field(default_factory=lambda: defaultdict(list))
    calls: dict = field(default_factory=dict)
    outputs: list = field(default_factory=list)

    @classmethod
    def of(cls, model) -> "Wiring":
        wiring = cls()
        wiring.outputs = wiring._add(model, "", {})
        return wiring

    def before(self, layer) -> set:
        """All layers that `layer` depends on."""
        return _reached(self.sources, layer)

    def behind(self, layer) -> set:
        """All layers that depend on `layer`."""
        return _reached(self.readers, layer)

    def _add(self, model: Any, folder: str, fed: dict) -> list:
        """Adds what is in `model`, given what feeds its input layers; returns what ends it."""
        by_depth: Any = model._nodes_by_depth
        nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
        ends: dict[Any, list] = {}

        def origin(tensor):
            layer, call, index = tensor._keras_history
            return ends[layer, call][index]

        for node in nodes:
            layer: Any = node.layer
            sources = [origin(tensor) for tensor in node.keras_inputs] or fed.get(layer, [])
            path = f"{folder}{layer.name}"
            if isinstance(layer, keras.Model):
                tensors: Any = layer.inputs
                inputs = [tensor._keras_history.layer for tensor in tensors]
                inner = dict(zip(inputs, ([source] for source in sources), strict=True))
                found = self._add(layer, f"{path}/", inner)
            else:
                self._connect(layer, path, sources)
                self.calls[layer] = sum(other.layer is layer for other in nodes)
                found = [layer] * len(tf.nest.flatten(node.outputs))
            ends[layer, layer._inbound_nodes.index(node)] = found
        return [origin(tensor) for tensor in model.outputs]

    def _connect(self, layer, path: str, sources: list) -> None:
        self.paths.setdefault(layer, path)
        for source in sources:
            if source not in self.sources[layer]:
                self.sources[layer].append(source)
                self.readers[source].append(layer)


def _reached(neighbours: dict, start) -> set:
    found, waiting = set(), [start]
    while waiting:
        for layer in neighbours.get(waiting.pop(), []):
            if layer not in found:
                found.add(layer)
                waiting.append(layer)
    return found
