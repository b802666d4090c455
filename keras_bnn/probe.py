"""What a model's layers really compute on: the values that reach them and the kernels they use.

A layer is 1-bit if ±1 reaches its multiplication and its kernel has two values per channel. Both
are looked at here rather than derived from its arguments: a sign may come from a layer before,
and a quantizer may be the user's own.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from keras_bnn._keras import keras, larq, tf
from keras_bnn.errors import InputError
from keras_bnn.signature import signature_of

NORMS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)
"""Layers that center and scale what they are given."""

_SEED = 0


@dataclass(frozen=True)
class BinaryKernel:
    """A kernel of two values per output channel: `signs` (±1) times `scale`.

    Attributes:
        signs: float32, ±1, of the kernel's shape (..., channels).
        scale: float32 of shape (channels,), >= 0, or `None` where all are 1.
    """

    signs: np.ndarray
    scale: np.ndarray | None

    @classmethod
    def of(cls, layer) -> "BinaryKernel | None":
        """The kernel of `layer`; `None` if it is real, or a channel has several magnitudes."""
        kernels = quantized_kernels(layer)
        if not kernels:
            return None
        # A separable layer multiplies its input with the depthwise kernel, which comes first.
        name, variable = next(iter(kernels.items()))
        values = quantized_values(variable)
        if name == "depthwise_kernel":
            values = values.reshape(*values.shape[:2], 1, -1)
        return cls.from_values(values)

    @classmethod
    def from_values(cls, values: np.ndarray) -> "BinaryKernel | None":
        """Splits quantized `values`; `None` if a channel has more than one magnitude."""
        rows = values.reshape(-1, values.shape[-1])
        scale = np.abs(rows[0])
        if not (np.abs(rows) == scale).all():
            return None
        signs = np.where(values >= 0, np.float32(1), np.float32(-1))
        return cls(signs, None if (scale == 1).all() else scale)


@dataclass
class LayerUse:
    """How one layer with weights was used in a forward pass.

    Attributes:
        layer: The Keras layer.
        label: Its name, numbered where several layers of the model share it.
        input_shapes, output_shapes: One shape (with the batch) for each call.
        input_values: The values that reached its multiplication, sorted; `None` if more than four.
        first_call: Its place in the order of the model's calls.
    """

    layer: keras.layers.Layer
    label: str
    input_shapes: list = field(default_factory=list)
    output_shapes: list = field(default_factory=list)
    input_values: tuple[float, ...] | None = ()
    first_call: int = -1

    def record(self, inputs, quantized, outputs) -> None:
        self.input_shapes.append(_shape(inputs))
        self.output_shapes.append(_shape(outputs))
        for tensor in tf.nest.flatten(quantized):
            self.input_values = few_values(np.asarray(tensor), self.input_values)

    @property
    def binary_input(self) -> bool:
        """Whether all values that reached its multiplication were ±1."""
        return is_plus_minus_one(self.input_values)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """The shape of its largest kernel."""
        return max((tuple(each.shape) for each in kernels(self.layer).values()), key=math.prod)

    @property
    def is_quantized(self) -> bool:
        """Whether its author quantized its input or its kernel."""
        return bool(quantized_kernels(self.layer)) or (
            getattr(self.layer, "input_quantizer", None) is not None
        )


def few_values(array: np.ndarray, known: tuple | None = ()) -> tuple[float, ...] | None:
    """The values in `array` and those `known`, sorted; `None` if there are more than four."""
    if known is None:
        return None
    values = array.ravel()
    # Almost all arrays show in a few thousand numbers that they have more.
    for part in (values[:4096], values):
        if len(np.unique(part)) > 4:
            return None
    both = np.union1d(values, np.array(known, values.dtype))
    return tuple(both.tolist()) if len(both) <= 4 else None


def is_plus_minus_one(values: tuple[float, ...] | None) -> bool:
    """Whether these values of `few_values` are -1, 1 or both."""
    return bool(values) and set(values) <= {-1.0, 1.0}


def last_name(weight) -> str:
    """What a layer calls its `weight`: "kernel" of "conv/kernel:0"."""
    return weight.name.split("/")[-1].split(":")[0]


def own_weights(layer) -> list:
    """The weights of `layer` that none of its inner layers holds."""
    inner = {id(weight) for part in _inner_layers(layer) for weight in part.weights}
    return [weight for weight in layer.weights if id(weight) not in inner]


def is_quantized(weight) -> bool:
    """Whether `weight` is a variable of larq's that has a quantizer."""
    return (
        isinstance(weight, larq.quantized_variable.QuantizedVariable)
        and weight.quantizer is not None
    )


