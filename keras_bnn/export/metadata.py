"""The arguments of `to_tflite` that say what a file is for, checked against the model."""

import importlib.metadata
from collections.abc import Sequence
from typing import Any

from keras_bnn.errors import InputError
from keras_bnn.export.traced import TracedGraph, split
from keras_bnn.tflite.metadata import Metadata, Normalization

# What computes or writes something that is in the file.
_PACKAGES = ("keras-bnn", "larq", "larq-compute-engine", "tensorflow", "tf-keras")


def metadata_for(
    graph: TracedGraph,
    input_names: Sequence[str],
    output_names: Sequence[str],
    labels,
    preprocessing,
    description: str | None,
) -> Metadata:
    """Puts the arguments of `to_tflite` to the inputs and outputs of the model they belong to.

    Raises:
        InputError: If one of them is of another kind, or does not fit the model.
    """
    if description is not None and (not isinstance(description, str) or not description.strip()):
        raise InputError(f"description is {description!r}, expected text.")
    inputs = {
        name: _channels(graph, reference)
        for name, reference in zip(input_names, graph.inputs, strict=True)
    }
    outputs = {
        name: _channels(graph, reference)
        for name, reference in zip(output_names, graph.outputs, strict=True)
    }
    given = _by_name("preprocessing", preprocessing, "input", inputs)
    for name, value in given.items():
        _check_preprocessing(name, value, inputs[name])
    return Metadata(
        description,
        {
            name: _checked_labels(name, value, outputs[name])
            for name, value in _by_name("labels", labels, "output", outputs).items()
        },
        {name: value for name, value in given.items() if isinstance(value, Normalization)},
        {name: value for name, value in given.items() if isinstance(value, str)},
        _versions(),
    )


def _channels(graph: TracedGraph, reference: str) -> int | None:
    """Length of the last axis; None if there is none, or the model leaves it open."""
    shape = graph.producer(reference).outputs[split(reference)[1]].shape
    return shape[-1] if shape.rank else None


def _by_name(argument: str, value: Any, port: str, names) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        if len(names) > 1:
            raise InputError(
                f"{argument} is given once for {len(names)} {port}s, expected a dict by name: "
                f"{list(names)}."
            )
        return dict.fromkeys(names, value)
    unknown = [name for name in value if name not in names]
    if unknown:
        raise InputError(f"{argument} names {unknown}, but the {port}s are {list(names)}.")
    # The order of the model, so that the file does not depend on the order of the argument.
    return {name: value[name] for name in names if name in value}


def _checked_labels(name: str, labels: Any, count: int | None) -> tuple[str, ...]:
    if isinstance(labels, str) or not isinstance(labels, Sequence):
        raise InputError(f"The labels of output {name!r} are {labels!r}, expected a list of text.")
    for label in labels:
        # Android's reader skips blank lines, and all that follows would move up.
        if not isinstance(label, str) or not label.strip() or "\n" in label or "\r" in label:
            raise InputError(
                f"A label of output {name!r} is {label!r}, expected one line of text, not blank."
            )
    if count is not None and len(labels) != count:
        raise InputError(
            f"Got {len(labels)} labels for output {name!r}, expected {count}, one an index of its "
            "last axis."
        )
    return tuple(labels)


def _check_preprocessing(name: str, value: Any, channels: int | None) -> None:
    if isinstance(value, str) and value.strip():
        return
    if not isinstance(value, Normalization):
        raise InputError(
            f"The preprocessing of input {name!r} is {value!r}, expected "
            "keras_bnn.tflite.Normalization(mean, std), or text."
        )
    count = len(value.mean)
    if channels is not None and count not in (1, channels):
        raise InputError(
            f"The preprocessing of input {name!r} is for {count} channels, expected {channels}."
        )


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        # Builds of TensorFlow go by other names, too: tensorflow-cpu.
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
