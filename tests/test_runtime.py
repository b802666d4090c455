"""Running files: the batch that a file fixes, what it may be given, and what no engine runs."""

import numpy as np
import pytest
import single_operator
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from hand_made import FLOAT32, INT8, hand_made

import keras_bnn as kb
from keras_bnn import bits
from keras_bnn.errors import InputError
from keras_bnn.tflite import write


def stock(function, *specs, select=False):
    """An interpreter of a file that TensorFlow's own converter makes of `function`."""
    traced = tf.function(function, input_signature=specs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced])
    if select:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    return kb.runtime.Interpreter(converter.convert())


def without_mean(x):
    """What comes out tells which samples were run together."""
    return x - tf.reduce_mean(x, axis=0, keepdims=True)


ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_samples_run_so_many_at_a_time_as_the_file_fixes():
    fixed = stock(without_mean, tf.TensorSpec((2, 3)))
    pairs = np.array([[-1.5] * 3, [1.5] * 3] * 2, np.float32)
    assert (fixed.predict(ROWS) == pairs).all()
    with pytest.raises(InputError, match="a batch of 3, expected a multiple of 2"):
        fixed.predict(ROWS[:3])


def test_a_file_of_any_batch_runs_all_samples_at_once():
    free = stock(without_mean, tf.TensorSpec((None, 3)))
    for count in (4, 1, 2):
        rows = ROWS[:count]
        assert (free.predict(rows) == rows - rows.mean(axis=0)).all()


def test_one_input_that_fixes_the_batch_decides_for_all():
    both = stock(lambda x, y: without_mean(x) + y, tf.TensorSpec((None, 3)), tf.TensorSpec((1, 3)))
    assert (both.predict([ROWS, ROWS]) == ROWS).all()


def test_after_a_batch_that_fails_another_still_runs():
    single = stock(lambda x: tf.concat([x, ROWS[:1]], 1), tf.TensorSpec((None, 3)))
    assert (single.predict(ROWS[1:2]) == np.concatenate([ROWS[1:2], ROWS[:1]], 1)).all()
    with pytest.raises(InputError, match="LiteRT cannot run this file"):
        single.predict(ROWS)
    assert (single.predict(ROWS[2:3]) == np.concatenate([ROWS[2:3], ROWS[:1]], 1)).all()


