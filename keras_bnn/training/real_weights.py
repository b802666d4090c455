"""Networks on the way to a binary one: its inputs already signs, its weights still real."""

from keras_bnn._keras import keras, larq, tf
from keras_bnn.errors import InputError
from keras_bnn.layers import RSign
from keras_bnn.models.rewrite import rewritten
from keras_bnn.probe import is_quantized

_OF_QUANTIZED_KERNELS = (
    "depthwise_constraint",
    "depthwise_quantizer",
    "kernel_constraint",
    "kernel_quantizer",
    "pointwise_constraint",
    "pointwise_quantizer",
    "weight_scale",
)
_REGULARIZERS = ("depthwise_regularizer", "kernel_regularizer", "pointwise_regularizer")


@keras.utils.register_keras_serializable("keras_bnn")
class Tanh(keras.layers.Layer):
    """The tanh in a quantizer's place: what is saved with a layer has to be a class of its own.

    Input shape: any.   Output shape: the same; values from -1 to 1.
    """

    def call(self, inputs):
        return tf.tanh(inputs)


def with_real_weights(model, *, soft: bool = False, weight_decay: float = 0.0):
    """Makes the same network with real weights: the first step of training in two.

    Its kernels are neither quantized, nor scaled, nor clipped; its inputs still are signs. It has
    the weights of `model`, and `model.set_weights(real.get_weights())` takes back what it learnt.

    Args:
        model: A built Sequential or functional model with layers of `keras_bnn.layers` or
            `larq.layers`. It is left as it is.
        soft: Whether a tanh takes the place of each sign of inputs too, as in the first step of
            Real-to-Binary; of an `RSign` too, behind its threshold.
        weight_decay: The λ of λ/2 · Σ w², which is added to the loss for each kernel that has no
            regularizer of its own; 0 or more.

    Returns:
        A plain Keras model of the same layers, names and weights, not compiled.

    Raises:
        InputError: If the model is subclassed, or holds a quantized kernel in a layer of another
            package.

    >>> real = with_real_weights(keras_bnn.models.BinaryNet((8, 8, 1), 10))
    >>> layer = real.get_layer("binary_1")
    >>> layer.kernel_quantizer is None, type(layer.input_quantizer).__name__
    (True, 'SteSign')
    """
    if weight_decay < 0:
        raise InputError(f"weight_decay is {weight_decay}, expected 0 or more.")

    def real(layer):
        if isinstance(layer, keras.Model):
            return [rewritten(layer, layer.name, real, "with_real_weights")]
        if type(layer) is keras.layers.TimeDistributed:
            return [keras.layers.TimeDistributed(real(layer.layer)[0], name=layer.name)]
        return [_real_layer(layer, soft, weight_decay)]

    with larq.context.quantized_scope(False):
        result = rewritten(model, f"{model.name}_real_weights", real, "with_real_weights")
        result.set_weights(model.get_weights())
    for layer in result._flatten_layers():
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            layer.finalize_state()
    return result


def _real_layer(layer, soft: bool, weight_decay: float):
    config = layer.get_config()
    if soft and isinstance(layer, larq.quantizers.Quantizer):
        return keras.layers.Activation("tanh", name=layer.name)
    if soft and isinstance(layer, RSign):
        config["quantizer"] = Tanh()
    if type(layer).__module__.startswith(("keras_bnn.layers.", "larq.layers")):
        config.update((name, None) for name in _OF_QUANTIZED_KERNELS if name in config)
        if soft and getattr(layer, "input_quantizer", None):
            config["input_quantizer"] = Tanh()
    elif any(map(is_quantized, layer.weights)):
        raise InputError(
            f"{layer.name}: with_real_weights does not know how the class {type(layer).__name__} "
            "quantizes its kernel. Build the network with real weights by hand."
        )
    if soft and isinstance(getattr(layer, "activation", None), larq.quantizers.Quantizer):
        config["activation"] = "tanh"
    if weight_decay:
        decay = keras.regularizers.L2(weight_decay / 2)
        config.update((name, decay) for name in _REGULARIZERS if config.get(name, 0) is None)
    return type(layer).from_config(config)
