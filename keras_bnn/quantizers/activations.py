"""Names of quantizers as activations: `tf.keras.layers.Activation("ste_sign")`.

larq registers its classes under these names. Keras' `activations.get` hands out what is registered
as it is, and a class is no activation: it would be called with the tensor as its first argument.
So an object of the class takes its place. `larq.quantizers.get` still makes a new object from it,
because `from_config` of an object is that of its class; and Keras saves an object by its class,
where a function could not be loaded from `.h5` files.

They are objects of larq's own classes: what a name stands for in larq's layers does not change,
and neither does what a model needs to be loaded.
"""

import inspect

from keras_bnn._keras import keras

NAMES = (
    "approx_sign",
    "dorefa_quantizer",
    "magnitude_aware_sign",
    "ste_heaviside",
    "ste_sign",
    "ste_tern",
    "swish_sign",
)


def register() -> None:
    """Makes the names usable wherever Keras takes the name of an activation."""
    registered = keras.utils.get_custom_objects()
    for name in NAMES:
        if inspect.isclass(registered.get(name)):
            # With a name of its own it does not count for the names that Keras numbers.
            registered[name] = registered[name](name=name)
