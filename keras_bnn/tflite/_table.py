"""The text of a description: aligned tables that need no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_bnn.tables import aligned

if TYPE_CHECKING:
    from keras_bnn.tflite.description import Description
    from keras_bnn.tflite.layers import Layer

_LONGEST_NAME = 24
_RIGHT = ("MACs", "bytes", "share", "groups")
_BYTES = {
    "1-bit": "1-bit weights",
    "int8": "int8 constants",
    "float": "float constants",
    "other": "other constants",
    "structure": "structure",
}


def text(description: Description) -> str:
    """Returns the description as a few plain-text tables."""
    title = f"{_printable(description.path or '.tflite file')}, {description.file_bytes:,} bytes"
    ports = [
        (label, _short(port.name), port.dtype, _shape(port.shape))
        for label, found in (("input", description.inputs), ("output", description.outputs))
        for port in found
    ]
    parts = [title, aligned(ports)]
    if description.layers:
        parts.append(_layers(description.layers))
    parts.append(_shares("MACs", description.macs))
    sizes = {_BYTES[kind]: size for kind, size in description.bytes.items()}
    parts.append(_shares("bytes", sizes))
    operators = [(_short(name), f"{count:,}") for name, count in description.operators.items()]
    parts.append(aligned([("operator", "count"), *operators], right=(1,)))
    if description.graphs > 1:
        parts.append(f"Only the first of {description.graphs} graphs is listed.")
    return "\n\n".join(part for part in parts if part)


def _layers(layers: tuple[Layer, ...]) -> str:
    columns = {
        "layer": [_short(layer.name) for layer in layers],
        "operator": [layer.operator for layer in layers],
        "input": [_shape(layer.input_shape) for layer in layers],
        "filter": [_shape(layer.filter_shape) for layer in layers],
        "groups": [str(layer.groups) for layer in layers],
        "stride": [_shape(layer.stride or ()) for layer in layers],
        "dilation": [_shape(layer.dilation or ()) for layer in layers],
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


def _shares(title: str, amounts: dict[str, int]) -> str:
    total = sum(amounts.values())
    rows = [
        (name, f"{amount:,}", f"{100 * amount / max(total, 1):.1f} %")
        for name, amount in amounts.items()
    ]
    return aligned([(title, "", "share"), *rows], right=(1, 2))


def _shape(sizes: tuple[int, ...]) -> str:
    return "×".join(str(size) if size >= 0 else "?" for size in sizes) or "-"


def _short(name: str) -> str:
    name = _printable(name)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in name)
