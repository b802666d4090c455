"""Bop: an optimizer of the binary weights themselves."""

from typing import Any

from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError
from keras_bnn.probe import is_quantized

_Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.utils.register_keras_serializable("keras_bnn")
class Bop(keras.optimizers.Optimizer):
    r"""Flips a binary weight when its gradients have long asked for it; has no latent weights.

        m ← m + gamma (g − m)                 for the gradient g of a weight w = ±1
        w ← −w   if m · w > threshold

    It takes kernels that have a quantizer, and no others; `OptimizerGroup` gives it those of a
    model. The quantizer has to pass gradients at ±1, where all weights are: `"ste_sign"`, the
    default of every layer here, does. Leave a layer's `weight_scale` out: it would be 1.

    The defaults are larq's, and the paper's for CIFAR-10, where gamma falls to a tenth every 100
    epochs.

    Args:
        threshold: How large the average must be for a flip, >= 0, in units of the gradient. A
            number, or one of `keras.optimizers.schedules`.
        gamma: How fast the average follows the gradient, above 0 and at most 1. A number or a
            schedule, and what Keras and its callbacks call the `learning_rate`.
        name: The optimizer's name.
        **kwargs: `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema` and the like, as Keras'
            optimizers take them. `weight_decay` must be `None`: signs do not decay.

    Raises:
        InputError: If a number is out of range, or if it is given a kernel that is real, or one
            whose quantizer has no gradient at ±1.

    >>> layer = keras_bnn.layers.BinaryDense(1, kernel_initializer="ones", input_shape=(2,))
    >>> model = keras.Sequential([layer])
    >>> optimizer = Bop(threshold=0.5, gamma=1.0)
    >>> step = optimizer.apply_gradients([(tf.constant([[0.4], [0.6]]), layer.kernel)])
    >>> layer.kernel.numpy().ravel()
    array([ 1., -1.], dtype=float32)

    References:
        Helwegen et al., Latent Weights Do Not Exist, 2019. https://arxiv.org/abs/1906.02107
    """

    def __init__(
        self,
        threshold: Any = 1e-8,
        gamma: Any = 1e-4,
        name: str = "Bop",
        weight_decay: None = None,
        **kwargs,
    ):
        if weight_decay is not None:
            raise InputError(f"weight_decay is {weight_decay}, but the signs of Bop do not decay.")
        _check_number("threshold", threshold, _at_start(threshold) >= 0)
        _check_number("gamma", gamma, 0 < _at_start(gamma) <= 1)
        super().__init__(name=name, weight_decay=weight_decay, **kwargs)  # pyright: ignore
        self.threshold = threshold
        self._learning_rate = self._build_learning_rate(gamma)

    def build(self, var_list):
        """Makes the averages of `var_list`, all kernels with a quantizer."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        for variable in var_list:
            _check_flippable(variable)
        self._averages = [
            self.add_variable_from_reference(variable, variable_name="m") for variable in var_list
        ]
        self._built = True

    def update_step(self, gradient, variable):
        """Moves the average of `variable` and flips its weights."""
        average = self._averages[self._index_dict[self._var_key(variable)]]
        gamma = tf.cast(self.learning_rate, average.dtype)
        average.assign_add(gamma * (tf.convert_to_tensor(gradient) - average))
        threshold = self.threshold
        if isinstance(threshold, _Schedule):
            threshold = threshold(self.iterations)
        weights = tf.convert_to_tensor(variable)
        signs = tf.where(weights >= 0, tf.ones_like(weights), -tf.ones_like(weights))
        flips = average * signs > tf.cast(threshold, average.dtype)
        variable.assign(tf.where(flips, -signs, signs))

    def get_config(self):
        return {
            **super().get_config(),
            "threshold": self._serialize_hyperparameter(self.threshold),
            "gamma": self._serialize_hyperparameter(self._learning_rate),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        schedules = {
            name: keras.optimizers.schedules.deserialize(config[name], custom_objects)
            for name in ("threshold", "gamma")
            if isinstance(config[name], dict)
        }
        return cls(**{**config, **schedules})


def _at_start(value: Any) -> float:
    return float(value(0) if isinstance(value, _Schedule) else value)


def _check_number(name: str, value: Any, is_in_range: bool) -> None:
    if not is_in_range:
        expected = {"threshold": "0 or more", "gamma": "above 0 and at most 1"}[name]
        raise InputError(f"{name} is {value}, expected a number {expected}, or a schedule.")


def _check_flippable(variable) -> None:
    if not is_quantized(variable):
        raise InputError(
            f"Bop makes weights ±1, but {variable.name} has no quantizer. Give Bop the binary "
            "kernels alone: OptimizerGroup(binary=Bop(), real=...)."
        )
    # TensorFlow records for no tape while an optimizer is built.
    gradient_at = tf.function(lambda x: tf.gradients(variable.quantizer(x), x)[0])
    ones = tf.ones(variable.shape, variable.dtype)
    for weights in (ones, -ones):
        gradient = gradient_at(weights)
        if gradient is None or not tf.reduce_any(gradient != 0):
            raise InputError(
                f"{variable.name}: its quantizer {type(variable.quantizer).__name__} has no "
                'gradient at ±1, so Bop would flip nothing. Use kernel_quantizer="ste_sign".'
            )
