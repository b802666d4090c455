"""Learning rates over the steps of a training."""

from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError

_Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.utils.register_keras_serializable("keras_bnn")
class WarmUp(_Schedule):
    """Rises evenly from 0 to the start of another schedule, which it then follows.

    Args:
        schedule: One of `keras.optimizers.schedules`.
        steps: Training steps of the rise, 0 or more. The first one has the rate 0.

    Raises:
        InputError: If `steps` is negative.

    >>> falls = keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.1, 0.01])
    >>> rate = WarmUp(falls, steps=4)
    >>> [round(float(rate(step)), 3) for step in (0, 2, 4, 9, 10)]
    [0.0, 0.05, 0.1, 0.1, 0.01]
    """

    def __init__(self, schedule, steps: int):
        if steps < 0:
            raise InputError(f"steps is {steps}, expected 0 or more.")
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rising = self.schedule(tf.constant(0.0)) * step / max(self.steps, 1)
        after = self.schedule(tf.maximum(step - self.steps, 0.0))
        return tf.where(step < self.steps, rising, after)

    def get_config(self):
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        return cls(keras.optimizers.schedules.deserialize(config["schedule"]), config["steps"])


def cosine(peak: float, steps: int, warm_up: int = 0) -> _Schedule:
    """The schedule that rises evenly to `peak` and falls in a half cosine to 0 at the last step.

    It is Keras' own `CosineDecay`, asked for by the steps of a whole training.

    Args:
        peak: The highest learning rate, above 0.
        steps: Training steps in all: epochs × steps of an epoch.
        warm_up: How many of them rise.

    Raises:
        InputError: If nothing is left of the steps after the rise, or `peak` is not above 0.

    >>> rate = cosine(0.1, steps=14, warm_up=4)
    >>> [round(float(rate(step)), 3) for step in (0, 2, 4, 9, 14)]
    [0.0, 0.05, 0.1, 0.05, 0.0]
    """
    if not peak > 0:
        raise InputError(f"peak is {peak}, expected a number above 0.")
    if not 0 <= warm_up < steps:
        raise InputError(f"warm_up is {warm_up} of {steps} steps, expected 0 or more, but fewer.")
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=peak, warmup_steps=warm_up
    )