def kernels(layer) -> dict:
    """The kernels that `layer` holds itself, by the last part of their names."""
    # A layer of any other kind may have "kernel" in its own name.
    named = {last_name(weight): weight for weight in own_weights(layer)}
    return {
        name: weight
        for name, weight in named.items()
        if name == "kernel" or name.endswith("_kernel")
    }


def quantized_kernels(layer) -> dict:
    """Those of its `kernels` that are quantized (larq allows several)."""
    return {name: weight for name, weight in kernels(layer).items() if is_quantized(weight)}


def quantized_values(variable) -> np.ndarray:
    """The values of a quantized variable as the forward pass reads them, in float32."""
    with larq.context.quantized_scope(True):
        return np.asarray(tf.convert_to_tensor(variable), np.float32)


def layers_with_kernels(model) -> list[keras.layers.Layer]:
    """The layers of `model` that hold a kernel themselves, each once."""
    return [
        layer
        for layer in model.submodules
        if isinstance(layer, keras.layers.Layer) and kernels(layer)
    ]


def _inner_layers(layer) -> list[keras.layers.Layer]:
    return [inner for inner in layer.submodules if isinstance(inner, keras.layers.Layer)]


def probe(model, batch: int = 2) -> list[LayerUse]:
    """Runs `model` once on standard normal inputs and reports each layer with a kernel.

    Open heights, widths and lengths are taken as 32.

    Raises:
        InputError: If the model is not built, a recurrent layer has a quantized kernel that is used
            where this cannot look, or a layer is channels_first and this machine has only a CPU.
    """
    signature = signature_of(model)
    layers = layers_with_kernels(model)
    uses = list(map(LayerUse, layers, labels([layer.name for layer in layers])))
    order = itertools.count()
    calls = {use.layer: _recording(use, order) for use in uses}
    inputs = [tf.constant(array) for array in signature.random_inputs(batch, _SEED)]
    with replaced_calls(calls), inner_functions_inlined(), _channels_first_explained(model):
        model(signature.pack(inputs), training=False)
    _refuse_bypassed_cells(model, [use.layer for use in uses if not use.input_shapes])
    used = [use for use in uses if use.input_shapes]
    return sorted(used, key=lambda use: use.first_call)


def _refuse_bypassed_cells(model, uncalled: list) -> None:
    """Raises where a recurrent layer multiplies with its cell's kernels without calling the cell.

    Keras' LSTM and GRU do, and then read the latent kernels.
    """
    bypassed = [layer for layer in uncalled if quantized_kernels(layer)]
    for recurrent in model.submodules:
        if not isinstance(recurrent, keras.layers.RNN):
            continue
        for cell in bypassed:
            if cell in recurrent.submodules:
                raise InputError(
                    f"{type(recurrent).__name__} {recurrent.name!r} computes past its cell "
                    f"{cell.name!r}, whose kernel is quantized, so that quantizer may have no "
                    "effect: use tf.keras.layers.RNN around the cell."
                )


def labels(names: list[str]) -> list[str]:
    """`names`, numbered where several are the same."""
    return [
        name if names.count(name) == 1 else f"{name} #{names[: i + 1].count(name)}"
        for i, name in enumerate(names)
    ]


def _shape(tensors) -> tuple:
    return tuple(tf.nest.flatten(tensors)[0].shape)


def _recording(use: LayerUse, order: Iterator[int]) -> Callable:
    original = use.layer.call
    quantizer = getattr(use.layer, "input_quantizer", None)

    def call(inputs, *args, **kwargs):
        if use.first_call < 0:
            use.first_call = next(order)
        outputs = original(inputs, *args, **kwargs)
        use.record(inputs, quantizer(inputs) if quantizer else inputs, outputs)
        return outputs

    return call


@contextlib.contextmanager
def inner_functions_inlined() -> Iterator[None]:
    """Lets a `tf.function` inside the model run as plain Python code of what calls it."""
    eagerly = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(eagerly)


@contextlib.contextmanager
def _channels_first_explained(model) -> Iterator[None]:
    """Says in one line what TensorFlow's kernels for CPUs refuse."""
    try:
        yield
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        for layer in model.submodules:
            if getattr(layer, "data_format", None) == "channels_first":
                raise InputError(
                    f"{layer.name} ({type(layer).__name__}) is channels_first, which TensorFlow "
                    "cannot compute on this machine. Build the model with "
                    "data_format='channels_last', or use a machine with a GPU."
                ) from error
        raise


@contextlib.contextmanager
def replaced_calls(calls: dict) -> Iterator[None]:
    """Replaces the `call` of layer objects (not of their classes) while the block runs."""
    # Some have one of the user's already.
    before = {layer: layer.__dict__.get("call") for layer in calls}
    try:
        for layer, call in calls.items():
            layer.__dict__["call"] = call
        yield
    finally:
        for layer, call in before.items():
            layer.__dict__.pop("call", None)
            if call is not None:
                layer.__dict__["call"] = call
