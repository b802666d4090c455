"""What ten networks become, as `describe` prints it; a change of any operator, size or name shows.

`UPDATE_GOLDEN=1 pytest tests/test_golden_descriptions.py` writes the files of `tests/golden` anew,
for a change that is meant: look at the difference before you commit it.
"""

import os
from pathlib import Path

import networks
import pytest
import tensorflow as tf
from networks import norm

import keras_bnn as kb
from keras_bnn.layers import BinaryConv1D, BinaryConv2D, BinaryDense

layers = tf.keras.layers
GOLDEN = Path(__file__).parent / "golden"


def xnor_net():
    """AlexNet's order of layers, small, with XNOR-Net's α and K."""
    scaled = {"weight_scale": "mean_abs", "input_scale": True, "padding": "same"}
    return tf.keras.Sequential(
        [
            layers.Conv2D(32, 5, strides=2, activation="relu", input_shape=(32, 32, 3)),
            layers.MaxPool2D(2),
            norm(),
            BinaryConv2D(64, 5, **scaled),
            layers.MaxPool2D(2),
            norm(),
            BinaryConv2D(96, 3, **scaled),
            norm(),
            BinaryConv2D(128, 3, weight_scale="mean_abs"),
            norm(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def quick_net():
    """QuickNet's blocks: ReLU within the binary convolution, depthwise transitions."""
    image = tf.keras.Input((32, 32, 3))
    x = norm()(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(image))
    for filters in (32, 64):
        if filters == 64:
            x = layers.MaxPool2D(2)(layers.ReLU()(x))
            x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
            x = norm()(layers.Conv2D(filters, 1, use_bias=False)(x))
        for _ in range(2):
            y = BinaryConv2D(filters, 3, padding="same", activation="relu")(x)
            x = layers.add([x, norm()(y)])
    return tf.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def perceptron():
    """Dense layers alone."""
    return tf.keras.Sequential(
        [
            tf.keras.Input((28, 28)),
            layers.Flatten(),
            BinaryDense(256, input_quantizer=None),
            norm(),
            BinaryDense(256),
            norm(),
            BinaryDense(10),
            norm(),
        ]
    )


def sequence():
    """One-dimensional, causal and dilated."""
    return tf.keras.Sequential(
        [
            tf.keras.Input((64, 8)),
            layers.Conv1D(32, 3, padding="same"),
            norm(),
            BinaryConv1D(32, 3, padding="same"),
            norm(),
            BinaryConv1D(32, 3, dilation_rate=2),
            norm(),
            BinaryConv1D(32, 3, padding="causal"),
            norm(),
            layers.GlobalAveragePooling1D(),
            layers.Dense(4),
        ]
    )


def up_and_down():
    """A small U: pool, up-sampling behind a sign, concatenation of signs."""
    image = tf.keras.Input((16, 16, 32))
    down = norm()(BinaryConv2D(64, 3, padding="same")(layers.MaxPool2D()(image)))
    up = layers.UpSampling2D()(kb.quantizers.SteSign()(down))
    both = layers.concatenate([up, kb.quantizers.SteSign()(image)])
    x = BinaryConv2D(32, 3, padding="same", input_quantizer=None)(both)
    return tf.keras.Model(image, norm()(x))


NETWORKS = (*networks.MAIN, xnor_net, quick_net, perceptron, sequence, up_and_down)


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_description(build, tmp_path):
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(0)
    model = networks.with_trained_statistics(build())
    exported = kb.export.to_tflite(model, tmp_path / "m.tflite", description=build.__doc__)
    assert exported.bytes == exported.path.stat().st_size
    text = _text(exported, tmp_path)
    path = GOLDEN / f"{build.__name__}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert kb.export.verify(model, tmp_path / "m.tflite").ok


def _text(exported, folder: Path) -> str:
    """The fates and the description, without versions and folder, which differ between machines."""
    lines = [*str(exported).splitlines(), "", *str(kb.tflite.describe(exported.path)).splitlines()]
    kept = [line for line in lines if not line.startswith("written by")]
    return "\n".join(kept).replace(f"{folder}{os.sep}", "").rstrip() + "\n"
