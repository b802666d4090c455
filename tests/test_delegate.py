"""The delegate in stock LiteRT: every operator in every form, chains of them, and what it refuses.

`python tests/test_delegate.py FIRST COUNT` runs that many random operators on the kernels directly.
"""

import sys

import native_kernels
import numpy as np
import pytest
import single_operator
from ai_edge_litert import interpreter as litert
from hand_made import BINARY, FLOAT32, INT8, INT32, hand_made
from native_kernels import AVAILABLE
from single_operator import draw_bmaxpool2d, draw_convolution, draw_signs

import keras_bnn as kb
from keras_bnn import bits, reference
from keras_bnn.errors import InputError
from keras_bnn.runtime import native


def run(data, inputs, threads=1):
    return kb.runtime.Interpreter(data, num_threads=threads).predict(inputs)


@pytest.fixture(params=AVAILABLE)
def isa(request, monkeypatch):
    monkeypatch.setenv("KERAS_BNN_ISA", request.param)
    return request.param


@pytest.mark.parametrize("dtype", ["float32", "int8", "packed"])
def test_convolutions(isa, dtype):
    for seed in range(40):
        words, filters, options = draw_convolution(np.random.default_rng(seed), dtype)
        expected = reference.bconv2d(words, filters, **options)
        file = single_operator.bconv2d(words, filters, expected, **options)
        got = run(file, words, threads=1 + seed % 3)
        np.testing.assert_array_equal(got, expected, f"seed {seed}: {options}")


def test_the_other_operators(isa):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for dtype in ("float32", "int8", "bool"):
            values, words, options = draw_signs(rng, dtype)
            file = single_operator.quantize(values, words, **options)
            np.testing.assert_array_equal(run(file, values), words, f"seed {seed}, {dtype}")
            back = reference.dequantize(words, values.shape[-1], dtype, **options)
            file = single_operator.dequantize(words, back, **options)
            np.testing.assert_array_equal(run(file, words), back, f"seed {seed}, {dtype}")
        words, options = draw_bmaxpool2d(rng)
        expected = reference.bmaxpool2d(words, **options)
        file = single_operator.bmaxpool2d(words, expected, **options)
        np.testing.assert_array_equal(run(file, words), expected, f"seed {seed}: {options}")


@pytest.mark.lce
@pytest.mark.parametrize(
    "seeds", [range(100), pytest.param(range(100, 4000), marks=pytest.mark.slow)]
)
def test_lces_interpreter_agrees_where_it_is_right(seeds):
    agreed = 0
    for seed in seeds:
        dtype = ("float32", "int8", "packed")[seed % 3]
        words, filters, options = draw_convolution(np.random.default_rng(seed), dtype)
        expected = reference.bconv2d(words, filters, **options)
        file = single_operator.bconv2d(words, filters, expected, **options)
        for kernel in single_operator.exact_lce_kernels(words, filters, options):
            got = single_operator.run_on_lce(file, words, kernel=kernel)
            np.testing.assert_array_equal(got, run(file, words), f"seed {seed}, {kernel}")
            agreed += 1
    assert agreed > len(seeds)


@pytest.mark.lce
def test_zeros_around_a_map_smaller_than_the_kernel():
    """LCE's default kernel is wrong here; the sums of the two pixels are 1 and 1 by hand.

    The kernel + + − + + meets . . + − .   and . + − . . : 1·(−1) + (−1)·1 and 1·1 + (−1)·(−1).
    """
    words = bits.pack(np.array([1.0, -1]).reshape(1, 1, 2, 1))
    kernel = bits.pack(np.array([1.0, 1, -1, 1, 1]).reshape(1, 1, 5, 1))
    options = {"channels_in": 1, "padding": "same", "pad_values": 0}
    expected = np.array([-2.0, 2.0], np.float32).reshape(1, 1, 2, 1)
    file = single_operator.bconv2d(words, kernel, expected, multiplier=[1], bias=[0], **options)
    assert run(file, words).ravel().tolist() == [-2, 2]
    assert single_operator.run_on_lce(file, words).ravel().tolist() != [-2, 2]


POOL = {
    "filter_height": 2,
    "filter_width": 2,
    "padding": 0,
    "stride_height": 1,
    "stride_width": 1,
}


