"""The clip of straight-through estimators."""

from keras_bnn._keras import keras, larq
from keras_bnn.errors import InputError


def set_clip(model, clip_value: float) -> None:
    """Sets where straight-through estimators stop gradients, in all binary layers of a model.

    Both quantizers of every layer get the clip, and so does the constraint of its latent weights,
    which may go as far as gradients reach them. Call it before `compile`.

    Args:
        model: A Keras model. It is changed.
        clip_value: Half-width of the region that lets gradients pass, above 0; 1 is usual.

    Raises:
        InputError: If `clip_value` is not above 0, or no quantizer of the model has a clip.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> set_clip(model, 1.25)
    >>> layer = model.get_layer("binary_1")
    >>> layer.input_quantizer.clip_value, layer.kernel_constraint.clip_value
    (1.25, 1.25)
    """
    if not clip_value > 0:
        raise InputError(f"clip_value is {clip_value}, expected a number above 0.")
    _own_activations(model)
    clipped = [
        part
        for part in model.submodules
        if isinstance(part, larq.quantizers.Quantizer)
        and getattr(part, "clip_value", None) is not None
    ]
    if not clipped:
        raise InputError(
            f"{model.name} has no quantizer with a clip, expected one such as SteSign."
        )
    constraints = [
        getattr(layer, name, None)
        for layer in model.submodules
        for name in ("kernel_constraint", "depthwise_constraint", "pointwise_constraint")
    ]
    clips = [each for each in constraints if isinstance(each, larq.constraints.WeightClip)]
    for part in (*clipped, *clips):
        part.clip_value = clip_value


def _own_activations(model) -> None:
    """Gives layers a quantizer of their own where one object stands for its name in all models."""
    shared = list(keras.utils.get_custom_objects().values())
    for layer in model.submodules:
        quantizer = getattr(layer, "activation", None)
        if quantizer is not None and any(quantizer is each for each in shared):
            layer.activation = type(quantizer).from_config(quantizer.get_config())
