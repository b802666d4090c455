"""From what users write where a quantizer is expected, to a quantizer that can be saved."""

import inspect
from collections.abc import Callable
from typing import Any

from keras_bnn._keras import from_registered, keras, larq
from keras_bnn.quantizers.approx_sign import ApproxSign
from keras_bnn.quantizers.magnitude_aware_sign import MagnitudeAwareSign
from keras_bnn.quantizers.ste_sign import SteSign
from keras_bnn.quantizers.swish_sign import SwishSign

_BY_NAME = {
    "approx_sign": ApproxSign,
    "magnitude_aware_sign": MagnitudeAwareSign,
    "ste_sign": SteSign,
    "swish_sign": SwishSign,
    # Not binary, but larq has them and its users write them.
    "dorefa_quantizer": larq.quantizers.DoReFa,
    "ste_heaviside": larq.quantizers.SteHeaviside,
    "ste_tern": larq.quantizers.SteTern,
}

# A model that holds one of these functions saves as .h5 without a word and then cannot be loaded;
# approx_sign cannot be saved as .keras.
_BY_LARQ_FUNCTION = {
    getattr(larq.quantizers, name): _BY_NAME[name]
    for name in ("approx_sign", "ste_heaviside", "ste_sign", "ste_tern", "swish_sign")
}


def get(identifier) -> Callable | None:
    """Returns the quantizer that `identifier` stands for.

    Args:
        identifier: `None`; a name such as `"ste_sign"`; a quantizer (any Keras layer); one of
            larq's quantizer functions, which becomes the class of the same name; a function
            registered with `keras.utils.register_keras_serializable`; or a saved configuration.

    Returns:
        A callable from tensor to tensor of the same shape, or `None`.

    Raises:
        ValueError: If the name is unknown, or if a model that holds the quantizer could be saved
            but not loaded again.

    >>> get("ste_sign").clip_value
    1.0
    >>> type(get(larq.quantizers.approx_sign)).__name__
    'ApproxSign'
    """
    if identifier is None or isinstance(identifier, keras.layers.Layer):
        return identifier
    if isinstance(identifier, dict):
        return from_registered(identifier) or larq.quantizers.get(identifier)
    if isinstance(identifier, str):
        return _from_name(identifier)
    if callable(identifier):
        return _from_callable(identifier)
    raise ValueError(
        f"{identifier!r} is no quantizer: expected None, a Keras layer such as SteSign(), or one "
        f"of the names {_names()}."
    )


def _from_name(name: str) -> Any:
    for known, cls in _BY_NAME.items():
        if name in (known, cls.__name__):
            return cls()
    custom: Any = keras.utils.get_registered_object(name)
    if custom is None:
        raise ValueError(f"Unknown quantizer {name!r}. Expected one of {_names()}.")
    return custom() if inspect.isclass(custom) else custom


def _from_callable(function):
    if inspect.isclass(function):
        raise ValueError(
            f"The quantizer is the class {function.__name__}, expected an object of it: write "
            f"{function.__name__}()."
        )
    for known, cls in _BY_LARQ_FUNCTION.items():
        if function is known:
            return cls()
    # tf.custom_gradient makes objects of functions, which Keras can register but not save.
    if inspect.isfunction(function):
        name = keras.utils.get_registered_name(function)
        if keras.utils.get_registered_object(name) is function:
            return function
    raise ValueError(
        f"A model with the quantizer {getattr(function, '__name__', function)!r} could be saved "
        "but not loaded again. Pass a plain function decorated with "
        '@tf.keras.utils.register_keras_serializable("your_package"), or a Keras layer such as '
        "keras_bnn.quantizers.SteSign()."
    )


def _names() -> str:
    return ", ".join(sorted(_BY_NAME))
