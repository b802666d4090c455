"""How many binary weights change their signs."""

from keras_bnn._keras import keras, tf


@keras.utils.register_keras_serializable("keras_bnn")
class FlipRatio(keras.metrics.Mean):
    """The mean share of weights whose sign changed from one update to the next.

    Update it with a kernel after every step, as `Diagnostics` does. Latent weights count as the
    signs that they read as, 0 as +1; of booleans, True is +1. `reset_state` begins a new mean, and
    still compares the next values with the last ones.

    Args:
        name: The metric's name.
        dtype: Of the mean; the default is Keras' own.

    >>> flips = FlipRatio()
    >>> for kernel in ([0.3, -0.2], [0.1, -0.4], [-0.1, -0.5]):
    ...     flips.update_state(kernel)
    >>> float(flips.result())
    0.25

    References:
        Liu et al., How Do Adam and Training Strategies Help BNNs Optimization?, 2021.
        https://arxiv.org/abs/2106.11309
    """

    def __init__(self, name="flip_ratio", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._before = None

    def update_state(self, values, sample_weight=None):
        """Compares the signs of `values`, of any shape, with those of the last update.

        Raises:
            ValueError: If there are `sample_weight`s, or the shape is another than before.
        """
        if sample_weight is not None:
            raise ValueError("FlipRatio counts every weight alike: leave sample_weight out.")
        values = tf.convert_to_tensor(values)
        positive = values if values.dtype == tf.bool else values >= 0
        if self._before is None:
            # Keras makes variables in the default graph, which may be that of a tf.function.
            with tf.init_scope():
                self._before = self._state("before", positive.shape, "bool")
                self._is_known = self._state("is_known", (), self.dtype)
        if positive.shape != self._before.shape:
            raise ValueError(
                f"{self.name} was updated with values of shape {tuple(self._before.shape)} and now "
                f"with {tuple(positive.shape)}: use one FlipRatio for each kernel."
            )
        flipped = tf.cast(positive != self._before, tf.float32)
        super().update_state(tf.reduce_mean(flipped), sample_weight=self._is_known)
        self._before.assign(positive)
        self._is_known.assign(1)

    def reset_state(self):
        """Begins a new mean."""
        for variable in (self.total, self.count):
            variable.assign(0)

    def _state(self, name: str, shape, dtype):
        # Each replica has the same kernel, so nothing is to be summed over them.
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