def diamond():
    """Two convolutions and a pool read one tensor, in one partition; two results leave it.

    0 ─quantize─ 1 ─conv─ 4 ─┬─ conv ─ 5 ─ pool ─ 6 ─ conv ─ 7 (float)
                             ├─ pool ─ 8 (packed, an output of the graph and read inside)
                             └─────────┴─ conv of 8 ─ 9 (float)
    """
    rng = np.random.default_rng(0)
    filters = bits.pack(rng.choice([-1.0, 1.0], (40, 3, 3, 40)))
    limits = rng.integers(170, 190, 40, np.int32)
    ones = np.ones(40, np.float32)
    packed, floats = (1, 6, 5, 2), (1, 6, 5, 40)
    tensors = [
        (FLOAT32, floats, None),
        (INT32, packed, None),
        (INT32, filters.shape, filters),
        (INT32, (40,), limits),
        *[(INT32, packed, None)] * 3,
        (FLOAT32, floats, None),
        (INT32, packed, None),
        (FLOAT32, floats, None),
        (FLOAT32, (40,), ones),
    ]
    to_bits, to_float = (2, -1, -1, 3), (2, 10, 10, -1)
    operators = [
        ("LceQuantize", (0,), (1,), None),
        ("LceBconv2d", (1, *to_bits), (4,), BINARY),
        ("LceBconv2d", (4, *to_bits), (5,), BINARY),
        ("LceBMaxPool2d", (4,), (8,), POOL),
        ("LceBMaxPool2d", (5,), (6,), POOL),
        ("LceBconv2d", (6, *to_float), (7,), BINARY),
        ("LceBconv2d", (8, *to_float), (9,), BINARY),
    ]
    data = hand_made(tensors, operators, outputs=(7, 8, 9))

    def expected(x):
        def conv(words, **options):
            return reference.bconv2d(words, filters, channels_in=40, padding="same", **options)

        first = conv(bits.pack(x), threshold=limits)
        pooled = reference.bmaxpool2d(first, (2, 2), 1, "same")
        other = reference.bmaxpool2d(conv(first, threshold=limits), (2, 2), 1, "same")
        return [conv(other, bias=ones), pooled, conv(pooled, bias=ones)]

    return data, expected


@pytest.mark.parametrize("threads", [1, 3])
def test_operators_of_one_partition_share_its_buffer(isa, threads):
    data, expected = diamond()
    interpreter = kb.runtime.Interpreter(data, num_threads=threads)
    rng = np.random.default_rng(1)
    for batch in (1, 2, 33, 4):
        x = rng.normal(size=(batch, 6, 5, 40)).astype(np.float32)
        got = interpreter.predict(x)
        for output, right in zip(interpreter.output_names, expected(x), strict=True):
            np.testing.assert_array_equal(got[output], right)


def conv_file(changes=None, tensors=None, **options):
    """A convolution 1×4×4×40 → 3 channels, with tensors and options changed."""
    all_tensors = {
        0: (INT32, (1, 4, 4, 2), None),
        1: (INT32, (3, 2, 2, 2), np.zeros((3, 2, 2, 2), np.int32)),
        2: (FLOAT32, (3,), np.ones(3, np.float32)),
        3: (FLOAT32, (3,), np.zeros(3, np.float32)),
        4: (FLOAT32, (1, 4, 4, 3), None),
        **(tensors or {}),
    }
    inputs = {0: 0, 1: 1, 2: 2, 3: 3, 4: -1, **(changes or {})}
    given = {**BINARY, **options}
    given = {key: value for key, value in given.items() if value is not None}
    operator = ("LceBconv2d", tuple(inputs.values()), (4,), given)
    return hand_made([all_tensors[i] for i in range(len(all_tensors))], [operator], outputs=(4,))


INPUT = np.zeros((1, 4, 4, 2), np.int32)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (conv_file(stride_width=None), "its options lack 'stride_width'"),
        (conv_file(padding=2), "its option 'padding' is 2, expected 0 (SAME) or 1 (VALID)"),
        (conv_file(pad_values=7), "its option 'pad_values' is 7, expected 0 or 1"),
        (conv_file(fused_activation_function=4), "its option 'fused_activation_function' is 4"),
        (conv_file(stride_height=2**31), "its option 'stride_height' is no 32-bit integer"),
        (conv_file(stride_height=-1), "Got -1, expected 1 or more"),
        (conv_file(channels_in=2**31 - 1), "its 33554432 groups divide 2147483647 channels"),
        (conv_file(channels_in=0), "its filter 't1' is 2 words deep, expected a divisor"),
        (conv_file(channels_in=70), "its filter 't1' is 2 words deep, expected a divisor of the 3"),
        (conv_file(channels_in=100), "its 2 groups divide 100 channels, expected 32, 64, 96"),
        (conv_file({2: -1}), "its multiplier (input 2) is absent"),
        (conv_file({1: -1}), "its filter (input 1) is absent"),
        (conv_file({0: -1}), "its input is absent"),
        (conv_file({1: 0}), "its filter 't0' is computed, expected a constant"),
        (conv_file({3: 1}), "its bias 't1' is int32, expected float32"),
        (
            conv_file(tensors={2: (FLOAT32, (2,), np.ones(2, np.float32))}),
            "its multiplier 't2' holds 2 numbers, expected one for each of 3 channels",
        ),
        (
            conv_file(tensors={2: (FLOAT32, (3, 1), np.ones(3, np.float32))}),
            "its multiplier 't2' has 2 axes, expected 1",
        ),
        (
            conv_file(tensors={4: (INT8, (1, 4, 4, 3), None)}),
            "Got an int8 output of scale 0, expected more than 0",
        ),
        (
            conv_file(tensors={4: (INT32, (1, 4, 4, 1), None)}),
            "its threshold (input 4) is absent",
        ),
        (
            conv_file(channels_in=64, tensors={1: (INT32, (3, 2, 2, 1), np.zeros(12, np.int32))}),
            "Got 2 groups of 64 input and 3 output channels",
        ),
        (
            conv_file(padding=1, tensors={1: (INT32, (3, 5, 2, 2), np.zeros(60, np.int32))}),
            "Got a window of 5 rows, expected at most the 4 of the image",
        ),
    ],
)
def test_a_wrong_convolution_is_refused(file, message):
    with pytest.raises(InputError) as raised:
        run(file, INPUT)
    assert "LceBconv2d, operator 0" in str(raised.value)
    assert f": {message}" in str(raised.value)


