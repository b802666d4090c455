"""A reading view of the operators and tensors of a .tflite model."""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_bnn.tflite._names import printable
from keras_bnn.tflite._verify import TFLiteFileError

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT, OperatorCodeT, OperatorT, TensorT

# An LCE operator has eight options at most; a damaged length must not make us read on and on.
_MOST_OPTIONS = 64

# Other packages teach NumPy more types (bfloat16), so asking NumPy would depend on the imports.
_NUMPY_TYPES = {np.dtype(code).name for code in np.typecodes["AllInteger"] + "?efdFD"}


@dataclass(frozen=True)
class Operator:
    """One operator of the graph.

    Attributes:
        index: Its position in the order of execution.
        name: "CONV_2D" and so on; a custom operator's own name, "LceBconv2d" for example.
        inputs: Tensor indices; -1 stands for an optional input that is left out.
        outputs: Tensor indices.
        options: A dictionary of integers for LCE operators, the schema's object for built-in
            operators (`Conv2DOptionsT`, or None), bytes for other custom operators.
    """

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True)
class Tensor:
    """One tensor of the graph.

    Attributes:
        index: Its number in the graph.
        name: Its name in the file, which need not be unique.
        shape: The shape in the file; a dimension unknown until run time counts as stored, mostly 1.
        shape_signature: The same with -1 for unknown dimensions, if the file says which are.
        type: The schema's name of the element type in lower case: "float32", "int4".
        dtype: The same as a NumPy type; None for types that NumPy lacks (strings, 4-bit integers).
        is_constant: Whether the file holds its data.
        bytes: The size of that data in the file.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    type: str
    dtype: np.dtype | None
    is_constant: bool
    bytes: int


@dataclass(frozen=True)
class Port:
    """An input or output of the model: the name that callers use, and its tensor's index."""

    name: str
    tensor: int


class Graph:
    """A graph of a model, as operators and tensors.

    Args:
        model: A `ModelT` from `keras_bnn.tflite.file.read`. It is not copied: after a change to it,
            make a new `Graph`.
        number: Which of its graphs; the first is the model, others are run by operators of it.

    Attributes:
        model: That model.
        subgraph: That graph, `model.subgraphs[number]`.
        operators: Every `Operator`, in the order of execution.
        inputs: A `Port` for each input in the order of the file, named by the first signature of
            this graph, or after the tensor where there is none.
        outputs: The same for the outputs.

    Raises:
        TFLiteFileError: If the options of an LCE operator cannot be decoded.

    >>> from keras_bnn.tflite.file import read
    >>> graph = Graph(read("model.tflite"))  # doctest: +SKIP
    >>> [operator.name for operator in graph.operators]  # doctest: +SKIP
    ['CONV_2D', 'LceQuantize', 'LceBconv2d']
    """

    def __init__(self, model: ModelT, number: int = 0):
        self.model = model
        self.subgraph = (model.subgraphs or [])[number]
        self._tensors = self.subgraph.tensors or []
        self._buffers = model.buffers or []
        codes = model.operatorCodes or []
        self.operators = [
            _operator(index, operator, codes[operator.opcodeIndex])
            for index, operator in enumerate(self.subgraph.operators or [])
        ]
        self._producers: dict[int, Operator] = {}
        self._consumers: dict[int, list[Operator]] = defaultdict(list)
        for operator in self.operators:
            for tensor in operator.outputs:
                self._producers.setdefault(tensor, operator)
            for tensor in dict.fromkeys(operator.inputs):
                self._consumers[tensor].append(operator)
        signature = next((s for s in model.signatureDefs or [] if s.subgraphIndex == number), None)
        self.inputs = self._ports(self.subgraph.inputs, signature and signature.inputs)
        self.outputs = self._ports(self.subgraph.outputs, signature and signature.outputs)

    def with_others(self) -> list[Graph]:
        """Returns the graphs of a model of whose first graph this is, itself first."""
        count = len(self.model.subgraphs or [])
        return [self, *(Graph(self.model, number) for number in range(1, count))]

    def tensor(self, index: int) -> Tensor:
        """Returns the tensor of that index.

        Raises:
            IndexError: If there is none; -1 too, the mark of an input that is left out.
        """
        tensor = self._raw(index)
        data = self._buffers[tensor.buffer].data
        size = 0 if data is None else len(data)
        shape = _ints(tensor.shape)
        signature = _ints(tensor.shapeSignature)
        return Tensor(
            index=index,
            name=_text(tensor.name),
            shape=shape,
            shape_signature=signature if len(signature) == len(shape) else shape,
            type=type_name(tensor.type),
            dtype=_types().get(tensor.type, ("", None))[1],
            is_constant=size > 0,
            bytes=size,
        )

    def tensors(self) -> list[Tensor]:
        """Returns every tensor, by index."""
        return [self.tensor(index) for index in range(len(self._tensors))]

    def open_batch(self, index: int) -> None:
        """Marks the first axis of a tensor of the model as unknown until run time."""
        self._raw(index).shapeSignature = [-1, *self.tensor(index).shape_signature[1:]]

    def rename(self, index: int, name: str) -> None:
        """Gives a tensor of the model another name."""
        self._raw(index).name = name.encode()

    def constant(self, index: int) -> np.ndarray | None:
        """Returns the data of a constant tensor in its shape, read-only.

        None if the tensor is no constant, is stored in a sparse form, or has a type that NumPy
        lacks.

        Raises:
            TFLiteFileError: If the shape does not fit the number of bytes in the file.
        """
        tensor = self.tensor(index)
        raw = self._raw(index)
        if not tensor.is_constant or tensor.dtype is None or raw.sparsity is not None:
            return None
        expected = math.prod(tensor.shape) * tensor.dtype.itemsize
        if expected != tensor.bytes:
            raise TFLiteFileError(
                f"tensor {index} ({tensor.name!r}) has {tensor.bytes} bytes, expected {expected} "
                f"for {tensor.type} of shape {list(tensor.shape)}: copy or export the file again"
            )
        data: Any = self._buffers[raw.buffer].data
        data = data if isinstance(data, np.ndarray) else bytes(data)
        array = np.frombuffer(data, tensor.dtype.newbyteorder("<")).reshape(tensor.shape)
        array.flags.writeable = False
        return array

    def is_sparse(self, index: int) -> bool:
        """Whether a constant is stored in a sparse form, in fewer bytes than its shape says."""
        return self._raw(index).sparsity is not None

    def scales(self, index: int) -> tuple[float, ...]:
        """Returns the scales by which a tensor is quantized: one, or one a channel, or none."""
        found = self._raw(index).quantization
        values = None if found is None else found.scale
        return () if values is None else tuple(float(value) for value in values)

    def zero_points(self, index: int) -> tuple[int, ...]:
        """Returns the integers that stand for 0 in a quantized tensor, as many as `scales`."""
        found = self._raw(index).quantization
        return () if found is None else _ints(found.zeroPoint)

    def producer(self, tensor: int) -> Operator | None:
        """Returns the operator that writes a tensor; None for inputs and constants."""
        return self._producers.get(tensor)

    def consumers(self, tensor: int) -> list[Operator]:
        """Returns the operators that read a tensor, each once, in the order of execution."""
        return list(self._consumers.get(tensor, ()))

    def _raw(self, index: int) -> TensorT:
        if index < 0:
            raise IndexError(f"expected the index of a tensor, got {index}")
        return self._tensors[index]

    def _ports(self, tensors, named) -> list[Port]:
        names = defaultdict(list)
        for entry in named or []:
            names[entry.tensorIndex].append(_text(entry.name))
        return [
            Port(names[i].pop(0) if names[i] else _text(self._raw(i).name), i)
            for i in _ints(tensors)
        ]


