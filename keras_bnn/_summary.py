"""Bits, multiply-accumulates and bytes of a model, layer by layer."""

import math
from dataclasses import asdict, dataclass

from keras_bnn import bits
from keras_bnn._keras import keras, larq
from keras_bnn.probe import BinaryKernel, LayerUse, kernels, own_weights, probe, quantized_kernels
from keras_bnn.signature import signature_of
from keras_bnn.tables import aligned

_BATCH = 2
_LOCAL = (keras.layers.LocallyConnected1D, keras.layers.LocallyConnected2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_1BIT = (larq.layers.QuantConv1D, larq.layers.QuantConv2D, larq.layers.QuantDense)


@dataclass(frozen=True)
class LayerSummary:
    """One layer with a kernel.

    Attributes:
        name, kind: Its name (numbered where several layers share it) and its class.
        input_shape, output_shape: Of its first call, without the batch.
        weight_bits: Of its kernel: 1 where a channel has two values, 32 where it is real, else
            what its quantizer says.
        input_bits: 1 where only ±1 reaches its product, else 32.
        parameters: Its own weights, with bias, without those of layers inside of it.
        binary_macs, float_macs: Multiply-accumulates for one sample over all calls. They are
            binary where both sides are.
        kernel_bytes: Of its kernel in the exported file.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weight_bits: int
    input_bits: int
    parameters: int
    binary_macs: int
    float_macs: int
    kernel_bytes: int


@dataclass(frozen=True)
class Summary:
    """The layers with a kernel, in the order of their first calls, and totals."""

    name: str
    layers: list[LayerSummary]
    parameters: int
    float_kernel_bytes: int

    @property
    def binary_macs(self) -> int:
        return sum(layer.binary_macs for layer in self.layers)

    @property
    def float_macs(self) -> int:
        return sum(layer.float_macs for layer in self.layers)

    @property
    def kernel_bytes(self) -> int:
        return sum(layer.kernel_bytes for layer in self.layers)

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        totals = ("binary_macs", "float_macs", "kernel_bytes")
        return {**asdict(self), **{name: getattr(self, name) for name in totals}}

    def __str__(self) -> str:
        head = (
            "layer",
            "class",
            "input",
            "output",
            "bits (weights/inputs)",
            "parameters",
            "binary MACs",
            "float MACs",
            "kernel bytes",
        )
        rows = [
            (
                layer.name,
                layer.kind,
                "×".join(map(str, layer.input_shape)),
                "×".join(map(str, layer.output_shape)),
                f"{layer.weight_bits}/{layer.input_bits}",
                f"{layer.parameters:,}",
                f"{layer.binary_macs:,}",
                f"{layer.float_macs:,}",
                f"{layer.kernel_bytes:,}",
            )
            for layer in self.layers
        ]
        total = f"{self.binary_macs:,}", f"{self.float_macs:,}", f"{self.kernel_bytes:,}"
        rows.append(("all", "", "", "", "", f"{self.parameters:,}", *total))
        ratio = self.float_kernel_bytes / self.kernel_bytes if self.kernel_bytes else 1.0
        return (
            f"{aligned([head, *rows], right=range(4, len(head)))}\n\n"
            f"Kernels as float32: {self.float_kernel_bytes:,} bytes, {ratio:.1f} times as many."
        )


def summary(model) -> Summary:
    """Counts bits, multiply-accumulates (MACs) and bytes of a model.

    The model runs once on random inputs, so what counts as binary is what really reaches a
    product, whatever layer it comes from. MACs of a call are the kernel's weights times the
    positions of its output (of its input for transposed convolutions); an open height, width or
    length counts as 32. Bytes are those of the exported file: one bit a weight, in whole 32-bit
    words for each tap of a convolution's kernel, where the layer becomes 1-bit; float32 elsewhere,
    also for binary kernels with a real input. A 1-bit dense layer behind a Flatten is stored pixel
    by pixel, so it takes more bytes where the map's channels are no multiple of 32. Layers become
    1-bit if they are dense, 1-D or 2-D convolutions, with channels last and, where they have
    groups, a multiple of 32 channels in each. Recurrent layers are not listed.

    Args:
        model: A built Keras 2 model.

    Returns:
        A table with `print`; see `Summary`.

    Raises:
        InputError: If the model is not built.

    >>> model = tf.keras.Sequential([keras_bnn.layers.BinaryDense(4, input_shape=(33,))])
    >>> layer = summary(model).layers[0]
    >>> layer.weight_bits, layer.input_bits, layer.binary_macs, layer.kernel_bytes
    (1, 1, 132, 32)
    """
    batch = signature_of(model).specs[0].shape[0] or _BATCH
    cells = _in_recurrent_layers(model)
    uses = [use for use in probe(model, batch) if id(use.layer) not in cells]
    layers = [_layer(use, batch) for use in uses]
    weights = sum(math.prod(kernel.shape) for use in uses for kernel in kernels(use.layer).values())
    return Summary(model.name, layers, model.count_params(), 4 * weights)


def _in_recurrent_layers(model) -> set[int]:
    # Keras calls a cell once more than there are steps, or not at all.
    recurrent = [part for part in model.submodules if isinstance(part, keras.layers.RNN)]
    return {id(cell) for layer in recurrent for cell in layer.submodules}


def _layer(use: LayerUse, batch: int) -> LayerSummary:
    macs = {name: _macs(use, kernel) // batch for name, kernel in kernels(use.layer).items()}
    binary = _binary_kernel(use) if use.binary_input else None
    # What reaches the pointwise kernel of a separable layer is the depthwise product, so real.
    binary_macs = macs[binary] if binary else 0
    return LayerSummary(
        name=use.label,
        kind=type(use.layer).__name__,
        input_shape=use.input_shapes[0][1:],
        output_shape=use.output_shapes[0][1:],
        weight_bits=max(_weight_bits(use, name) for name in macs),
        input_bits=1 if use.binary_input else 32,
        parameters=sum(math.prod(weight.shape) for weight in own_weights(use.layer)),
        binary_macs=binary_macs,
        float_macs=sum(macs.values()) - binary_macs,
        kernel_bytes=_kernel_bytes(use, binary is not None),
    )


def _binary_kernel(use: LayerUse) -> str | None:
    """The name of the kernel that multiplies its input, if that one is binary."""
    name = next(iter(kernels(use.layer)))
    is_binary = name in quantized_kernels(use.layer) and BinaryKernel.of(use.layer) is not None
    return name if is_binary else None


def _weight_bits(use: LayerUse, name: str) -> int:
    if name == _binary_kernel(use):
        return 1
    variable = quantized_kernels(use.layer).get(name)
    # larq's NoOp only marks a kernel, which stays real.
    if variable is None or isinstance(variable.quantizer, larq.quantizers.NoOp):
        return 32
    return variable.precision or 32


def _macs(use: LayerUse, kernel) -> int:
    """Multiply-accumulates with `kernel` over all calls, for a whole batch."""
    layer = use.layer
    weights = math.prod(kernel.shape)
    if isinstance(layer, _LOCAL):
        # Every position has weights of its own.
        return weights * sum(shape[0] for shape in use.output_shapes)
    if isinstance(layer, keras.layers.EinsumDense):
        labels, outputs = layer.equation.partition(",")[2].split("->")
        summed = [n for label, n in zip(labels, kernel.shape, strict=True) if label not in outputs]
        return math.prod(summed) * sum(map(math.prod, use.output_shapes))
    shapes = use.input_shapes if isinstance(layer, _TRANSPOSED) else use.output_shapes
    axis = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
    return weights * sum(math.prod(shape) // shape[axis] for shape in shapes)


def _kernel_bytes(use: LayerUse, is_binary: bool) -> int:
    layer, shapes = use.layer, [kernel.shape for kernel in kernels(use.layer).values()]
    becomes_1bit = (
        is_binary
        and isinstance(layer, _1BIT)
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        # LCE's converter takes groups of whole words only.
        and (getattr(layer, "groups", 1) == 1 or shapes[0][-2] % 32 == 0)
    )
    if not becomes_1bit:
        return 4 * sum(map(math.prod, shapes))
    *taps, inputs, outputs = shapes[0]
    return 4 * math.prod(taps) * bits.words_for(inputs) * outputs
