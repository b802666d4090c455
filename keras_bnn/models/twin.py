"""The float network that a binary one is compared with."""

from keras_bnn._keras import keras, larq, tf
from keras_bnn.errors import InputError
from keras_bnn.layers import BlurPool2D, RPReLU, RSign, SqueezeExcitation
from keras_bnn.models.rewrite import is_of_keras, refuse_shared, rewritten

_ONLY_OF_BINARY_LAYERS = (
    "depthwise_quantizer",
    "input_quantizer",
    "input_scale",
    "kernel_quantizer",
    "pad_values",
    "pointwise_quantizer",
    "weight_scale",
)
# Of operations on symbolic tensors, beside those whose values are true or false.
_STEPS = ("sign", "round", "rint", "floor", "ceil")
_LARQ_FUNCTIONS = "larq.quantizers"
# Real layers of ours, which binary and float networks can both have.
_REAL = (BlurPool2D, RPReLU, SqueezeExcitation)
_KERNEL_CONSTRAINTS = ("depthwise_constraint", "kernel_constraint", "pointwise_constraint")


def float_twin(model):
    """Makes the same network with float layers, with a ReLU where the signs were.

    | in `model`                                     | in the twin                              |
    |------------------------------------------------|------------------------------------------|
    | a layer of `keras_bnn.layers`, `larq.layers`   | the Keras layer it is made from          |
    | its `input_quantizer`                          | a ReLU layer in front of it              |
    | its `kernel_quantizer` and kernel constraint   | nothing: the kernel is real and free     |
    | `weight_scale`, `input_scale`                  | nothing: real kernels need no scale      |
    | `pad_values` of `padding="same"`               | zeros                                    |
    | a quantizer or `RSign` that is a layer         | a ReLU layer                             |
    | `RPReLU`, `BlurPool2D`, `SqueezeExcitation`    | a fresh one with the same arguments      |
    | a quantizer as `activation` of any layer       | `"relu"`                                 |
    | `TimeDistributed(layer)`                       | the same around each of layer's parts    |
    | a Sequential or functional model inside        | its twin                                 |
    | a `Normalization` that has been adapted        | one with the same mean and variance      |
    | any other layer of Keras                       | a fresh one with the same arguments      |

    Args:
        model: A Sequential or functional Keras model, trained or not. It is left as it is.

    Returns:
        A new model of plain Keras layers, freshly initialised and not compiled, of the same
        structure, input and output shapes, layer names (a new ReLU is named after its layer) and
        kernel shapes.

    Raises:
        InputError: If the model is subclassed, or holds a layer whose class is neither Keras' nor
            one of those above (a `Lambda` too: its code may contain a sign), an operation that
            signs are made of (`tf.sign`, or a comparison as in `tf.where(x >= 0, 1.0, -1.0)`), or
            a layer that two models inside of it share.

    >>> model = keras.Sequential([
    ...     keras.layers.Dense(4, input_shape=(3,)),
    ...     keras_bnn.layers.BinaryDense(2, name="binary"),
    ... ])
    >>> [layer.name for layer in float_twin(model).layers[1:]]
    ['binary_relu', 'binary']
    """
    if not isinstance(model, keras.Model):
        kind = type(model).__name__
        raise InputError(f"float_twin got an object of class {kind}, expected a Keras 2 model.")
    refuse_shared(model, "float_twin")
    return _twin(model, f"{model.name}_float")


def _twin(model, name: str):
    return rewritten(model, name, _parts, "float_twin")


