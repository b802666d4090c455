"""Stage 3: a traced model to TFLite bytes through LCE, with the model's names and order."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from keras_bnn import _lce
from keras_bnn._keras import tf
from keras_bnn.errors import InputError
from keras_bnn.export.lowering import to_module
from keras_bnn.export.traced import TracedGraph
from keras_bnn.tflite import file
from keras_bnn.tflite.batches import open_batch

# The schema says that all its vectors may be missing; after `file.read` none of them is.
Model = Any


def convert(
    graph: TracedGraph, input_names: tuple[str, ...], output_names: tuple[str, ...]
) -> bytes:
    """Converts `graph` and restores the names and the batch that LCE's converter loses.

    Raises:
        InputError: If LCE's converter refuses the model.
    """
    module = to_module(graph)
    with tempfile.TemporaryDirectory() as folder:
        # TensorFlow cannot save the gradients of imported functions, and nobody needs them.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, folder, signatures=module.serve, options=options)
        with _errors_of_converter():
            data = _lce.convert_saved_model(folder)
    model = file.read(data)
    _name(model, input_names, output_names)
    open_batch(model)
    _open_ports(model, graph)
    return file.write(model)


@contextlib.contextmanager
def _errors_of_converter() -> Iterator[None]:
    """Keeps the converter's log for its error; it prints dozens of lines on success, too."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        saved = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield
        except Exception as error:
            log.seek(0)
            printed = log.read().decode(errors="replace")
            raise InputError(f"LCE cannot convert this model: {_reason(error, printed)}") from error
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _reason(error: Exception, printed: str) -> str:
    lines = [line for line in f"{error}\n{printed}".splitlines() if "error:" in line]
    if not lines:
        return str(error).strip().split("\n")[0]
    place, _, message = lines[0].partition("error:")
    # The first quoted words are the operation and its name in the model.
    quoted = place.split('"')[1::2][:2]
    return f"{' '.join(quoted).partition('@')[0]} {message.strip()}".strip()


def _name(model: Model, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    """Gives inputs and outputs the model's own names, in its order.

    The converter orders them by the names it was given, input_0000 and so on.
    """
    graph = model.subgraphs[0]
    signature = model.signatureDefs[0]
    for entries, names in ((signature.inputs, inputs), (signature.outputs, outputs)):
        entries.sort(key=lambda entry: entry.name)
        for entry, name in zip(entries, names, strict=True):
            entry.name = name.encode()
            graph.tensors[entry.tensorIndex].name = name.encode()
    graph.inputs = [entry.tensorIndex for entry in signature.inputs]
    graph.outputs = [entry.tensorIndex for entry in signature.outputs]


def _open_ports(model: Model, graph: TracedGraph) -> None:
    """Says at inputs and outputs that their batch is open, where the model's is.

    The converter says that it is 1.
    """
    subgraph = model.subgraphs[0]
    references = [*(f"{name}:0" for name in graph.inputs), *graph.outputs]
    for index, reference in zip([*subgraph.inputs, *subgraph.outputs], references, strict=True):
        shape = graph.spec(reference).shape
        if shape.rank and shape[0] is None:
            tensor = subgraph.tensors[index]
            tensor.shapeSignature = [-1 if n is None else n for n in shape]
