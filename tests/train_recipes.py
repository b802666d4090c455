"""The program of test_distribution.py: small networks trained by recipes, under a strategy.

    python train_recipes.py one|mirrored|workers FOLDER STEP RECIPE...

It goes on with what is in FOLDER, prints a line at the end of each training step, and waits there
to be killed if the line is STEP. For each recipe it writes the trained weights to RECIPE.npz.
"""

import os
import sys
from pathlib import Path

import numpy as np

import keras_bnn as kb
from keras_bnn._keras import keras, tf
from keras_bnn.layers import BinaryConv2D
from keras_bnn.training import (
    Bop,
    Distillation,
    OptimizerGroup,
    Resume,
    cosine,
    presets,
    synchronize_batch_norm,
    two_step,
)

EPOCHS, STEPS, BATCH_SIZE = 5, 4, 64
LENGTH = {"epochs": EPOCHS, "steps_per_epoch": STEPS}


def strategy_of(name):
    if name == "workers":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, halves)
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return tf.distribute.get_strategy()


def examples():
    parts = [part[: STEPS * BATCH_SIZE] for part in kb.data.load("digits").train]
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return tf.data.Dataset.from_tensor_slices(tuple(parts)).batch(BATCH_SIZE).with_options(options)


def network():
    return keras.Sequential(
        [
            keras.layers.Conv2D(16, 3, use_bias=False, input_shape=(8, 8, 1)),
            keras.layers.BatchNormalization(),
            BinaryConv2D(16, 3, padding="same", name="binary"),
            keras.layers.BatchNormalization(name="block"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


def compiled(model, optimizer):
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def plain_batch_norm(model, teacher):
    yield compiled(model, keras.optimizers.Adam(1e-2))


def bop_in_two_steps(model, teacher):
    for step in two_step(model):
        optimizer = keras.optimizers.SGD(
            cosine(0.1, EPOCHS * STEPS, warm_up=STEPS),
            momentum=0.9,
            weight_decay=1e-4,
            global_clipnorm=1.0,
        )
        if step is model:
            optimizer = OptimizerGroup(Bop(threshold=1e-5, gamma=1e-2), optimizer)
        yield compiled(step, optimizer)


def distillation(model, teacher):
    synchronize_batch_norm(model)
    student = Distillation(model, teacher, temperature=2.0, attention=["block"])
    yield compiled(student, keras.optimizers.Adam(1e-2, use_ema=True))


def quicknet(model, teacher):
    return presets.quicknet(model, warm_up_epochs=1, **LENGTH)


def reactnet(model, teacher):
    return presets.reactnet(model, teacher, **LENGTH)


def real_to_binary(model, teacher):
    return presets.real_to_binary(model, teacher, attention=["block"], **LENGTH)


class Tell(keras.callbacks.Callback):
    def __init__(self, stage, wait_at):
        super().__init__()
        self.stage, self.wait_at = stage, wait_at

    def on_train_batch_end(self, batch, logs=None):
        line = f"{self.stage} {int(self.model.optimizer.iterations.numpy())}"
        print(line, flush=True)
        if line == self.wait_at:
            sys.stdin.read()


def train(name, strategy, data, folder, wait_at):
    keras.utils.set_random_seed(0)
    keras.backend.reset_uids()  # By the layers' names weights are compared.
    with strategy.scope():
        model, teacher = network(), kb.models.float_twin(network())
        if strategy.num_replicas_in_sync == 1:
            synchronize_batch_norm(model)  # Its moving variance has another divisor.
        for number, stage in enumerate(globals()[name](model, teacher)):
            stage_name = f"{name} {number}"
            callbacks = [Resume(folder / stage_name.replace(" ", "-")), Tell(stage_name, wait_at)]
            stage.fit(data, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    return model


def main(strategy_name, folder, wait_at, *names):
    # Once rounding turns the sign of an activation two trainings part: float64 hardly rounds.
    keras.backend.set_floatx("float64")
    tf.config.experimental.enable_op_determinism()
    strategy = strategy_of(strategy_name)
    data, folder = examples(), Path(folder)
    for name in names:
        model = train(name, strategy, data, folder, wait_at)
        # All workers read them together.
        arrays = {weight.name: weight.numpy() for weight in model.weights}
        if strategy.extended.should_checkpoint:
            np.savez(folder / f"{name}.npz", **arrays)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main(*sys.argv[1:])
