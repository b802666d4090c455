"""The products of quantized layers, the same for training and for the export."""

from keras_bnn._keras import tf


def padded(layer, inputs):
    """`inputs` of a convolution `layer`, with all its padding around them."""
    if layer.padding == "causal":
        return tf.pad(inputs, layer._compute_causal_padding(inputs))
    if layer.padding == "same":
        return tf.pad(inputs, layer._get_padding_same(inputs), constant_values=layer.pad_values)
    return inputs


def convolve(layer, inputs, kernel):
    """Convolves quantized `inputs` with a quantized `kernel` as `layer` says."""
    zeros_around = layer.padding == "same" and layer.pad_values == 0
    return tf.nn.convolution(
        inputs if zeros_around else padded(layer, inputs),
        kernel,
        strides=list(layer.strides),
        padding="SAME" if zeros_around else "VALID",
        dilations=list(layer.dilation_rate),
        data_format=layer._tf_data_format,
    )


def multiply_dense(inputs, kernel):
    """The product of (..., features) with (features, units), over the last axis of `inputs`."""
    if inputs.shape.rank == 2:
        return tf.matmul(inputs, kernel)
    features, units = kernel.shape
    outputs = tf.matmul(tf.reshape(inputs, [-1, features]), kernel)
    middle = inputs.shape[1:-1]
    if middle.is_fully_defined():
        return tf.reshape(outputs, [-1, *middle, units])
    return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [units]], 0))