def _parts(layer) -> list:
    """The float layers that, one after the other, take the place of `layer`; the last its name."""
    if isinstance(layer, keras.Model):
        return [_twin(layer, layer.name)]
    if type(layer) is keras.layers.TimeDistributed:
        *before, last = _parts(layer.layer)
        named = [*((f"{layer.name}_relu", part) for part in before), (layer.name, last)]
        return [keras.layers.TimeDistributed(part, name=name) for name, part in named]
    if isinstance(layer, (larq.quantizers.Quantizer, RSign)):
        return [_in_place_of(layer, layer.name)]
    if isinstance(layer, _REAL):
        return [type(layer).from_config(layer.get_config())]
    if type(layer).__module__.startswith(("keras_bnn.layers.", "larq.layers")):
        quantizer = layer.input_quantizer
        before = [_in_place_of(quantizer, f"{layer.name}_relu")] if quantizer else []
        return [*before, _float_layer(layer)]
    _check_translatable(layer)
    return [type(layer).from_config({**_with_float_activation(layer), **_statistics(layer)})]


def _in_place_of(quantizer, name: str):
    if isinstance(quantizer, larq.quantizers.NoOp):
        return keras.layers.Activation("linear", name=name)
    return keras.layers.ReLU(name=name)


def _float_layer(layer):
    """The Keras layer that `layer` extends, with what it shares with that."""
    kind = next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("tf_keras."))
    config = _with_float_activation(layer)
    kept = {name: value for name, value in config.items() if name not in _ONLY_OF_BINARY_LAYERS}
    free = {name: None for name in _KERNEL_CONSTRAINTS if name in kept}
    return kind.from_config({**kept, **free})


def _with_float_activation(layer) -> dict:
    activation = getattr(layer, "activation", None)
    if activation is None:
        return layer.get_config()
    if isinstance(activation, larq.quantizers.Quantizer) or _module(activation) == _LARQ_FUNCTIONS:
        return {**layer.get_config(), "activation": "relu"}
    if not _is_activation_of_keras(activation):
        raise InputError(
            f"{layer.name}: float_twin cannot tell whether the activation {activation!r} is a "
            "quantizer. Use a function of keras.activations or a keras_bnn quantizer."
        )
    return layer.get_config()


def _is_activation_of_keras(activation) -> bool:
    if not _module(activation).startswith(("tf_keras.", "tensorflow.")):
        return False
    try:
        keras.activations.deserialize(keras.activations.serialize(activation))
    # What Keras raises for functions of TensorFlow that it has no name for, as tf.sign.
    except (TypeError, ValueError):
        return False
    return True


def _statistics(layer) -> dict:
    """What `layer` has learnt of the data without training, as its arguments."""
    if not isinstance(layer, keras.layers.Normalization) or not getattr(layer, "count", 0):
        return {}
    return {"mean": layer.adapt_mean.numpy(), "variance": layer.adapt_variance.numpy()}


def _check_translatable(layer) -> None:
    # An activation is checked, and replaced, by itself.
    activation = getattr(layer, "activation", None)
    inner = [part for part in layer.submodules if isinstance(part, keras.layers.Layer)]
    for part in (layer, *(part for part in inner if part is not activation)):
        # The code of a Lambda is the user's, so a sign could hide in it.
        if not is_of_keras(part) or isinstance(part, keras.layers.Lambda):
            raise InputError(
                f"{layer.name}: float_twin cannot translate the class {type(part).__name__}, only "
                "Keras' own layers, and those of keras_bnn.layers and larq.layers. Replace the "
                "layer, or build the float twin by hand."
            )
        if _is_step(part):
            raise InputError(
                f"{layer.name}: float_twin cannot translate tf.{part.symbol}, of which signs are "
                "made. Use a keras_bnn quantizer as the layer, or build the float twin by hand."
            )


def _is_step(layer) -> bool:
    """Whether `layer` is an operation on symbolic tensors whose values change in steps."""
    symbol = getattr(layer, "symbol", None)
    if symbol is None:
        return False
    outputs = [tensor for node in layer.inbound_nodes for tensor in tf.nest.flatten(node.outputs)]
    return symbol.rpartition(".")[2] in _STEPS or any(x.dtype == tf.bool for x in outputs)


def _module(function) -> str:
    return getattr(function, "__module__", None) or ""
