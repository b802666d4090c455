"""Train in one process, on all GPUs of a machine, or on several machines: see docs/distributed.md.

Started again, it goes on after the last epoch that it has finished.
"""

import argparse
from pathlib import Path

import keras_bnn as kb
import tensorflow as tf

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--folder", type=Path, default="run", help="one that all machines see")
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument("--batch-size", type=int, default=64, help="of all replicas together")
arguments = parser.parse_args()

# Before anything else of TensorFlow. It finds the other machines in the variable TF_CONFIG, and
# without one takes this machine alone; a replica of the model is for each GPU, or for the CPU.
strategy = tf.distribute.MultiWorkerMirroredStrategy()
replicas, worker = strategy.num_replicas_in_sync, strategy.cluster_resolver.task_id or 0
print(f"worker {worker}, replicas in all: {replicas}", flush=True)
if arguments.batch_size % replicas:
    parser.error(f"a batch of {arguments.batch_size} cannot be shared equally by {replicas}")

# Each worker makes the same batches, in the same order, and takes its part of each.
tf.keras.utils.set_random_seed(0)
digits = kb.data.load("digits")
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
data = (
    tf.data.Dataset.from_tensor_slices(tuple(digits.train))
    .shuffle(len(digits.train.labels))
    .batch(arguments.batch_size, drop_remainder=True)
    .with_options(options)
)

with strategy.scope():
    model = kb.models.BinaryNet(digits.input_shape, digits.num_classes)
    stages = kb.training.presets.quicknet(
        model, epochs=arguments.epochs, steps_per_epoch=len(data), warm_up_epochs=1
    )
    for number, stage in enumerate(stages):
        stage.fit(
            data,
            epochs=arguments.epochs,
            callbacks=[kb.training.Resume(arguments.folder / f"stage-{number}")],
            verbose=2 if worker == 0 else 0,
        )

# All workers have to save, since they read some of the weights together; one file is kept.
saved = arguments.folder / f"model-of-worker-{worker}.keras"
model.save(saved)
if worker == 0:
    saved = saved.replace(arguments.folder / "model.keras")
    print(kb.export.to_tflite(kb.load_model(saved), arguments.folder / "model.tflite"))
else:
    saved.unlink()
