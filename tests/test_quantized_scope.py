"""An error inside a quantized layer leaves no trace: kernels still read as latent weights."""

import larq
import numpy as np
import pytest
import tensorflow as tf

from keras_bnn.layers import BinaryDense


def _fails(inputs):
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("layer", [BinaryDense, larq.layers.QuantDense])
def test_latent_weights_are_read_after_an_error_in_a_layer(layer):
    options = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip"}
    model = tf.keras.Sequential([layer(4, input_shape=(3,), **options)])
    before = model.get_weights()[0]
    assert not np.isin(before, [-1, 1]).any()
    failing = layer(4, activation=_fails, **options)
    with pytest.raises(RuntimeError, match="on purpose"):
        failing(tf.ones((1, 3)))
    assert (model.get_weights()[0] == before).all()


def test_the_scope_is_restored_to_what_it_was():
    with larq.context.quantized_scope(True):
        with pytest.raises(KeyboardInterrupt), larq.context.quantized_scope(False):
            raise KeyboardInterrupt
        assert larq.context.should_quantize()
    assert not larq.context.should_quantize()