def operator_file(name, source, target, options=None):
    return hand_made([source, target], [(name, (0,), (1,), options)])


@pytest.mark.parametrize(
    ("file", "inputs", "message"),
    [
        (
            operator_file("LceQuantize", (INT32, (1, 4), None), (INT32, (1, 1), None)),
            np.zeros((1, 4), np.int32),
            "LceQuantize, operator 0 ('t1'): its "
            "input 't0' is int32, expected float32, int8 or bool",
        ),
        (
            operator_file("LceQuantize", (FLOAT32, (1, 4), None), (FLOAT32, (1, 1), None)),
            np.zeros((1, 4), np.float32),
            "LceQuantize, operator 0 ('t1'): its output 't1' is float32, expected int32",
        ),
        (
            operator_file("LceDequantize", (INT32, (1, 1), None), (FLOAT32, (1, 33), None)),
            np.zeros((1, 1), np.int32),
            "LceDequantize, operator 0 ('t1'): its "
            "input 't0' has 1 words, expected 2 for 33 channels",
        ),
        (
            operator_file("LceBMaxPool2d", (INT32, (1, 4), None), (INT32, (1, 4), None), POOL),
            np.zeros((1, 4), np.int32),
            "LceBMaxPool2d, operator 0 ('t1'): its input 't0' has 2 axes, expected 4",
        ),
        (
            operator_file(
                "LceBMaxPool2d",
                (INT32, (1, 1, 4, 1), None),
                (INT32, (1, 1, 4, 1), None),
                {**POOL, "padding": 1},
            ),
            np.zeros((1, 1, 4, 1), np.int32),
            "Got a window of 2 rows, expected at most the 1 of the image",
        ),
    ],
)
def test_other_wrong_operators_are_refused(file, inputs, message):
    with pytest.raises(InputError) as raised:
        run(file, inputs)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (conv_file(stride_height="x"), "its option 'stride_height' is no 32-bit integer"),
        (conv_file().replace(b"channels_in", b"\xff" * 11), "its options lack 'channels_in'"),
        (operator_file("LceBMaxPool2d", *[(INT32, (1, 4, 4, 2), None)] * 2), "its options lack"),
        (
            single_operator.write(
                "LceBMaxPool2d", [single_operator.Tensor((1, 4, 4, 2))], single_operator.Tensor(())
            ),
            "its 0 bytes of options are no flexbuffer map",
        ),
    ],
)
def test_options_that_are_no_map_of_integers_are_refused(file, message):
    """By the delegate itself: our own reader of files would be first."""
    interpreter = litert.Interpreter(
        model_content=file,
        experimental_delegates=[litert.load_delegate(str(native.library_path()))],
    )
    with pytest.raises(RuntimeError) as raised:
        interpreter.allocate_tensors()
    assert "operator 0 ('t" in str(raised.value)
    assert f"'): {message}" in str(raised.value)


def random_operator(seed):
    """One random operator on one kernel that runs here; returns what it was."""
    rng = np.random.default_rng(seed)
    operator, dtype, isa = native_kernels.KERNELS[seed % len(native_kernels.KERNELS)]
    if operator == "bconv2d":
        words, filters, options = draw_convolution(rng, dtype)
        got = native_kernels.bconv2d(words, filters, isa=isa, **options)
        expected = reference.bconv2d(words, filters, **options)
    elif operator == "bmaxpool2d":
        words, options = draw_bmaxpool2d(rng)
        got = native_kernels.bmaxpool2d(words, **options, isa=isa)
        expected = reference.bmaxpool2d(words, **options)
    else:
        values, words, options = draw_signs(rng, dtype)
        if operator == "quantize":
            point = options.get("zero_point", 0)
            got, expected = native_kernels.quantize(values, zero_point=point, isa=isa), words
        else:
            arguments = words, values.shape[-1], dtype
            got = native_kernels.dequantize(*arguments, **options, isa=isa)
            expected = reference.dequantize(*arguments, **options)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected, f"seed {seed}: {operator} {dtype} {isa} {options}")
    return operator


@pytest.mark.slow
def test_thousands_of_random_operators():
    for seed in range(10_000):
        random_operator(seed)


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    done = [random_operator(seed) for seed in range(first, first + count)]
    print({name: done.count(name) for name in sorted(set(done))})
