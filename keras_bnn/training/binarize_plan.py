"""What of a float model becomes binary, and what has to change around it."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from keras_bnn._keras import keras
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense
from keras_bnn.models.rewrite import is_of_keras
from keras_bnn.models.wiring import Wiring
from keras_bnn.probe import NORMS, last_name

_layers = keras.layers

BINARY: dict[Any, Any] = {
    _layers.Conv1D: BinaryConv1D,
    _layers.Conv2D: BinaryConv2D,
    _layers.Dense: BinaryDense,
}
_ACTIVATIONS = (
    _layers.Activation,
    _layers.ELU,
    _layers.LeakyReLU,
    _layers.PReLU,
    _layers.ReLU,
    _layers.ThresholdedReLU,
)
# Layers that give values of both signs if they get such.
_POOLS = tuple(
    getattr(_layers, f"{kind}{rank}D")
    for kind in ("AveragePooling", "GlobalAveragePooling", "GlobalMaxPooling", "MaxPooling")
    for rank in (1, 2, 3)
)
_MOVES = (
    _layers.Cropping1D,
    _layers.Cropping2D,
    _layers.Flatten,
    _layers.GaussianDropout,
    _layers.GaussianNoise,
    _layers.Permute,
    _layers.RepeatVector,
    _layers.Reshape,
    _layers.UpSampling1D,
    _layers.UpSampling2D,
    _layers.ZeroPadding1D,
    _layers.ZeroPadding2D,
)
_MERGES = (
    _layers.Average,
    _layers.Concatenate,
    _layers.Maximum,
    _layers.Minimum,
    _layers.Subtract,
)
_GATES = ("sigmoid", "hard_sigmoid")
# LCE packs channels by so many.
_WORD = 32


@dataclass
class Plan:
    """What becomes of each layer that does not stay as it is.

    Attributes:
        wiring: Of the float model.
        real: From each layer with a kernel that stays real to the reason.
        binary: The other layers with a kernel.
        removed: From layers that go to the reason.
        linear: Layers whose own activation goes.
        norm_behind: Layers that get a batch norm behind them.
        norm_before: From binary layers that get one in front to what makes that necessary.
    """

    wiring: Wiring
    real: dict = field(default_factory=dict)
    binary: list = field(default_factory=list)
    removed: dict = field(default_factory=dict)
    linear: set = field(default_factory=set)
    norm_behind: set = field(default_factory=set)
    norm_before: dict = field(default_factory=dict)

    @classmethod
    def of(cls, wiring: Wiring, keep_real: Collection[str]) -> "Plan":
        plan = cls(wiring)
        gates = _gates(wiring)
        reasons = _reasons(wiring, keep_real, gates)
        for layer in with_kernels(wiring):
            if reason := reasons(layer):
                plan.real[layer] = reason
            else:
                plan.binary.append(layer)
        for layer in plan.binary:
            if not _is_normed(wiring, layer):
                plan.norm_behind.add(layer)
            plan._clear_way_to_sign(layer, gates)
        return plan

    def _clear_way_to_sign(self, binary, gates: set) -> None:
        """Finds what stands between the sign of `binary` and the norms behind which it has to be.

        A ReLU there would leave the sign +1 everywhere, and any other activation is replaced by it.
        """
        seen, waiting = set(), [(source, False) for source in self.wiring.sources[binary]]
        while waiting:
            layer, is_summed = waiting.pop()
            if (layer, is_summed) in seen or layer in gates or isinstance(layer, NORMS):
                continue
            seen.add((layer, is_summed))
            if is_plain(layer) and self._may_change(layer):
                if not is_linear(layer):
                    self.linear.add(layer)
                if not (layer in self.binary and _is_normed(self.wiring, layer)):
                    self.norm_behind.add(layer)
                continue
            if (
                isinstance(layer, _ACTIVATIONS)
                and self._may_change(layer)
                and not _is_softmax(layer)
            ):
                self.removed.setdefault(
                    layer, f"the sign of {self.wiring.paths[binary]} takes its place"
                )
            elif isinstance(layer, _layers.Dropout) and self._may_change(layer) and not is_summed:
                self.removed.setdefault(
                    layer,
                    f"what it sets to 0 would be +1 for the sign of {self.wiring.paths[binary]}",
                )
            elif not self._passes_signs(layer):
                self.norm_before.setdefault(binary, self.wiring.paths[layer])
                continue
            is_summed = is_summed or is_sum(self.wiring, layer)
            waiting += [(source, is_summed) for source in self.wiring.sources[layer]]

    def _may_change(self, layer) -> bool:
        """Whether the model itself does not return what `layer` gives."""
        return layer not in self.wiring.outputs

    def _passes_signs(self, layer) -> bool:
        if not self.wiring.sources[layer]:
            return False
        kinds = (*_POOLS, *_MOVES, *_MERGES, _layers.Dropout, _layers.InputLayer)
        return (
            isinstance(layer, kinds) or is_sum(self.wiring, layer) or is_product(self.wiring, layer)
        )


def with_kernels(wiring: Wiring) -> list:
    """The layers with a kernel, of whatever class, in the order of the model."""
    return [layer for layer in wiring.paths if has_kernel(layer)]


def has_kernel(layer) -> bool:
    return any(last_name(weight).endswith("kernel") for weight in layer.weights)


def is_plain(layer) -> bool:
    """Whether `layer` is a product with a kernel of Keras' and an activation, and no more."""
    return (
        is_of_keras(layer)
        and has_kernel(layer)
        and hasattr(layer, "activation")
        and not isinstance(layer, (_layers.RNN, _layers.Wrapper))
    )


