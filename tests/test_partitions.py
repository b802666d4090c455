"""Graphs of 1-bit operators in the delegate: what they share, other sizes, and damaged ones."""

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert
from hand_made import BINARY, FLOAT32, INT32, flexbuffer, hand_made
from native_kernels import AVAILABLE

from keras_bnn import bits, reference
from keras_bnn.runtime import native

POOL = {
    "filter_height": 1,
    "filter_width": 1,
    "padding": 0,
    "stride_height": 1,
    "stride_width": 1,
}
LARGE = (INT32, (1, 32, 32, 4), None)


@pytest.fixture(params=AVAILABLE)
def isa(request, monkeypatch):
    monkeypatch.setenv("KERAS_BNN_ISA", request.param)
    return request.param


class Delegated:
    """A file on LiteRT and the delegate, without the checks of `keras_bnn.runtime` before them."""

    def __init__(self, data, threads=1):
        self._interpreter = litert.Interpreter(
            model_content=data,
            num_threads=threads,
            experimental_delegates=[litert.load_delegate(str(native.library_path()))],
        )

    def __call__(self, x):
        (given,) = self._interpreter.get_input_details()
        self._interpreter.resize_tensor_input(given["index"], x.shape)
        self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(given["index"], x)
        self._interpreter.invoke()
        outputs = self._interpreter.get_output_details()
        return [self._interpreter.get_tensor(detail["index"]) for detail in outputs]


class RandomGraph:
    """Up to 12 operators, each of which reads any tensor before it: a file, and its meaning.

    Some of its floats go through RELU, which is LiteRT's and so parts what comes before and after.
    """

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.shape = (1, *(int(n) for n in self.rng.integers(3, 9, 2)), self.channels())
        self.tensors = [(FLOAT32, self.shape, None)]
        self.operators, self.steps = [], []
        # By tensor: what it is at the smallest input, and how many channels it has.
        self.values = {0: (self.images(self.shape), self.shape[-1])}
        self.add_quantize(0)
        for _ in range(self.rng.integers(2, 12)):
            self.add()
        read = {inputs[0] for _, inputs, _, _ in self.operators}
        self.outputs = [i for i in self.values if i and (i not in read or self.rng.random() < 0.2)]
        self.data = hand_made(self.tensors, self.operators, outputs=self.outputs)

    def images(self, shape):
        return self.rng.integers(-3, 4, shape).astype(np.float32)

    def channels(self):
        return int(self.rng.choice([1, 31, 32, 33, 40, 64, 70]))

    def __call__(self, x):
        values = {0: x}
        for source, target, function in self.steps:
            values[target] = function(values[source])
        return [values[index] for index in self.outputs]

    def add(self):
        source = int(self.rng.choice(list(self.values)))
        if self.tensors[source][0] == FLOAT32:
            add = self.rng.choice([self.add_relu, self.add_quantize, self.add_quantize])
        else:
            add = self.rng.choice([self.add_pool, self.add_dequantize, *[self.add_conv] * 4])
        add(source)

    def add_operator(self, code, source, channels, function, constants=(), options=None):
        result = function(self.values[source][0])
        target = len(self.tensors)
        kind = INT32 if result.dtype == np.int32 else FLOAT32
        self.tensors.append((kind, result.shape, None))
        self.values[target] = result, channels
        self.operators.append((code, (source, *constants), (target,), options))
        self.steps.append((source, target, function))

    def add_constant(self, array):
        self.tensors.append((INT32 if array.dtype == np.int32 else FLOAT32, array.shape, array))
        return len(self.tensors) - 1

    def add_relu(self, source):
        self.add_operator("RELU", source, self.values[source][1], lambda x: np.maximum(x, 0))

    def add_quantize(self, source):
        self.add_operator("LceQuantize", source, self.values[source][1], reference.quantize)

    def add_dequantize(self, source):
        channels = self.values[source][1]
        self.add_operator(
            "LceDequantize", source, channels, lambda words: reference.dequantize(words, channels)
        )

    def add_pool(self, source):
        size, strides = (tuple(int(n) for n in self.rng.integers(1, 4, 2)) for _ in range(2))
        names = ("filter_height", "filter_width", "stride_height", "stride_width")
        options = {**dict(zip(names, (*size, *strides), strict=True)), "padding": 0}
        self.add_operator(
            "LceBMaxPool2d",
            source,
            self.values[source][1],
            lambda words: reference.bmaxpool2d(words, size, strides, "same"),
            options=options,
        )

    def add_conv(self, source):
        channels, outputs = self.values[source][1], self.channels()
        size = [int(n) for n in self.rng.integers(1, 4, 2)]
        filters = bits.pack(self.rng.choice([-1.0, 1.0], (outputs, *size, channels)))
        strides = tuple(int(n) for n in self.rng.choice([1, 1, 1, 2], 2))
        pad_values = int(self.rng.integers(2))
        k = channels * size[0] * size[1]
        if self.rng.random() < 0.7:
            limits = self.rng.integers(k // 2 - 3, k // 2 + 4, outputs).astype(np.int32)
            constants, given = (-1, -1, self.add_constant(limits)), {"threshold": limits}
        else:
            scale, bias = self.rng.normal(size=(2, outputs)).astype(np.float32)
            constants = (self.add_constant(scale), self.add_constant(bias), -1)
            given = {"multiplier": scale, "bias": bias}
        constants = (self.add_constant(filters), *constants)

        def function(words):
            geometry = {"strides": strides, "padding": "same", "pad_values": pad_values}
            return reference.bconv2d(words, filters, channels_in=channels, **geometry, **given)

        options = {
            **BINARY,
            "channels_in": channels,
            "pad_values": pad_values,
            "stride_height": strides[0],
            "stride_width": strides[1],
        }
        self.add_operator("LceBconv2d", source, outputs, function, constants, options)


@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(60, 2000), marks=pytest.mark.slow)]
)
def test_random_graphs_at_sizes_up_and_down(isa, seeds):
    """Tensors share one buffer; a value that another overwrites too early shows in an output."""
    for seed in seeds:
        graph = RandomGraph(seed)
        run = Delegated(graph.data, threads=1 + seed % 3)
        _, height, width, channels = graph.shape
        larger = (3, height + 2, width + 5, channels)
        for shape in (graph.shape, larger, (2, height, width, channels), graph.shape):
            x = graph.images(shape)
            for index, got, expected in zip(graph.outputs, run(x), graph(x), strict=True):
                np.testing.assert_array_equal(got, expected, f"seed {seed}, {shape}, t{index}")


