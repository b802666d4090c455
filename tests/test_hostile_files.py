"""Files from strangers: what would end LiteRT, or fill the memory, is one line before it runs."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hand_made import FLOAT32, INT8, INT32, binary_layer, hand_made

from keras_bnn.errors import InputError
from keras_bnn.runtime import Interpreter
from keras_bnn.tflite import read, write

CORPUS = Path(__file__).parent / "fuzz" / "corpus" / "files"
ROW = (FLOAT32, (1, 8), None)
BYTES = (INT8, (1, 8), None)
WHOLE = np.zeros(8, np.int32)


@pytest.fixture(scope="module")
def fuzz():
    """The modules of the fuzzer, which is a script and no package."""
    sys.path.insert(0, str(CORPUS.parents[1]))
    try:
        import files
        import mutations
    finally:
        sys.path.pop(0)
    return files, mutations


def refusal(data, inputs=None):
    """The one line that refuses a file, or a batch for it."""
    with pytest.raises(InputError) as raised:
        Interpreter(data).predict(np.ones((1, 8), np.float32) if inputs is None else inputs)
    message = str(raised.value)
    assert message.isprintable(), f"more than one line: {message!r}"
    return message


def changed(name, change):
    """A file of the corpus after `change` has seen its first graph and its model."""
    model = read(CORPUS / f"{name}.tflite")
    change(model.subgraphs[0], model)
    return write(model)


@pytest.mark.parametrize(
    ("operator", "inputs", "outputs", "says"),
    [
        # Each of these ended the process in LiteRT.
        ("SPLIT", (0,), (1,), "SPLIT, has 1 inputs, expected 2"),
        ("STRIDED_SLICE", (0, 0, 0), (1,), "STRIDED_SLICE, has 3 inputs, expected 4"),
        ("BATCH_MATMUL", (0,), (1,), "BATCH_MATMUL, has 1 inputs, expected 2"),
        ("BATCH_MATMUL", (0, 0), (), "BATCH_MATMUL, has 0 outputs, expected 1"),
        ("DEPTHWISE_CONV_2D", (0, 0), (1,), "DEPTHWISE_CONV_2D, has 2 inputs, expected 3"),
        ("DEPTHWISE_CONV_2D", (0, 0, -1), (1,), "DEPTHWISE_CONV_2D, lacks input 2, which"),
        ("ASSIGN_VARIABLE", (0,), (), "ASSIGN_VARIABLE, has 1 inputs, expected 2"),
        ("ASSIGN_VARIABLE", (0, 0), (1,), "ASSIGN_VARIABLE, has 1 outputs, expected 0"),
        ("SIGN", (0,), (), "SIGN, has 0 outputs, expected 1"),
        ("READ_VARIABLE", (0,), (), "READ_VARIABLE, has 0 outputs, expected 1"),
        ("SLICE", (0, 0, 0), (), "SLICE, has 0 outputs, expected 1"),
        ("SLICE", (0, 0), (1,), "SLICE, has 2 inputs, expected 3"),
        ("ABS", (0,), (), "ABS, has 0 outputs, expected 1 or more"),
        ("CONV_2D", (0, -1, 0), (1,), "CONV_2D, lacks input 1, which it needs"),
        ("RELU", (0,), (-1,), "RELU, lacks output 0, which it needs"),
    ],
)
def test_tensors_that_an_operator_lacks(operator, inputs, outputs, says):
    data = hand_made([ROW, ROW], [(operator, inputs, outputs, None)])
    assert f"Operator 0, {says}" in refusal(data)


@pytest.mark.parametrize("operator", ["RELU", "RESHAPE", "SOFTMAX", "MAX_POOL_2D", "TANH"])
def test_floats_where_there_is_room_for_bytes(operator):
    data = hand_made([ROW, BYTES], [(operator, (0,), (1,), None)])
    says = f"{operator}, has int8 for its output, expected float32, as its input"
    assert says in refusal(data)


@pytest.mark.parametrize("types", [(BYTES, ROW), (ROW, BYTES), (BYTES, BYTES)])
def test_bytes_where_an_operator_takes_all_for_floats(types):
    data = hand_made(types, [("FAKE_QUANT", (0,), (1,), None)])
    assert "FAKE_QUANT, has int8, expected float32" in refusal(data)


def test_more_sizes_than_there_are_axes():
    """XNNPACK wrote them over its stack."""
    sizes = (INT32, (33,), np.ones(33, np.int32))
    data = hand_made([ROW, sizes, ROW], [("RESHAPE", (0, 1), (2,), None)])
    assert "RESHAPE, has 33 sizes for its output, expected 2" in refusal(data)


def test_outputs_of_types_that_hold_no_numbers():
    number = schema.TensorType.VARIANT
    operators = [("TANH", (0,), (1,), None), ("NEG", (0,), (2,), None)]
    data = hand_made([ROW, (number, (1, 8), None), ROW], operators)
    assert "TANH, has variant for its output" in refusal(data)


@pytest.mark.parametrize("kind", ["RESOURCE", "VARIANT"])
def test_models_that_return_no_numbers(kind):
    number = getattr(schema.TensorType, kind)
    data = hand_made([ROW, (number, (1, 8), None)], [])
    assert f"Tensor 1, which the model takes or returns, is of type {kind.lower()}" in refusal(data)


def test_tensors_without_a_shape():
    """The schema allows that; it broke what opens the batch."""

    def unshaped(graph, model):
        codes = [model.operatorCodes[operator.opcodeIndex] for operator in graph.operators]
        kinds = [code.builtinCode for code in codes]
        reshape = graph.operators[kinds.index(schema.BuiltinOperator.RESHAPE)]
        tensor = graph.tensors[reshape.outputs[0]]
        tensor.shape = tensor.shapeSignature = None

    assert refusal(changed("two_inputs", unshaped))


def test_outputs_that_nobody_writes():
    data = hand_made([ROW, ROW, ROW], [("RELU", (0,), (1,), None)], outputs=[2])
    assert "is written by no operator, expected one that is" in refusal(data)


@pytest.mark.parametrize(
    ("operator", "inputs", "outputs"),
    [("ASSIGN_VARIABLE", (2, 0), ()), ("READ_VARIABLE", (2,), (3,))],
)
def test_variables_that_nobody_made(operator, inputs, outputs):
    handle = (schema.TensorType.RESOURCE, (1,), None)
    operators = [("RELU", (0,), (1,), None), (operator, inputs, outputs, None)]
    data = hand_made([ROW, ROW, handle, ROW], operators, outputs=[1])
    assert "reads tensor 2, a resource that no operator writes" in refusal(data)


def test_constants_that_are_too_short():
    def cut(graph, model):
        kernel = graph.tensors[graph.operators[0].inputs[1]]
        model.buffers[kernel.buffer].data = model.buffers[kernel.buffer].data[:-1]

    says = "has 255 bytes, expected 256 for int32 of shape [8, 2, 2, 2]"
    assert says in refusal(changed("bconv2d_float32_padded_with_ones", cut))


@pytest.mark.parametrize(
    ("operators", "says"),
    [
        ([("RELU", (2,), (1,), None), ("RELU", (1,), (2,), None)], "reads tensor 2, which"),
        ([("RELU", (1,), (1,), None)], "reads tensor 1, which operator 0 writes"),
        ([("RELU", (0,), (1,), None)] * 2, "Operator 1, RELU, writes tensor 1, expected one"),
        ([("RELU", (0,), (0,), None)], "writes tensor 0, expected one that is no input"),
        ([("RELU", (0,), (3,), None)], "writes tensor 3, expected one that is no input, no const"),
    ],
)
def test_tensors_that_are_not_written_once_and_then_read(operators, says):
    constant = (FLOAT32, (1, 8), np.ones((1, 8), np.float32))
    assert says in refusal(hand_made([ROW, ROW, ROW, constant], operators, outputs=[1]))


@pytest.mark.parametrize(
    ("then", "otherwise", "says"),
    [
        (1, 0, "Graphs [0, 1] run each other in a circle"),
        (-1, 0, "Graph 0 runs graphs [-1, 0], expected some of 2"),
        (1, 9, "Graph 0 runs graphs [1, 9], expected some of 2"),
    ],
)
def test_graphs_that_run_each_other(then, otherwise, says):
    options = schema.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = then, otherwise
    data = hand_made([ROW, ROW], [("IF", (0, 0), (1,), options)], subgraphs=2)
    assert says in refusal(data)


def test_damage_in_graphs_that_others_run():
    options = schema.IfOptionsT()
    options.thenSubgraphIndex = options.elseSubgraphIndex = 1
    model = read(hand_made([ROW, ROW], [("IF", (0, 0), (1,), options)], subgraphs=2))
    model.operatorCodes.append(schema.OperatorCodeT(0, None, 1, schema.BuiltinOperator.SIGN))
    model.operatorCodes[1].deprecatedBuiltinCode = 127
    model.subgraphs[1].operators[0] = schema.OperatorT(1, [0], [])
    assert "SIGN, has 0 outputs, expected 1" in refusal(write(model))


def test_names_of_operators_are_printed_in_one_line():
    for name in ("Lce\n\x1b[2J", "SIGN\n"):
        for outputs in ((1,), ()):
            data = hand_made([ROW, ROW], [(name, (0,), outputs, None)], outputs=[0])
            assert name[:3] in refusal(data)
    model = read(hand_made([ROW, ROW], [("Lce\n", (0,), (1,), None)]))
    model.subgraphs[0].operators[0].customOptions = np.zeros(9, np.uint8)
    assert "the options of operator 0 (Lce�) cannot be decoded" in refusal(write(model))


def of_bytes(operator, inputs, *scales):
    """An operator of int8 tensors with these scales, the last that of its output."""
    model = read(hand_made([BYTES] * (inputs + 1), [(operator, range(inputs), (inputs,), None)]))
    model.subgraphs[0].inputs = list(range(inputs))
    for tensor, scale in zip(model.subgraphs[0].tensors, scales, strict=False):
        tensor.quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[0])
    return write(model)


@pytest.mark.parametrize("operator", ["ADD", "SUB", "LESS", "EQUAL", "SQUARED_DIFFERENCE"])
def test_bytes_without_scales(operator):
    """LiteRT aborted."""
    says = f"{operator}, needs a scale for tensor 0, which is int8"
    assert says in refusal(of_bytes(operator, 2))
    Interpreter(of_bytes(operator, 2, 0.5, 0.5, 0.5))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e-45, 1e38])
@pytest.mark.parametrize(("operator", "inputs"), [("ADD", 2), ("QUANTIZE", 1), ("LESS", 2)])
def test_scales_that_are_none(operator, inputs, scale):
    says = f"{operator}, has the scale {np.float32(scale):g} for tensor 0, expected a positive"
    assert says in refusal(of_bytes(operator, inputs, scale, 0.5, 0.5))


def test_scales_that_are_too_far_apart():
    for operator, fits, beyond in (
        ("ADD", 2.0**-18, 2.0**-20),
        ("SUB", 2.0**-18, 2.0**-20),
        ("SQUARED_DIFFERENCE", 2.0**-13, 2.0**-14),
    ):
        Interpreter(of_bytes(operator, 2, 0.5, 0.5, fits))
        assert "nearer to each other" in refusal(of_bytes(operator, 2, 0.5, 0.5, beyond))


def of_shape(*shape, dtype=INT8):
    return hand_made([(dtype, shape, None), (dtype, shape, None)], [("RELU", (0,), (1,), None)])


def test_memory_has_a_limit(monkeypatch):
    monkeypatch.setenv("KERAS_BNN_MEMORY_LIMIT", "2")
    Interpreter(of_shape(1, 2**21))
    assert refusal(of_shape(1, 2**21 + 1)) == (
        "Tensor 0 of shape [1, 2097153] needs 3 MiB, the limit is 2: use a smaller network, or set "
        "KERAS_BNN_MEMORY_LIMIT to more MiB if you trust the file."
    )
    assert "needs 8 MiB, the limit is 2" in refusal(of_shape(1, 2**21, dtype=INT32))


def test_memory_has_a_limit_of_4_gib_where_none_is_set(monkeypatch):
    monkeypatch.delenv("KERAS_BNN_MEMORY_LIMIT", raising=False)
    assert "needs 4,100 MiB, the limit is 4,096" in refusal(of_shape(1, 1025 << 20, dtype=FLOAT32))
    assert f"needs {-(-((2**31 - 1) ** 3) // 2**20):,} MiB" in refusal(of_shape(*[2**31 - 1] * 3))


def test_elements_are_counted_in_32_bits(monkeypatch):
    monkeypatch.setenv("KERAS_BNN_MEMORY_LIMIT", "8192")
    says = "has 2,147,483,648 elements, expected fewer than 2^31, which LiteRT can count"
    assert says in refusal(of_shape(2, 2**30))


def test_memory_counts_the_batch(monkeypatch):
    monkeypatch.setenv("KERAS_BNN_MEMORY_LIMIT", "1")
    path = CORPUS / "network.tflite"
    Interpreter(path).predict(np.zeros((8, 6, 6, 2), np.float32))
    message = refusal(path, np.zeros((1000, 6, 6, 2), np.float32))
    assert "with a batch of 1000 needs 5 MiB, the limit is 1: predict fewer samples" in message


@pytest.mark.parametrize(
    ("operator", "inputs", "constant"),
    [
        ("BROADCAST_TO", (0, 1), [999, 8, 999]),
        ("FILL", (1, 0), [999, 999]),
        ("PAD", (0, 1), [[0, 0], [2**20, 0]]),
        ("TILE", (0, 1), [1, 999999]),
        ("RESIZE_BILINEAR", (0, 1), [1024, 1024]),
    ],
)
def test_sizes_in_constants_count(monkeypatch, operator, inputs, constant):
    """LiteRT took its time over these, and all the memory there was."""
    monkeypatch.setenv("KERAS_BNN_MEMORY_LIMIT", "2")
    sizes = np.array(constant, np.int32)
    data = hand_made([ROW, (INT32, sizes.shape, sizes), ROW], [(operator, inputs, (2,), None)])
    assert f"The output of operator 0, {operator}, needs " in refusal(data)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "4 GiB", "²"])
def test_the_limit_is_a_positive_integer(monkeypatch, text):
    monkeypatch.setenv("KERAS_BNN_MEMORY_LIMIT", text)
    says = f"KERAS_BNN_MEMORY_LIMIT is {text!r}, expected a positive integer, a number of MiB."
    assert refusal(binary_layer()) == says


@pytest.mark.parametrize("text", ["1", "0004", "9" * 5000])
def test_limits_that_are_integers(monkeypatch, text):
    monkeypatch.setenv("KERAS_BNN_MEMORY_LIMIT", text)
    assert Interpreter(of_shape(1, 2**20)).input_names == ("t0",)


def test_every_file_of_the_corpus_runs(fuzz):
    files, _ = fuzz
    for path in sorted(CORPUS.glob("*.tflite")):
        assert files.run(path.read_bytes()) == "ran", path.name


def test_damage_is_the_same_for_the_same_seed(fuzz):
    _, mutations = fuzz
    corpus = [path.read_bytes() for path in sorted(CORPUS.glob("*.tflite"))]
    first, again = ([mutations.mutate(seed, corpus) for seed in range(50)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 40