def is_linear(layer) -> bool:
    return layer.activation in (None, keras.activations.linear)


def _is_softmax(layer) -> bool:
    return getattr(layer, "activation", None) is keras.activations.softmax


def is_sum(wiring: Wiring, layer) -> bool:
    """Whether `layer` adds what several others give, as a residual block does."""
    return _merges(wiring, layer, _layers.Add, "add")


def is_product(wiring: Wiring, layer) -> bool:
    return _merges(wiring, layer, _layers.Multiply, "mul")


def _merges(wiring: Wiring, layer, kind, operator: str) -> bool:
    if isinstance(layer, kind):
        return True
    # `x + y` of symbolic tensors.
    symbol = getattr(layer, "symbol", "") or ""
    return symbol == f"__operators__.{operator}" and len(wiring.sources[layer]) > 1


def _is_normed(wiring: Wiring, layer) -> bool:
    """Whether all that reads `layer` reads it through one norm, with a pool before it at most."""
    while len(wiring.readers[layer]) == 1 and layer not in wiring.outputs:
        (layer,) = wiring.readers[layer]
        if isinstance(layer, NORMS):
            return True
        if not isinstance(layer, (*_ACTIVATIONS, *_POOLS, *_MOVES, _layers.Dropout)):
            return False
    return False


def _reasons(wiring: Wiring, keep_real: Collection[str], gates: set):
    """A function from a layer with a kernel to the reason why it stays real, or `None`."""
    kernels = set(with_kernels(wiring))
    projections = _projections(wiring)

    def reason(layer) -> str | None:
        path = wiring.paths[layer]
        if any(path == name or path.startswith(f"{name}/") for name in keep_real):
            return "in keep_real"
        if not wiring.before(layer) & kernels:
            return "first layer"
        if not wiring.behind(layer) & kernels:
            return "last layer"
        if layer in wiring.outputs:
            return "its outputs are the model's"
        if layer in projections:
            return "projection of a shortcut"
        if layer in gates:
            return "part of a gate"
        return without_binary_form(layer)

    return reason


def without_binary_form(layer) -> str | None:
    """Why `layer` cannot be binary wherever it stands, or `None`."""
    if type(layer) not in BINARY:
        return f"{type(layer).__name__} has no 1-bit form"
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return "channels_first, which has no 1-bit form"
    groups = getattr(layer, "groups", 1)
    if groups > 1 and (channels := layer.input_shape[-1] // groups) % _WORD:
        return f"its groups have {channels} channels each, no multiple of {_WORD}"
    return None


def _gates(wiring: Wiring) -> set:
    """The layers of branches that only weigh another one, as squeeze-and-excitation does."""
    found = set()
    for layer in wiring.paths:
        if not is_product(wiring, layer):
            continue
        sources = wiring.sources[layer]
        for source in sources:
            others = [other for other in sources if other is not source]
            own = _up_to(wiring, source) - set().union(*(_up_to(wiring, x) for x in others))
            pools = any(type(part).__name__.startswith("Global") for part in own)
            if pools or getattr(getattr(source, "activation", None), "__name__", "") in _GATES:
                found |= own
    return found


def _projections(wiring: Wiring) -> set:
    """1×1 products that stand alone in a shortcut, around larger ones."""
    found = set()
    for layer in wiring.paths:
        if not is_sum(wiring, layer):
            continue
        for source in wiring.sources[layer]:
            branch, fork = _branch(wiring, source)
            kernels = [part for part in branch if has_kernel(part)]
            if len(kernels) != 1 or _taps(kernels[0]) != 1:
                continue
            others = [_up_to(wiring, x) for x in wiring.sources[layer] if x is not source]
            around = set().union(*others) - _up_to(wiring, fork)
            if any(fork in other for other in others) and sum(map(_taps, around)) > 1:
                found.add(kernels[0])
    return found


def _branch(wiring: Wiring, layer) -> tuple[list, Any]:
    """The layers from `layer` back to a fork, and the layer from which that leads on."""
    branch = []
    while len(wiring.readers[layer]) == 1 and len(wiring.sources[layer]) == 1:
        branch.append(layer)
        (layer,) = wiring.sources[layer]
    return branch, layer


def _up_to(wiring: Wiring, layer) -> set:
    return wiring.before(layer) | {layer}


def _taps(layer) -> int:
    return math.prod(getattr(layer, "kernel_size", (1,))) if has_kernel(layer) else 0
