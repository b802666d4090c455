"""Damages .tflite files, on every level, as a number says."""

import copy
import random
import struct

import numpy as np
from flatbuffers import flexbuffers

from keras_bnn.tflite import read, write

# Where sizes, indices and options break.
NUMBERS = [
    *(-(2**31), -(2**31) + 1, -65536, -129, -128, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 31),
    *(32, 33, 63, 64, 65, 100, 127, 128, 255, 256, 1000, 1024, 4097, 32767, 65535, 65536, 2**20),
    *(2**24, 2**28, 2**29 - 1, 2**29, 2**30, 2**31 - 2, 2**31 - 1),
]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e-38, 1e38, float("inf"), float("-inf"), float("nan")]
# What none of the mutations of a model may do: LiteRT's own schema names no more types than this.
MOST_TYPES = 24
MOST_OPERATORS = 210


def mutate(seed, corpus):
    """Returns one of the files of the corpus, damaged; the same for the same seed and corpus."""
    rng = random.Random(seed)
    data = rng.choice(corpus)
    if rng.random() < 0.25:
        return blind(rng, data, corpus)
    for _ in range(20):
        model = read(data)
        try:
            for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5])):
                rng.choice(MODEL_MUTATIONS)(rng, model)
            result = write(model)
        # What the schema cannot hold, or one mutation left for another that does not expect it.
        except Exception:
            continue
        return blind(rng, result, corpus) if rng.random() < 0.03 else result
    return blind(rng, data, corpus)


