"""SavedModels as input of the export: of plain TensorFlow, of Keras 2 and of Keras 3."""

import os
import subprocess
import sys
import textwrap

import networks
import numpy as np
import pytest
import tensorflow as tf

import keras_bnn as kb
from keras_bnn.errors import InputError


class Module(tf.Module):
    """A convolution with XNOR-Net's scale, and a second one; two inputs, two outputs."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(0)
        self.first = tf.Variable(random.normal(size=(3, 3, 32, 40)).astype(np.float32))
        self.second = tf.Variable(random.normal(size=(3, 3, 40, 8)).astype(np.float32))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 8, 8, 32], name="zeta"),
            tf.TensorSpec([None, 4, 4, 8], name="alpha"),
        ]
    )
    def __call__(self, zeta, alpha):
        scale = tf.reduce_mean(tf.abs(self.first), [0, 1, 2])
        x = tf.nn.conv2d(_sign(zeta), _sign(self.first) * scale, 1, "VALID")
        y = tf.nn.conv2d(_sign(x - 0.3), _sign(self.second), 1, "VALID")
        return {"sum": y + alpha, "first": x}


def _sign(x):
    return tf.where(x >= 0, 1.0, -1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "module"
    tf.saved_model.save(Module(), str(path))
    return path


def test_a_saved_model_is_exported_1bit_and_verified(folder, tmp_path):
    exported, graph = networks.exported(folder, tmp_path / "m.tflite")
    assert [(fate.kind, fate.fate) for fate in exported.layers] == [("Conv2D", "1-bit")] * 2
    assert [fate.kernel_shape for fate in exported.layers] == [(3, 3, 32, 40), (3, 3, 40, 8)]
    assert [port.name for port in graph.inputs] == ["alpha", "zeta"]
    assert [port.name for port in graph.outputs] == ["first", "sum"]
    verification = kb.export.verify(folder, tmp_path / "m.tflite")
    assert verification.ok, verification
    # The signs of zeta, and of x - 0.3.
    assert verification.signs == 2 * 16 * (8 * 8 * 32 + 6 * 6 * 40)  # on two engines


def test_the_commands_take_a_saved_model(run, folder, tmp_path):
    assert run("export", folder, "-o", tmp_path / "m.tflite").status == 0
    assert run("verify", folder, tmp_path / "m.tflite").status == 0


def test_verify_sees_the_file_of_another_saved_model(folder, tmp_path):
    other = Module()
    other.second.assign(-other.second)
    other.first.assign(tf.reverse(other.first, [0]))
    tf.saved_model.save(other, str(tmp_path / "other"))
    kb.export.to_tflite(folder, tmp_path / "m.tflite")
    verification = kb.export.verify(tmp_path / "other", tmp_path / "m.tflite")
    assert not verification.ok
    assert verification.problems


def test_a_saved_model_of_keras_2_gives_the_same_operators_as_the_model(tmp_path):
    layers = [
        kb.layers.BinaryConv2D(8, 3, padding="same", weight_scale="mean_abs"),
        tf.keras.layers.BatchNormalization(),
        tf.keras.layers.Flatten(),
        kb.layers.BinaryDense(5),
    ]
    model = networks.with_trained_statistics(
        tf.keras.Sequential([tf.keras.Input((6, 6, 32)), *layers])
    )
    model.save(tmp_path / "model", save_format="tf")
    _, of_model = networks.exported(model, tmp_path / "m.tflite")
    exported, of_folder = networks.exported(tmp_path / "model", tmp_path / "f.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"] * 2
    assert [op.name for op in of_folder.operators] == [op.name for op in of_model.operators]
    assert kb.export.verify(tmp_path / "model", tmp_path / "f.tflite").ok


def test_a_layer_that_would_stay_float_is_refused_by_its_name_in_the_graph(tmp_path):
    class Grouped(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 32], name="x")])
        def __call__(self, x):
            with tf.name_scope("grouped"):
                kernel = _sign(tf.reshape(tf.range(3 * 3 * 16 * 8.0) % 2 - 0.5, [3, 3, 16, 8]))
                return {"y": tf.nn.conv2d(_sign(x), kernel, 1, "VALID")}

    tf.saved_model.save(Grouped(), str(tmp_path / "model"))
    with pytest.raises(kb.export.ExportError, match=r"grouped \(Conv2D\)"):
        kb.export.to_tflite(tmp_path / "model", tmp_path / "m.tflite")
    exported, _ = networks.exported(
        tmp_path / "model", tmp_path / "m.tflite", allow_float=["grouped"]
    )
    assert [fate.fate for fate in exported.layers] == ["float"]


def test_folders_without_a_usable_signature_are_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(InputError, match="expected 'serving_default'"):
        kb.export.to_tflite(tmp_path / "empty", tmp_path / "m.tflite")
    with pytest.raises(InputError, match="is no SavedModel"):
        kb.export.to_tflite(tmp_path, tmp_path / "m.tflite")
    (tmp_path / "saved_model.pb").write_bytes(b"text")
    with pytest.raises(InputError, match="cannot load this SavedModel"):
        kb.export.to_tflite(tmp_path, tmp_path / "m.tflite")


KERAS_3 = """
    import keras
    from keras import layers, ops

    class Convolution(layers.Conv2D):
        def call(self, x):
            kernel = ops.where(self.kernel >= 0, 1.0, -1.0)
            kernel *= ops.mean(ops.abs(self.kernel), axis=(0, 1, 2))
            return ops.conv(ops.where(x >= 0, 1.0, -1.0), kernel, padding=self.padding)

    class Dense(layers.Dense):
        def call(self, x):
            x += ops.stop_gradient(ops.where(x >= 0, 1.0, -1.0) - x)
            return ops.matmul(x, ops.sign(ops.sign(self.kernel) + 0.1))

    keras.utils.set_random_seed(0)
    image = layers.Input((12, 12, 3), name="image")
    x = layers.BatchNormalization()(layers.Conv2D(32, 3)(image))
    x = Convolution(64, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(layers.MaxPooling2D()(x))
    x = Convolution(64, 3, use_bias=False)(x)
    x = layers.Flatten()(layers.BatchNormalization(beta_initializer="random_normal")(x))
    x = layers.BatchNormalization()(Dense(40, use_bias=False)(x))
    keras.Model(image, layers.Dense(10)(x)).export(FOLDER, verbose=False)
"""


@pytest.mark.slow
def test_a_keras_3_model_goes_through_the_same_rules(tmp_path):
    script = textwrap.dedent(KERAS_3).replace("FOLDER", repr(str(tmp_path / "model")))
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0", "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    exported, graph = networks.exported(tmp_path / "model", tmp_path / "m.tflite")
    assert [fate.fate for fate in exported.layers] == ["1-bit"] * 3
    assert any("stop_gradient" in note for note in exported.notes)
    names = [operator.name for operator in graph.operators]
    assert names.count("LceBconv2d") == 3
    assert names.count("LceBMaxPool2d") == 1
    verification = kb.export.verify(tmp_path / "model", tmp_path / "m.tflite")
    assert verification.ok, verification
