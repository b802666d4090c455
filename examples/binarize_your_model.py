"""Make a binary network of a float model, train it further, and write it as a 1-bit file."""

import keras_bnn as kb
import tensorflow as tf

layers = tf.keras.layers
digits = kb.data.load("digits")


def trained(model, epochs):
    """Trains `model`, with a learning rate that falls to 0: else signs flip to the end."""
    rate = tf.keras.optimizers.schedules.CosineDecay(3e-3, epochs * len(digits.train.labels) // 32)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(*digits.train, batch_size=32, epochs=epochs, verbose=0)
    print(f"{model.name}: {model.evaluate(*digits.test, verbose=0)[1]:.1%} of the test images")
    return model


# A model as you may have it: biases, ReLUs, dropout, no batch normalization.
model = tf.keras.Sequential(
    [
        layers.Conv2D(32, 3, padding="same", activation="relu", input_shape=(8, 8, 1)),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(10),
    ],
    name="mine",
)
trained(model, epochs=6)

# With some of the training images, batch norms start with the right means and variances.
binarized = kb.training.binarize(model, examples=digits.train.images[:512])
print(binarized)
binary = trained(binarized.model, epochs=10)

print(kb.export.to_tflite(binary, "mine.tflite"))
print(kb.export.verify(binary, "mine.tflite", digits.test.images))