def test_after_a_size_that_does_not_fit_one_that_does_still_runs(isa):
    filters = bits.pack(np.random.default_rng(0).choice([-1.0, 1.0], (5, 3, 3, 40)))
    ones = np.ones(5, np.float32)
    tensors = [
        (INT32, (1, 5, 5, 2), None),
        (INT32, filters.shape, filters),
        (FLOAT32, (5,), ones),
        (FLOAT32, (1, 3, 3, 5), None),
    ]
    operator = ("LceBconv2d", (0, 1, 2, 2, -1), (3,), {**BINARY, "padding": 1})
    run, rng = Delegated(hand_made(tensors, [operator])), np.random.default_rng(1)
    for height, fits in ((5, True), (2, False), (4, True), (1, False), (9, True)):
        words = bits.pack(rng.choice([-1.0, 1.0], (2, height, 6, 40)))
        if fits:
            expected = reference.bconv2d(words, filters, channels_in=40, bias=ones)
            np.testing.assert_array_equal(run(words)[0], expected)
        else:
            with pytest.raises(
                RuntimeError, match=f"window of 3 rows, expected at most the {height}"
            ):
                run(words)
    with pytest.raises(RuntimeError, match=r"its input 't0' has 3 words, expected 2 for 40"):
        run(np.zeros((1, 5, 5, 3), np.int32))
    with pytest.raises(RuntimeError, match=r"its input 't0' has 3 axes, expected 4"):
        run(np.zeros((5, 5, 2), np.int32))


@pytest.mark.parametrize("outputs", [(2,), (1, 2)])
def test_a_tensor_that_two_operators_write_is_refused(outputs):
    """Its size would be that of the second, and the first would write past its end."""
    operators = [
        ("LceBMaxPool2d", (0,), (1,), POOL),
        ("LceBMaxPool2d", (0,), (1,), {**POOL, "stride_height": 32, "stride_width": 32}),
        ("LceBMaxPool2d", (1,), (2,), POOL),
    ]
    run = Delegated(hand_made([LARGE] * 3, operators, outputs=outputs))
    with pytest.raises(RuntimeError, match="its output 't1' is the output of operator 0, expected"):
        run(np.zeros(LARGE[1], np.int32))


def test_a_tensor_that_is_written_after_it_is_read_is_refused():
    tensors = [(FLOAT32, (1, 4, 4, 32), None)] * 2 + [(INT32, (1, 4, 4, 1), None)] * 2
    operators = [
        ("RELU", (0,), (1,), None),
        ("LceQuantize", (1,), (2,), None),
        ("LceDequantize", (2,), (1,), None),
        ("LceQuantize", (1,), (3,), None),
    ]
    with pytest.raises(RuntimeError, match="its output 't1' is the input of operator 1, expected"):
        Delegated(hand_made(tensors, operators))(np.zeros((1, 4, 4, 32), np.float32))


def test_operators_in_another_order_than_they_run_in():
    """LiteRT puts them in order; where it does not, the delegate refuses them."""
    tensors = [(FLOAT32, (1, 40), None), (INT32, (1, 2), None), (FLOAT32, (1, 40), None)]
    operators = [("LceDequantize", (1,), (2,), None), ("LceQuantize", (0,), (1,), None)]
    x = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    (got,) = Delegated(hand_made(tensors, operators))(x)
    np.testing.assert_array_equal(got, np.where(x < 0, -1, 1))


@pytest.mark.parametrize("first", [0, pytest.param(300, marks=pytest.mark.slow)])
def test_damaged_options_are_refused_or_run(first):
    """Bytes of the options change, those that say where others are among them."""
    tensors = [
        (INT32, (1, 4, 4, 2), None),
        (INT32, (3, 2, 2, 2), np.zeros((3, 2, 2, 2), np.int32)),
        (FLOAT32, (3,), np.ones(3, np.float32)),
        (FLOAT32, (1, 4, 4, 3), None),
    ]
    data = hand_made(tensors, [("LceBconv2d", (0, 1, 2, 2, -1), (3,), BINARY)])
    options = flexbuffer(BINARY)
    end, x = data.index(options) + len(options), np.zeros((1, 4, 4, 2), np.int32)
    count = 300 if first == 0 else 20_000
    errors = []
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        damaged = bytearray(data)
        # The last bytes lead to all others.
        most = len(options) if seed % 2 else 40
        for _ in range(rng.integers(1, 4)):
            damaged[end - int(rng.integers(1, most + 1))] = int(rng.integers(256))
        try:
            Delegated(bytes(damaged))(x)
        except RuntimeError as error:
            errors.append((seed, str(error)))
    assert count // 4 < len(errors) < count
    assert [error for error in errors if "LceBconv2d, operator 0 ('t3'): " not in error[1]] == []
