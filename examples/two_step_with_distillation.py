"""Train a binary network in two steps, each of them taught by a float network, and export it.

In the first step inputs are signs and weights are real; in the second, weights are signs, too.

Liu et al., ReActNet, 2020. https://arxiv.org/abs/2003.03488
"""

import keras_bnn as kb
import tensorflow as tf

EPOCHS, BATCH = 10, 32


def train(model):
    """Plain Keras: compile, fit, evaluate."""
    batches = -(-len(digits.train.images) // BATCH)
    rate = tf.keras.optimizers.schedules.CosineDecay(5e-3, EPOCHS * batches)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(rate),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(*digits.train, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    accuracy = model.evaluate(*digits.test, verbose=0)[1]
    print(f"{model.name}: {accuracy:.2%} of the test images")


tf.keras.utils.set_random_seed(0)
digits = kb.data.load("digits")
binary = kb.models.BinaryNet(digits.input_shape, digits.num_classes)
teacher = kb.models.float_twin(binary)
train(teacher)
for step in kb.training.two_step(binary):
    # The second step starts from the weights that the first has now, and trains `binary` itself.
    train(kb.training.Distillation(step, teacher, temperature=2.0, name=step.name))

print(kb.export.to_tflite(binary, "digits.tflite"))
print(kb.export.verify(binary, "digits.tflite", digits.test.images))
