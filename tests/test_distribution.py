"""Training on several replicas is that of one."""

import subprocess
import sys

import pytest

MIRRORED = """
import keras_bnn as kb, numpy as np
from keras_bnn._keras import keras, tf
from keras_bnn.training import Bop, OptimizerGroup, cosine, synchronize_batch_norm

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
images, labels = (part[:256] for part in kb.data.load("digits").train)
binary = {"adam": keras.optimizers.Adam, "bop": lambda rate: Bop(1e-5, 1e-2)}[NAME]

def compiled():
    keras.utils.set_random_seed(0)
    model = kb.models.BinaryNet((8, 8, 1), 10)
    synchronize_batch_norm(model)
    sgd = keras.optimizers.SGD(0.1, momentum=0.9)
    group = OptimizerGroup(binary(cosine(1e-2, 20, 4)), sgd)
    model.compile(group, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def fit(model):
    model.fit(images, labels, batch_size=64, epochs=2, shuffle=False, verbose=0)

single = compiled()
fit(single)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    mirrored = compiled()
fit(mirrored)
assert int(mirrored.optimizer.iterations.numpy()) == 8
kernels = 0
for a, b in zip(single.weights, mirrored.weights, strict=True):
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5, err_msg=a.name)
    if kb.probe.is_quantized(a):
        kernels += 1
        assert ((a.numpy() >= 0) == (b.numpy() >= 0)).all(), a.name
assert kernels == 3
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "bop"])
def test_two_replicas_train_what_one_process_does(name, tmp_path):
    """In a process of its own, since devices are shared out before TensorFlow's first operation."""
    program = MIRRORED.replace("NAME", repr(name))
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
