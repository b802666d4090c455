"""LCE's operators for tests: draws their arguments, writes them to files, runs and evaluates those.

The functions named after an operator take the arguments of their namesakes in
`keras_bnn.reference` and the result it gave, whose shape and dtype the file's output gets.
"""

from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from hypothesis import strategies as st

from keras_bnn import bits, reference

DTYPES = {
    schema.TensorType.FLOAT32: "float32",
    schema.TensorType.INT32: "int32",
    schema.TensorType.INT8: "int8",
    schema.TensorType.BOOL: "bool",
}
PADDINGS = ("same", "valid")
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")
# Where vectors break: powers of two, multiples of them, and one beside.
SIZES = sorted({n + d for n in (1, 8, 16, 32, 64, 128, 256) for d in (-1, 0, 1)} - {0})
DEPTHS = [*SIZES, 288, 511, 512, 991, 992, 993, 4608]
LCE_KERNELS = {
    "default": None,
    "indirect": "use_indirect_bgemm",
    "reference": "use_reference_bconv",
}


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of the file; a constant if it has `data`."""

    shape: tuple
    dtype: str = "int32"
    data: np.ndarray | None = None
    scale: float | None = None
    zero_point: int = 0

    @classmethod
    def of(cls, array, **quantization):
        return cls(array.shape, array.dtype.name, **quantization)

    @classmethod
    def constant(cls, values, dtype=np.int32):
        array = None if values is None else np.asarray(values, dtype)
        return None if array is None else cls(array.shape, array.dtype.name, array)


def quantize(values, result, *, scale=None, zero_point=0):
    source = Tensor.of(values, scale=scale, zero_point=zero_point)
    return write("LceQuantize", [source], Tensor.of(result))


def dequantize(words, result, *, scale=None, zero_point=0):
    target = Tensor.of(result, scale=scale, zero_point=zero_point)
    return write("LceDequantize", [Tensor.of(words)], target)


def bmaxpool2d(words, result, *, pool_size, strides, padding="valid"):
    options = {
        "filter_height": pool_size[0],
        "filter_width": pool_size[1],
        "padding": PADDINGS.index(padding),
        "stride_height": strides[0],
        "stride_width": strides[1],
    }
    return write("LceBMaxPool2d", [Tensor.of(words)], Tensor.of(result), options)


def bconv2d(
    words,
    filters,
    result,
    *,
    channels_in,
    multiplier=None,
    bias=None,
    threshold=None,
    strides=(1, 1),
    dilations=(1, 1),
    padding="valid",
    pad_values=1,
    activation="NONE",
    scale=None,
    zero_point=0,
):
    constants = [Tensor.constant(filters), Tensor.constant(multiplier, np.float32)]
    constants += [Tensor.constant(bias, np.float32), Tensor.constant(threshold)]
    options = {
        "channels_in": channels_in,
        "dilation_height_factor": dilations[0],
        "dilation_width_factor": dilations[1],
        "fused_activation_function": ACTIVATIONS.index(activation),
        "pad_values": pad_values,
        "padding": PADDINGS.index(padding),
        "stride_height": strides[0],
        "stride_width": strides[1],
    }
    target = Tensor.of(result, scale=scale, zero_point=zero_point)
    return write("LceBconv2d", [Tensor.of(words), *constants], target, options)


def write(code, inputs, output, options=None):
    """Returns the bytes of a file with the custom operator `code`; an input of None is absent."""
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    operator_code = schema.OperatorCodeT()
    operator_code.builtinCode = schema.BuiltinOperator.CUSTOM
    operator_code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    operator_code.customCode = code
    model.operatorCodes = [operator_code]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(t, model.buffers) for t in [*inputs, output] if t is not None]
    positions = iter(range(len(graph.tensors)))
    operator = schema.OperatorT()
    operator.inputs = [-1 if tensor is None else next(positions) for tensor in inputs]
    operator.outputs = [next(positions)]
    operator.customOptions = list(_flexbuffer(options)) if options else []
    graph.operators = [operator]
    graph.inputs, graph.outputs = [0], operator.outputs
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(tensor, buffers):
    result = schema.TensorT()
    result.name = f"tensor_{len(buffers)}"
    result.shape = list(tensor.shape)
    result.type = next(number for number, name in DTYPES.items() if name == tensor.dtype)
    if tensor.scale is not None:
        result.quantization = schema.QuantizationParametersT()
        result.quantization.scale = [tensor.scale]
        result.quantization.zeroPoint = [tensor.zero_point]
    result.buffer = 0
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(tensor.data.tobytes(), np.uint8)
        result.buffer = len(buffers)
        buffers.append(buffer)
    return result


def _flexbuffer(options):
    builder = flexbuffers.Builder()
    with builder.Map():
        for key in sorted(options):
            builder.Key(key)
            builder.Int(options[key])
    return builder.Finish()


def run_on_lce(data, *inputs, kernel="default"):
    """Returns the first output of LCE's interpreter with one of `LCE_KERNELS`."""
    from larq_compute_engine.tflite.python.interpreter import Interpreter

    flags = {LCE_KERNELS[kernel]: True} if LCE_KERNELS[kernel] else {}
    # The wrapper's own predict takes one image at a time out of a batch.
    return Interpreter(data, **flags).interpreter.predict(list(inputs))[0]