def blind(rng, data, corpus):
    """Damages bytes without knowing what they mean."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        rng.choice([_flip, _byte, _word, _word, _cut, _splice, _copy])(rng, data, corpus)
        if not data:
            break
    return bytes(data)


def _flip(rng, data, corpus):
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _byte(rng, data, corpus):
    data[rng.randrange(len(data))] = rng.choice([0, 1, 2, 4, 127, 128, 254, 255])


def _word(rng, data, corpus):
    place = 4 * rng.randrange(max(1, len(data) // 4))
    if place + 4 <= len(data):
        struct.pack_into("<i", data, place, rng.choice(NUMBERS))


def _cut(rng, data, corpus):
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)) :]


def _splice(rng, data, corpus):
    if rng.random() < 0.3:
        other = rng.choice(corpus)
        start = 4 * rng.randrange(len(other) // 4)
        place = 4 * rng.randrange(max(1, len(data) // 4))
        piece = other[start : start + 4 * rng.randrange(1, 64)]
        data[place : place + len(piece)] = piece


def _copy(rng, data, corpus):
    start, place = (4 * rng.randrange(max(1, len(data) // 4)) for _ in range(2))
    piece = data[start : start + 4 * rng.randrange(1, 16)]
    data[place : place + len(piece)] = piece


def _graph(model):
    return model.subgraphs[0]


def _pick(rng, things):
    return rng.choice(things) if things is not None and len(things) else None


def _number(rng, old):
    """A number in the place of another one: near to it, or one of those that break things."""
    if rng.random() < 0.3:
        return int(old) + rng.choice([-1, 1, 2, -2])
    if rng.random() < 0.5:
        return rng.choice(NUMBERS[5:26])
    return rng.choice(NUMBERS)


def _changed(rng, values, draw):
    """The same numbers with one changed, added or left out."""
    values = [] if values is None else [value.item() for value in np.asarray(values)]
    kind = rng.random()
    if kind < 0.15 or not values:
        return [*values, draw(rng, 1)]
    place = rng.randrange(len(values))
    if kind < 0.3:
        return values[:place] + values[place + 1 :]
    values[place] = draw(rng, values[place])
    return values


def tensor_type(rng, model):
    tensor = _pick(rng, _graph(model).tensors)
    tensor.type = rng.choice([0, 2, 9, 6, rng.randrange(MOST_TYPES)])


def shape(rng, model):
    tensor = _pick(rng, _graph(model).tensors)
    tensor.shape = _changed(rng, tensor.shape, _number)


def resized_constant(rng, model):
    """Another shape, with as many bytes as it needs."""
    tensor = _pick(rng, _graph(model).tensors)
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data):
        return
    tensor.shape = _changed(rng, tensor.shape, lambda rng, old: rng.choice([0, 1, 2, 3, 5, 33]))
    size = min(4096, 4 * int(np.prod(tensor.shape, dtype=float)))
    buffer = copy.copy(model.buffers[tensor.buffer])
    buffer.data = np.resize(np.asarray(data), size)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)


def shape_signature(rng, model):
    tensor = _pick(rng, _graph(model).tensors)
    start = tensor.shapeSignature if rng.random() < 0.5 else tensor.shape
    tensor.shapeSignature = _changed(
        rng, start, lambda rng, old: rng.choice([-1, _number(rng, old)])
    )


def buffer_index(rng, model):
    tensor = _pick(rng, _graph(model).tensors)
    tensor.buffer = rng.randrange(len(model.buffers) + (rng.random() < 0.05))


def buffer_size(rng, model):
    buffer = _pick(rng, model.buffers)
    data = np.asarray(buffer.data if buffer.data is not None else [], np.uint8)
    kind = rng.random()
    if kind < 0.4 and len(data):
        buffer.data = data[: rng.randrange(len(data))]
    elif kind < 0.7:
        buffer.data = np.resize(np.append(data, 0), len(data) + rng.choice([1, 4, 64])).astype("u1")
    else:
        buffer.data = None


def constant_values(rng, model):
    """Numbers in constants: shapes to reshape to, axes, paddings, thresholds, floats."""
    buffer = _pick(rng, [b for b in model.buffers if b.data is not None and len(b.data) >= 4])
    if buffer is None:
        return
    data = bytearray(np.asarray(buffer.data, np.uint8).tobytes())
    for _ in range(rng.choice([1, 1, 4])):
        place = 4 * rng.randrange(len(data) // 4)
        if rng.random() < 0.8:
            struct.pack_into("<i", data, place, rng.choice(NUMBERS))
        else:
            struct.pack_into("<f", data, place, rng.choice(FLOATS))
    buffer.data = np.frombuffer(bytes(data), np.uint8)


def operator_tensors(rng, model):
    operator = _pick(rng, _graph(model).operators)
    if operator is None:
        return
    field = rng.choice(["inputs", "inputs", "outputs", "intermediates"])
    count = len(_graph(model).tensors)

    def draw(rng, old):
        return rng.choice([-1, *(3 * [rng.randrange(count)])])

    setattr(operator, field, _changed(rng, getattr(operator, field), draw))


def ports(rng, model):
    graph, count = _graph(model), len(_graph(model).tensors)
    field = rng.choice(["inputs", "outputs"])
    values = _changed(rng, getattr(graph, field), lambda rng, old: rng.randrange(count))
    setattr(graph, field, values)
    if rng.random() < 0.5:
        model.signatureDefs = None


def options(rng, model):
    """One key or value of the map of a 1-bit operator."""
    operators = [o for o in _graph(model).operators or [] if o.customOptions is not None]
    operator = _pick(rng, [o for o in operators if len(o.customOptions)])
    if operator is None:
        return
    data = bytes(bytearray(operator.customOptions))
    found = flexbuffers.Loads(data)
    if isinstance(found, dict) and found and rng.random() < 0.85:
        _change_map(rng, found)
        data = flexbuffers.Dumps(found)
    else:
        changed = bytearray(data)
        rng.choice([_flip, _byte, _cut])(rng, changed, [])
        data = bytes(changed)
    operator.customOptions = np.frombuffer(bytes(data), np.uint8)


def _change_map(rng, found):
    key = rng.choice(sorted(found))
    kind = rng.random()
    if kind < 0.8:
        found[key] = _number(rng, found[key])
    elif kind < 0.9:
        del found[key]
    else:
        found[key] = rng.choice([2**40, 1.5, "text", [1, 2], {"a": 1}, None, True])


def builtin_options(rng, model):
    """One field of the options of a builtin operator."""
    operators = [o for o in _graph(model).operators or [] if o.builtinOptions is not None]
    operator = _pick(rng, operators)
    if operator is None:
        return
    if rng.random() < 0.1:
        operator.builtinOptions, operator.builtinOptionsType = None, 0
        return
    fields = [name for name in vars(operator.builtinOptions) if name[0].islower()]
    if not fields:
        return
    name = rng.choice(sorted(fields))
    old = getattr(operator.builtinOptions, name)
    if isinstance(old, (bool, int)):
        setattr(operator.builtinOptions, name, _number(rng, old))
    elif isinstance(old, float):
        setattr(operator.builtinOptions, name, rng.choice(FLOATS))
    else:
        setattr(operator.builtinOptions, name, _changed(rng, old, _number))


def quantization(rng, model):
    from ai_edge_litert.schema_py_generated import QuantizationParametersT

    tensor = _pick(rng, _graph(model).tensors)
    if rng.random() < 0.1:
        tensor.quantization = None
        return
    if tensor.quantization is None:
        tensor.quantization = QuantizationParametersT(scale=[1.0], zeroPoint=[0])
    kind = rng.random()
    if kind < 0.4:
        draw = lambda rng, old: rng.choice(FLOATS)  # noqa: E731
        tensor.quantization.scale = _changed(rng, tensor.quantization.scale, draw)
    elif kind < 0.8:
        draw = lambda rng, old: rng.choice([*NUMBERS, 2**40, -(2**63)])  # noqa: E731
        tensor.quantization.zeroPoint = _changed(rng, tensor.quantization.zeroPoint, draw)
    else:
        tensor.quantization.quantizedDimension = rng.choice(NUMBERS)


def operator_order(rng, model):
    operators = _graph(model).operators
    kind = rng.random()
    if not operators:
        return
    place = rng.randrange(len(operators))
    if kind < 0.4:
        rng.shuffle(operators)
    elif kind < 0.7:
        del operators[place]
    else:
        operators.insert(place, copy.copy(rng.choice(operators)))


def opcode(rng, model):
    code = _pick(rng, model.operatorCodes)
    kind = rng.random()
    if kind < 0.3:
        operator = _pick(rng, _graph(model).operators)
        if operator is not None:
            operator.opcodeIndex = rng.randrange(len(model.operatorCodes))
    elif kind < 0.7:
        number = rng.randrange(MOST_OPERATORS)
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    elif kind < 0.85:
        code.version = rng.choice(NUMBERS)
    else:
        code.deprecatedBuiltinCode = rng.randrange(-128, 128)


def custom_code(rng, model):
    code = _pick(rng, model.operatorCodes)
    name = rng.choice(["LceQuantize", "LceDequantize", "LceBconv2d", "LceBMaxPool2d", "", "Lce"])
    code.builtinCode = code.deprecatedBuiltinCode = 32
    code.customCode = name.encode() if rng.random() < 0.95 else b"\xff\x00\n" + name.encode()


def duplicate_tensor(rng, model):
    """A tensor twice, so that two tensors share a buffer, and one operator that takes the copy."""
    graph = _graph(model)
    graph.tensors.append(copy.copy(_pick(rng, graph.tensors)))
    operator = _pick(rng, graph.operators)
    if operator is not None and operator.inputs is not None and len(operator.inputs):
        operator.inputs = [int(index) for index in operator.inputs]
        operator.inputs[rng.randrange(len(operator.inputs))] = len(graph.tensors) - 1


def flags(rng, model):
    from ai_edge_litert import schema_py_generated as schema

    tensor = _pick(rng, _graph(model).tensors)
    kind = rng.random()
    if kind < 0.4:
        tensor.isVariable = True
    elif kind < 0.6:
        tensor.hasRank = not tensor.hasRank
    elif kind < 0.8:
        tensor.sparsity = _sparsity(rng, tensor, schema)
    else:
        tensor.name = rng.choice([b"", b"\xff\xfe", b"a\nb", b"n" * 1000, None])


def _sparsity(rng, tensor, schema):
    result = schema.SparsityParametersT()
    rank = 0 if tensor.shape is None else len(tensor.shape)
    result.traversalOrder = [rng.choice([axis, *NUMBERS[5:15]]) for axis in range(rank)]
    result.blockMap = [] if rng.random() < 0.5 else [rng.choice(NUMBERS[5:15])]
    result.dimMetadata = []
    for _ in range(rank + len(result.blockMap)):
        dimension = schema.DimensionMetadataT()
        dimension.format = rng.choice([0, 0, 1])
        dimension.denseSize = rng.choice(NUMBERS)
        result.dimMetadata.append(dimension)
    return result


def subgraphs(rng, model):
    if rng.random() < 0.7:
        model.subgraphs.append(copy.deepcopy(_graph(model)))
    else:
        model.subgraphs[0].operators = []


def signatures(rng, model):
    signature = _pick(rng, model.signatureDefs)
    if signature is None:
        return
    entry = _pick(rng, [*(signature.inputs or []), *(signature.outputs or [])])
    kind = rng.random()
    if kind < 0.4 and entry is not None:
        entry.tensorIndex = rng.randrange(len(_graph(model).tensors))
    elif kind < 0.7 and entry is not None:
        entry.name = rng.choice([b"", b"same", b"a\nb", b"\xff", None])
    else:
        signature.subgraphIndex = rng.choice([0, 1])


MODEL_MUTATIONS = (
    *(shape, shape, resized_constant, tensor_type, shape_signature, buffer_index, buffer_size),
    *(constant_values, constant_values, operator_tensors, operator_tensors, ports, options),
    *(options, builtin_options, builtin_options, quantization, operator_order, opcode),
    *(custom_code, duplicate_tensor, flags, subgraphs, signatures),
)
