"""A Bi-Real-style network: every binary convolution has a real shortcut around it.

Liu et al., Bi-Real Net, 2018. https://arxiv.org/abs/1808.00278
"""

import keras_bnn as kb
import tensorflow as tf

layers = tf.keras.layers


def block(x, filters):
    """A binary convolution whose real input is added to its output; halves the map if it grows."""
    shortcut, stride = x, 1
    if x.shape[-1] != filters:
        shortcut, stride = layers.Conv2D(filters, 1)(layers.AveragePooling2D()(x)), 2
    x = kb.layers.BinaryConv2D(
        filters,
        3,
        strides=stride,
        padding="same",
        input_quantizer="approx_sign",
        weight_scale="mean_abs",
    )(x)
    return layers.add([layers.BatchNormalization()(x), shortcut])


image = tf.keras.Input((8, 8, 1))
x = layers.BatchNormalization()(layers.Conv2D(32, 3, padding="same", use_bias=False)(image))
for filters in (32, 32, 64, 64):
    x = block(x, filters)
model = tf.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))

digits = kb.data.load("digits")
model.compile(
    "adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)
model.fit(*digits.train, epochs=3, batch_size=64, verbose=2)
print(kb.export.to_tflite(model, "residual.tflite"))