class File:
    """A file of LCE operators only, whoever wrote it, as `reference` reads it."""

    def __init__(self, data):
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
        self.graph = self.model.subgraphs[0]

    @property
    def operators(self):
        """Yields (code, operator, options)."""
        for operator in self.graph.operators:
            code = self.model.operatorCodes[operator.opcodeIndex].customCode
            options = bytes(operator.customOptions if operator.customOptions is not None else ())
            yield (code or b"").decode(), operator, flexbuffers.Loads(options) if options else {}

    def constant(self, index):
        """Returns the data of a tensor, or None if it is absent or computed."""
        tensor = self.graph.tensors[index]
        data = None if index < 0 else self.model.buffers[tensor.buffer].data
        return None if data is None else data.view(DTYPES[tensor.type]).reshape(tensor.shape)

    def evaluate(self, *inputs):
        """Returns the first output, computed operator by operator with `reference`."""
        values = dict(zip(self.graph.inputs, inputs, strict=True))
        for code, operator, options in self.operators:
            first, *constants = operator.inputs
            source, target = (self.graph.tensors[i] for i in (first, operator.outputs[0]))
            arguments = values[first], [self.constant(index) for index in constants], options
            values[operator.outputs[0]] = _evaluate(code, *arguments, source, target)
        return values[self.graph.outputs[0]]


def _evaluate(code, values, parameters, options, source, target):
    if code == "LceQuantize":
        return reference.quantize(values, _quantization(source)[1])
    if code == "LceDequantize":
        scale, zero_point = _quantization(target)
        dtype = DTYPES[target.type]
        return reference.dequantize(values, target.shape[-1], dtype, scale or 1, zero_point)
    assert code in ("LceBMaxPool2d", "LceBconv2d"), f"{code or 'a builtin'} has no reference"
    strides = options["stride_height"], options["stride_width"]
    padding = PADDINGS[options["padding"]]
    if code == "LceBMaxPool2d":
        size = options["filter_height"], options["filter_width"]
        return reference.bmaxpool2d(values, size, strides, padding)
    filters, multiplier, bias, threshold = parameters
    scale, zero_point = _quantization(target)
    return reference.bconv2d(
        values,
        filters,
        channels_in=options["channels_in"],
        multiplier=multiplier,
        bias=bias,
        threshold=threshold,
        strides=strides,
        dilations=(options["dilation_height_factor"], options["dilation_width_factor"]),
        padding=padding,
        pad_values=options["pad_values"],
        activation=ACTIVATIONS[options["fused_activation_function"]],
        scale=scale,
        zero_point=zero_point,
    )


def _quantization(tensor):
    found = tensor.quantization
    if found is None or found.scale is None or not len(found.scale):
        return None, 0
    return float(found.scale[0]), int(found.zeroPoint[0])


depths = st.integers(1, 200) | st.sampled_from([288, 513, 1024])
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
scales = st.sampled_from([0.5, 1.0]) | st.floats(2**-8, 4, width=32)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def geometries(draw, depth=depths, most=20):
    """Draws ±1 images and kernels, and the options of `dot_products` that fit them."""
    rng = np.random.default_rng(draw(seeds))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = draw(depth) if groups == 1 else 32 * draw(st.integers(1, 3))
    size, dilations = draw(pairs), draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    options = {
        "strides": draw(pairs),
        "dilations": dilations,
        "padding": draw(st.sampled_from(PADDINGS)),
        "pad_values": draw(st.integers(0, 1)),
    }
    extent = [(taps - 1) * step + 1 for taps, step in zip(size, dilations, strict=True)]
    least = extent if options["padding"] == "valid" else (1, 1)
    height, width = (draw(st.integers(smallest, smallest + 5)) for smallest in least)
    images = (draw(st.integers(1, 2)), height, width, groups * channels)
    kernels = (groups * draw(st.integers(1, most)), *size, channels)
    return *(rng.choice(np.float32([-1, 1]), shape) for shape in (images, kernels)), options


@st.composite
def convolutions(draw):
    """Draws the arguments of `bconv2d`, half of its constants so that outputs fall on ties."""
    image, kernel, options = draw(geometries())
    rng = np.random.default_rng(draw(seeds))
    count, k = len(kernel), kernel[0].size
    constants = {
        "multiplier": np.where(rng.random(count) < 0.5, rng.normal(size=count), 0.5),
        "bias": np.where(rng.random(count) < 0.5, 8 * rng.normal(size=count), rng.integers(-9, 9)),
    }
    constants = {name: values.astype(np.float32) for name, values in constants.items()}
    constants["multiplier"][rng.random(count) < 0.1] = 0
    output = draw(st.sampled_from(["float32", "int8", "packed"]))
    if output == "packed":
        constants = {"threshold": rng.integers(-1, k + 1, count, np.int32)}
    if output == "int8":
        constants["scale"] = draw(scales)
        constants["zero_point"] = draw(st.integers(-128, 127))
    options |= {"channels_in": image.shape[-1], "activation": draw(st.sampled_from(ACTIVATIONS))}
    return bits.pack(image), bits.pack(kernel), {**options, **constants}