def type_name(number: int) -> str:
    """Returns the schema's name of an element type in lower case: 0 is "float32"."""
    return _types().get(number, (f"type {number}", None))[0]


def _operator(index: int, operator: OperatorT, code: OperatorCodeT) -> Operator:
    # Operators up to 127 are in the older, 8-bit field; the newer one is absent in old files.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = _operator_names().get(number, f"operator {number}")
    if name != "CUSTOM":
        options = operator.builtinOptions or operator.builtinOptions2
    else:
        name = _text(code.customCode) or "CUSTOM"
        data = b"" if operator.customOptions is None else bytes(operator.customOptions)
        options = _decode(data, index, name) if name.startswith("Lce") else data
    return Operator(index, name, _ints(operator.inputs), _ints(operator.outputs), options)


def _decode(data: bytes, index: int, name: str) -> dict[str, int]:
    """Returns a flexbuffer map of integers as a dictionary."""
    from flatbuffers import flexbuffers

    if not data:
        return {}
    try:
        options = flexbuffers.GetRoot(data).AsMap
        keys, values = options.Keys, options.Values
        if len(keys) != len(values) or len(keys) > _MOST_OPTIONS:
            raise ValueError(f"{len(keys)} names for {len(values)} values")
        pairs = [(keys[i].AsKey, values[i]) for i in range(len(keys))]
        if not all(value.IsInt or value.IsBool for _, value in pairs):
            raise ValueError("not all of them are integers")
        return {key: value.AsInt for key, value in pairs}
    # `flexbuffers` checks nothing itself, so any exception may come out of damaged options.
    except Exception as error:
        raise TFLiteFileError(
            f"the options of operator {index} ({printable(name)}) cannot be decoded, expected a "
            f"map of integers ({type(error).__name__}: {printable(str(error))}): export the file "
            "again with larq-compute-engine 0.16 or newer"
        ) from None


def _ints(values) -> tuple[int, ...]:
    return () if values is None else tuple(int(value) for value in values)


def _text(name: bytes | str | None) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name or ""


@functools.cache
def _operator_names() -> dict[int, str]:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    return {value: name for name, value in vars(BuiltinOperator).items() if name.isupper()}


@functools.cache
def _types() -> dict[int, tuple[str, np.dtype | None]]:
    from ai_edge_litert.schema_py_generated import TensorType

    result = {}
    for name, value in vars(TensorType).items():
        if name.isupper():
            name = name.lower()
            result[value] = (name, np.dtype(name) if name in _NUMPY_TYPES else None)
    return result
