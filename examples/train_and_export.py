"""Train a binarized network on handwritten digits and write it as a 1-bit file."""

import keras_bnn as kb
import tensorflow as tf

digits = kb.data.load("digits")
model = kb.models.BinaryNet(digits.input_shape, digits.num_classes)
model.compile(
    optimizer=tf.keras.optimizers.Adam(5e-3),
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(*digits.train, epochs=3, batch_size=64, verbose=2)

print(kb.summary(model))
print(kb.export.to_tflite(model, "digits.tflite"))
print(kb.export.verify(model, "digits.tflite", digits.test.images))
print(kb.tflite.describe("digits.tflite"))