def exact_lce_kernels(words, filters, options):
    """Returns the kernels that must run this, and give the same; the others refuse or differ."""
    grouped = words.shape[-1] != filters.shape[-1]
    if options["padding"] == "valid" or options["pad_values"] == 1:
        return {"reference", "indirect"} | ({"default"} if not grouped else set())
    if "threshold" in options:
        return set()  # LCE's reference kernel accepts this and crashes.
    if options["activation"] != "NONE" or "scale" in options:
        return set() if options["channels_in"] % 2 else {"reference"}
    axes = zip(words.shape[1:3], filters.shape[1:3], options["dilations"], strict=True)
    if any((taps - 1) * step + 1 > size for size, taps, step in axes):
        return set()  # Wrong numbers: an output may lack taps on both sides of the image.
    return {"indirect"} if grouped else {"indirect", "default"}


def draw_convolution(rng, dtype):
    """Draws the arguments of `reference.bconv2d`, with ties among sums and thresholds."""
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    depth = int(rng.choice(DEPTHS[:-1])) if groups == 1 else 32 * int(rng.integers(1, 5))
    taps = [int(rng.integers(1, 4)) for _ in range(2)] if depth < 600 else [1, 2]
    dilations = tuple(int(rng.integers(1, 3)) for _ in range(2))
    padding, pad_values = [("valid", 1), ("same", 1), ("same", 0)][rng.integers(3)]
    extents = [(tap - 1) * step + 1 for tap, step in zip(taps, dilations, strict=True)]
    least = extents if padding == "valid" else (1, 1)
    image = [low + int(rng.integers(0, 8)) for low in least]
    outputs = groups * int(rng.choice(SIZES if groups == 1 else [1, 5, 31, 32, 33]))
    images = rng.choice(np.float32([-1, 1]), (int(rng.integers(1, 4)), *image, groups * depth))
    filters = rng.choice(np.float32([-1, 1]), (outputs, *taps, depth))
    k = filters[0].size
    options = {
        "channels_in": groups * depth,
        "strides": tuple(int(rng.integers(1, 4)) for _ in range(2)),
        "dilations": dilations,
        "padding": padding,
        "pad_values": pad_values,
        "activation": str(rng.choice(ACTIVATIONS)),
    }
    if dtype == "packed":
        threshold = rng.integers(-1, k + 1, outputs)
        threshold[rng.random(outputs) < 0.1] = rng.choice([-(2**31), 2**31 - 1])
        options["threshold"] = threshold.astype(np.int32)
    else:
        whole = rng.random(outputs) < 0.5
        multiplier = np.where(whole, 0.5, rng.normal(size=outputs))
        multiplier[rng.random(outputs) < 0.1] = 0
        options["multiplier"] = multiplier.astype(np.float32)
        bias = np.where(whole, rng.integers(-9, 9, outputs), 8 * rng.normal(size=outputs))
        options["bias"] = bias.astype(np.float32)
    if dtype == "int8":
        options["scale"] = float(np.float32(rng.choice([0.5, 1, rng.uniform(0.01, 4)])))
        options["zero_point"] = int(rng.integers(-128, 128))
    return bits.pack(images), bits.pack(filters), options


def draw_signs(rng, dtype):
    """Draws values, their words, and the quantization of int8 values."""
    channels = int(rng.choice(DEPTHS))
    shape = [int(size) for size in rng.integers(1, 4, rng.integers(1, 4))]
    values = rng.integers(-3, 3, (*shape, channels)).astype(dtype)
    options = {}
    if dtype == "int8":
        options = {
            "zero_point": int(rng.integers(-128, 128)),
            "scale": float(np.float32(rng.choice([1, 0.004, rng.uniform(0.01, 4)]))),
        }
        values = np.clip(values.astype(int) + options["zero_point"], -128, 127).astype(np.int8)
        values[rng.random(values.shape) < 0.1] = rng.choice([-128, 127])
    if dtype == "float32":
        special = np.float32([-0.0, 0, np.nan, 1e-40, np.inf, -np.inf, -1e-30])
        where = rng.random(values.shape) < 0.3
        values[where] = rng.choice(special, where.sum())
    return values, reference.quantize(values, options.get("zero_point", 0)), options


def draw_bmaxpool2d(rng):
    """Draws the arguments of `reference.bmaxpool2d`."""
    size, strides = (tuple(int(n) for n in rng.integers(1, 6, 2)) for _ in range(2))
    padding = PADDINGS[rng.integers(2)]
    least = size if padding == "valid" else (1, 1)
    image = [low + int(rng.integers(0, 8)) for low in least]
    shape = (int(rng.integers(1, 4)), *image, int(rng.integers(1, 4)))
    words = rng.integers(-(2**31), 2**31, shape, np.int32)
    return words, {"pool_size": size, "strides": strides, "padding": padding}
