"""Optimizers of their own for binary kernels and for the rest."""

import warnings
from typing import Any

from keras_bnn._keras import from_registered, keras, tf
from keras_bnn.errors import InputError
from keras_bnn.probe import is_quantized


@keras.utils.register_keras_serializable("keras_bnn")
class OptimizerGroup(keras.optimizers.Optimizer):
    """Trains the kernels that have a quantizer with one optimizer, all other weights with another.

    Which is which is asked of the variables themselves, and the state is kept in the order of the
    model's trainable variables, so that training goes on exactly from a checkpoint or a saved
    model, in another process too.

    Each of the two has its own learning rate or schedule, weight decay and clipping; a
    `global_clipnorm` is that of its own gradients. There is no one learning rate: callbacks such
    as `LearningRateScheduler` can set `optimizer.binary.learning_rate`.

    Args:
        binary: For kernels with a quantizer (ternary ones, say, too): a Keras optimizer, or its
            name.
        real: For the rest: biases, batch normalization, real kernels.
        name: The optimizer's name.

    Raises:
        InputError: If one is a legacy optimizer, or both are the same object.

    Warns:
        UserWarning: If the model turns out to have no kernel with a quantizer.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> adam, sgd = keras.optimizers.Adam(1e-2), keras.optimizers.SGD(0.1, momentum=0.9)
    >>> model.compile(OptimizerGroup(binary=adam, real=sgd), "sparse_categorical_crossentropy")
    """

    def __init__(self, binary: Any, real: Any, name: str = "OptimizerGroup"):
        super().__init__(name=name)
        self.binary: Any = _optimizer("binary", binary)
        self.real: Any = _optimizer("real", real)
        if self.binary is self.real:
            raise InputError(
                "binary and real are the same optimizer object, which can hold the state of one "
                "set of weights only. Make two."
            )

    def build(self, var_list):
        """Makes the state of both optimizers."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        for optimizer, variables in self._shares(var_list, key=lambda variable: variable):
            optimizer.build(variables)
            # Their own counts of steps, the first, equal that of the group.
            self._variables.extend(optimizer.variables[1:])
        if not any(map(is_quantized, var_list)):
            warnings.warn(
                "OptimizerGroup: no kernel of this model has a quantizer, so its optimizer "
                f"{self.binary.name!r} trains nothing.",
                stacklevel=2,
            )

    def apply_gradients(
        self, grads_and_vars, name=None, skip_gradients_aggregation=False, **kwargs
    ):
        """Applies to each weight its gradient with its optimizer, as Keras' own do."""
        pairs = list(grads_and_vars)
        if not pairs:
            return self.iterations
        with tf.init_scope():
            self.build([variable for _, variable in pairs])
        if not skip_gradients_aggregation and kwargs.get("experimental_aggregate_gradients", True):
            pairs = self.aggregate_gradients(pairs)
        for optimizer, share in self._shares(pairs, key=lambda pair: pair[1]):
            optimizer.apply_gradients(share, name=name, skip_gradients_aggregation=True)
        # The count has one value for all replicas, so it is not theirs to change.
        return tf.__internal__.distribute.interim.maybe_merge_call(
            lambda strategy: self.iterations.assign_add(1), self._distribution_strategy
        )

    def update_step(self, gradient, variable):
        """Is not called: each optimizer of the group updates its own weights."""
        raise NotImplementedError

    def finalize_variable_values(self, var_list):
        """Lets both set the final values, where they keep averages (`use_ema`)."""
        for optimizer, variables in self._shares(var_list, key=lambda variable: variable):
            optimizer.finalize_variable_values(variables)

    @property
    def learning_rate(self):
        raise InputError(
            "OptimizerGroup has no one learning rate. Read or set that of its parts: "
            "optimizer.binary.learning_rate and optimizer.real.learning_rate."
        )

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        _ = self.learning_rate

    def save_own_variables(self, store):
        """Saves the count of steps. Keras saves both optimizers, as parts, by themselves."""
        store["0"] = self.iterations.numpy()

    def load_own_variables(self, store):
        self.iterations.assign(store["0"][()])

    def set_weights(self, weights):
        """Sets `variables` to what they were: the steps, then the state of `binary` and `real`."""
        super().set_weights(weights)
        for optimizer in (self.binary, self.real):
            optimizer.iterations.assign(self.iterations)

    def get_config(self):
        return {
            "name": self.name,
            "binary": keras.optimizers.serialize(self.binary),
            "real": keras.optimizers.serialize(self.real),
            # Keras takes an optimizer that does not say so for a legacy one.
            "is_legacy_optimizer": False,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            name: from_registered(config[name])
            or keras.optimizers.deserialize(config[name], custom_objects)
            for name in ("binary", "real")
        }
        return cls(**parts, name=config["name"])

    def _shares(self, items, key):
        """Each optimizer with its share of `items`, whose variable `key` gives."""
        binary = [item for item in items if is_quantized(key(item))]
        real = [item for item in items if not is_quantized(key(item))]
        return (self.binary, binary), (self.real, real)


def _optimizer(name: str, identifier: Any):
    optimizer = keras.optimizers.get(identifier)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        kind = f"{type(optimizer).__module__}.{type(optimizer).__name__}"
        raise InputError(
            f"{name} is of class {kind}, expected one of keras.optimizers, not of "
            "keras.optimizers.legacy (larq's are legacy: use keras_bnn.training.Bop)."
        )
    return optimizer