def test_plain_int8_files_run_at_any_batch():
    """An int8 dense layer, worked out in integers: scales 0.5, 0.25 and 1, zero points 0, 0, 3."""
    weights = np.array([[4, -2, 1], [0, 8, -6]], np.int8)
    model = schema.ModelT.InitFromObj(
        schema.Model.GetRootAs(
            hand_made(
                [(INT8, (1, 3), None), (INT8, (2, 3), weights), (INT8, (1, 2), None)],
                [("FULLY_CONNECTED", (0, 1, -1), (2,), schema.FullyConnectedOptionsT())],
            )
        )
    )
    for tensor, scale, point in zip(
        model.subgraphs[0].tensors, (0.5, 0.25, 1.0), (0, 0, 3), strict=True
    ):
        tensor.quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[point])
    model.subgraphs[0].tensors[0].shapeSignature = [-1, 3]
    interpreter = kb.runtime.Interpreter(write(model))
    rng = np.random.default_rng(0)
    for batch in (1, 16, 3):
        # Multiples of 8 · 1/8, so that nothing is rounded.
        x = (8 * rng.integers(-12, 13, (batch, 3))).astype(np.int8)
        expected = np.clip(x.astype(int) @ weights.T.astype(int) // 8 + 3, -128, 127)
        got = interpreter.predict(x)
        assert got.dtype == np.int8
        assert (got == expected).all()


@pytest.mark.parametrize("dtype", [tf.uint8, tf.int8, tf.int32])
def test_integers_that_do_not_fit_are_refused_not_wrapped(dtype):
    file = stock(lambda x: tf.cast(x, tf.float32), tf.TensorSpec((None, 2), dtype))
    for fits in ([dtype.min, dtype.max], [0, 1]):
        assert (file.predict(np.array([fits])) == np.array([fits], np.float32)).all()
    for beyond in (dtype.min - 1, dtype.max + 1):
        with pytest.raises(InputError, match=f"{beyond}.* expected {dtype.min} to {dtype.max}"):
            file.predict(np.array([[0, beyond]]))


def test_booleans_are_booleans_or_0_and_1():
    file = stock(lambda x: tf.cast(x, tf.float32), tf.TensorSpec((None, 2), tf.bool))
    assert file.predict(np.array([[0, 1]])).tolist() == [[0, 1]]
    assert file.predict(np.array([[False, True]])).tolist() == [[0, 1]]
    with pytest.raises(InputError, match="from 0 to 2, expected 0 to 1"):
        file.predict(np.array([[0, 2]]))


def test_types_that_do_not_fit_are_refused():
    text = stock(lambda x: tf.reshape(x, (-1, 1)), tf.TensorSpec((None, 1), tf.string))
    whole = stock(lambda x: tf.cast(x, tf.float32), tf.TensorSpec((None, 1), tf.int32))
    for file, values, expected in (
        (text, np.array([["a"]]), "is <U1, expected string"),
        (text, np.ones((1, 1)), "is float64, expected string"),
        (whole, np.ones((1, 1)), "is float64, expected int32"),
        (whole, np.ones((1, 1), complex), "is complex128, expected int32"),
    ):
        with pytest.raises(InputError, match=expected):
            file.predict(values)


def test_a_batch_that_is_no_batch_is_refused():
    with pytest.raises(InputError, match="an input that is a single number, expected"):
        stock(lambda x: x + 1.0, tf.TensorSpec(()))
    with pytest.raises(InputError, match="has no inputs, expected"):
        stock(lambda: tf.ones((1, 2)))
    with pytest.raises(InputError, match=r"inputs of \[1, 2\] samples each, expected"):
        stock(lambda x, y: x + y, tf.TensorSpec((1, 3)), tf.TensorSpec((2, 3)))


def one_operator(name):
    tensors = [(FLOAT32, (1, 8), None), (FLOAT32, (1, 8), None)]
    return hand_made(tensors, [(name, (0,), (1,), None)])


def lce_without_options():
    words, kernel = bits.pack(np.ones((1, 1, 1, 3))), bits.pack(np.ones((2, 1, 1, 3)))
    outputs = np.ones((1, 1, 1, 2), np.float32)
    data = single_operator.bconv2d(words, kernel, outputs, channels_in=3)
    return data.replace(b"padding\0", b"paddimg\0")


def bad_utf8():
    return one_operator("RELU").replace(b"t0", b"\xfft")


@pytest.mark.parametrize(
    ("data", "engine"),
    [
        (lambda: one_operator("Unheard"), "LiteRT"),
        (lambda: one_operator("LceUnheard"), "LiteRT \\+ keras-bnn"),
        (lambda: one_operator("CONV_2D"), "LiteRT"),
        (bad_utf8, "LiteRT"),
    ],
)
def test_what_an_engine_refuses_is_one_line(data, engine):
    with pytest.raises(InputError, match=f"^{engine}.* cannot run this file: ") as raised:
        kb.runtime.Interpreter(data()).predict(np.ones((1, 8), np.float32))
    assert "\n" not in str(raised.value)


def test_what_the_delegate_refuses_names_the_operator():
    interpreter = kb.runtime.Interpreter(lce_without_options())
    with pytest.raises(InputError, match=r"operator 0 .*: its options lack 'padding'"):
        interpreter.predict(np.zeros((1, 1, 1, 1), np.int32))


def test_what_lces_interpreter_refuses_is_one_line():
    with pytest.raises(InputError, match=r"^LCE \(indirect\) cannot run this file: ") as raised:
        kb.runtime.Interpreter(packed_output_around_true_zeros(), engine="LCE (indirect)").predict(
            np.zeros((1, 8, 8, 2), np.int32)
        )
    assert "\n" not in str(raised.value)


def packed_output_around_true_zeros():
    words, kernel = bits.pack(np.ones((1, 8, 8, 64))), bits.pack(np.ones((64, 3, 3, 64)))
    options = {"channels_in": 64, "padding": "same", "pad_values": 0}
    threshold = np.zeros(64, np.int32)
    return single_operator.bconv2d(words, kernel, words, threshold=threshold, **options)


def test_operators_of_tensorflow_itself_are_one_line():
    file = stock(
        lambda x: tf.linalg.det(tf.reshape(x, (-1, 2, 2))), tf.TensorSpec((None, 4)), select=True
    )
    with pytest.raises(InputError, match="LiteRT cannot run this file") as raised:
        file.predict(np.ones((1, 4), np.float32))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("threads", [0, "2", 1.5, 1025])
def test_threads_are_a_whole_number(threads):
    with pytest.raises(InputError, match=r"num_threads is .*, expected an integer from 1 to 1024"):
        kb.runtime.Interpreter(one_operator("RELU"), num_threads=threads)
