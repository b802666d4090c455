"""The parts of a description as text: aligned tables that need no terminal."""

from __future__ import annotations

from collections.abc import Iterable

from keras_bnn.tables import aligned
from keras_bnn.tflite._names import printable, shape_text, short
from keras_bnn.tflite.chains import Break
from keras_bnn.tflite.interface import Interface
from keras_bnn.tflite.layers import Layer
from keras_bnn.tflite.memory import Peak
from keras_bnn.tflite.metadata import Metadata

_RIGHT = ("MACs", "bytes", "share", "groups")
_BYTES = {
    "1-bit": "1-bit weights",
    "int8": "int8 constants",
    "float": "float constants",
    "other": "other constants",
    "metadata": "metadata",
    "structure": "structure",
}
# What a list of labels shows of itself.
_LABELS_SHOWN = 3


def ports(inputs: Iterable[Interface], outputs: Iterable[Interface]) -> str:
    """Inputs and outputs of a model."""
    return aligned(
        (label, short(port.name), port.dtype, shape_text(port.shape))
        for label, found in (("input", inputs), ("output", outputs))
        for port in found
    )


def operators(counts: dict[str, int]) -> str:
    """How often each operator occurs."""
    rows = [(short(name), f"{count:,}") for name, count in counts.items()]
    return aligned([("operator", "count"), *rows], right=(1,))


def about(metadata: Metadata) -> str:
    """What the file says of itself."""
    rows = [("description", metadata.description)] if metadata.description else []
    for name, labels in metadata.labels.items():
        shown = ", ".join(labels[:_LABELS_SHOWN]) + (", …" if len(labels) > _LABELS_SHOWN else "")
        found = f"{len(labels)}: {shown}" if labels else "missing from the file"
        rows.append((f"labels of {short(name)}", found))
    for name, normalization in metadata.normalization.items():
        rows.append((f"preprocessing of {short(name)}", str(normalization)))
    for name, described in metadata.input_descriptions.items():
        rows.append((f"input {short(name)}", described))
    if metadata.versions:
        versions = (f"{package} {version}" for package, version in metadata.versions.items())
        rows.append(("written by", ", ".join(versions)))
    return aligned([(label, printable(value)) for label, value in rows])


def findings(peak: Peak, breaks: tuple[Break, ...], layers: tuple[Layer, ...]) -> str:
    """Memory at the peak, and what could be better."""
    where = f" at {printable(peak.operator)} {short(peak.layer or '')}" if peak.operator else ""
    parts = [f"activations at the peak: {peak.bytes:,} bytes{where}"]
    spare = [
        f"{short(layer.name)}: {-layer.filter_shape[2] % 32} more input channels, "
        f"{layer.spare_bytes:,} bytes"
        for layer in layers
        if layer.spare_bytes
    ]
    constant = [
        f"{short(layer.name)}: {len(layer.always_plus)} always +1, {len(layer.always_minus)} "
        f"always −1, of {layer.filter_shape[-1]}"
        for layer in layers
        if layer.always_plus or layer.always_minus
    ]
    for title, lines in (
        ("breaks in packed chains", list(dict.fromkeys(map(_line, breaks)))),
        ("channels whose sign never changes", constant),
        ("what would cost no bytes, since it fills words up to 32 channels", spare),
    ):
        if lines:
            parts.append("\n".join([f"{title}:", *(f"  {line}" for line in lines)]))
    return "\n".join(parts)


def _line(found: object) -> str:
    return printable(str(found))


def layer_rows(layers: tuple[Layer, ...]) -> str:
    """The layers, one a row."""
    if not layers:
        return ""
    columns = {
        "layer": [short(layer.name) for layer in layers],
        "operator": [layer.operator for layer in layers],
        "input": [shape_text(layer.input_shape) for layer in layers],
        "filter": [shape_text(layer.filter_shape) for layer in layers],
        "groups": [str(layer.groups) for layer in layers],
        "stride": [shape_text(layer.stride or ()) for layer in layers],
        "dilation": [shape_text(layer.dilation or ()) for layer in layers],
        "padding": [layer.padding or "-" for layer in layers],
        "activation": [layer.activation for layer in layers],
        "output": [layer.output for layer in layers],
        "MACs": [f"{layer.macs:,}" for layer in layers],
        "weights": [_weights(layer) for layer in layers],
        "bytes": [f"{layer.weight_bytes:,}" for layer in layers],
    }
    # Columns that say the usual of every layer only make the table wide.
    for name, usual in (("groups", {"1"}), ("dilation", {"1×1", "-"}), ("activation", {"none"})):
        if set(columns[name]) <= usual:
            del columns[name]
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    table = aligned(rows, right=[i for i, name in enumerate(columns) if name in _RIGHT])
    if any(layer.binary_weights and layer.weights != "1-bit" for layer in layers):
        table += (
            "\n± Each filter holds one value and its negative: binary, but not stored as 1 bit."
        )
    return table


def _weights(layer: Layer) -> str:
    wide = layer.binary_weights and layer.weights not in ("1-bit", "computed")
    return f"{layer.weights} ±" if wide else layer.weights


def sizes(amounts: dict[str, int]) -> str:
    """Bytes by what they hold."""
    return shares("bytes", {_BYTES[kind]: size for kind, size in amounts.items()})


def shares(title: str, amounts: dict[str, int]) -> str:
    """Amounts, and how much of their sum each is."""
    total = sum(amounts.values())
    rows = [
        (name, f"{amount:,}", f"{100 * amount / max(total, 1):.1f} %")
        for name, amount in amounts.items()
    ]
    return aligned([(title, "", "share"), *rows], right=(1, 2))
