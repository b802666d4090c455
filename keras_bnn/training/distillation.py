"""Learning from a teacher: its logits, and where in an image it looks."""

from collections.abc import Mapping, Sequence

from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError


class Distillation(keras.Model):
    """A student that learns from labels and from a trained teacher; compile and fit it as any.

    To the loss that it is compiled with it adds, in training,

        weight · T² · KL(softmax(t / T) ‖ softmax(s / T))
        + attention_weight · Σ over pairs of maps of |q(student's) − q(teacher's)|²

    averaged over the batch, for logits t of the teacher and s of the student. q(A) is the sum of
    A² over the channels of a map A, as a vector of unit length over its positions. (The code of
    attention's authors has the mean over the positions in place of the sum.) Compile with
    `loss_weights=[0.0]` to learn from the teacher alone.

    It predicts as the student does, has its weights, and saves it: `save` writes the student,
    and a `tf.train.Checkpoint` of this model has no teacher. In evaluation the loss is that of
    the labels alone.

    Args:
        student: The model to train: from inputs to logits.
        teacher: A trained model of the same inputs and outputs. It predicts as in inference, and
            is not trained.
        weight: Of the logits' term, 0 or more.
        temperature: T above 0: higher ones tell more of the classes that are not the best.
        attention: Layers whose output maps (batch, height, width, channels) are compared: names
            that both models have, or a mapping from the student's names to the teacher's. Both
            models have to be Sequential or functional then.
        attention_weight: Of the maps' term, 0 or more.
        name: The model's name.

    Raises:
        InputError: If a model ends in a softmax, the outputs or the maps differ in shape, a layer
            is unknown, or a number is out of range.

    >>> student = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> teacher = keras_bnn.models.float_twin(student)
    >>> model = Distillation(student, teacher, temperature=2.0, attention=["norm_1", "norm_2"])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("adam", loss, metrics=["accuracy"])

    References:
        Hinton et al., Distilling the Knowledge in a Neural Network, 2015.
        https://arxiv.org/abs/1503.02531
        Zagoruyko and Komodakis, Paying More Attention to Attention, 2017.
        https://arxiv.org/abs/1612.03928
    """

    def __init__(
        self,
        student,
        teacher,
        *,
        weight: float = 1.0,
        temperature: float = 1.0,
        attention: Sequence[str] | Mapping[str, str] = (),
        attention_weight: float = 1.0,
        name: str = "distillation",
    ):
        super().__init__(name=name)
        _check_numbers(weight, temperature, attention_weight)
        _check_logits(student, teacher)
        pairs = attention if isinstance(attention, Mapping) else {each: each for each in attention}
        students_maps = _with_maps(student, "student", [*pairs])
        teachers_maps = _with_maps(teacher, "teacher", [*pairs.values()])
        _check_maps(pairs, students_maps.outputs[1:], teachers_maps.outputs[1:])
        self.student = student
        self._weight, self._temperature = weight, temperature
        self._attention_weight = attention_weight
        # Behind functions, Keras takes the teacher for no part of this model.
        self._learn = lambda inputs: students_maps(inputs, training=True)
        self._teach = lambda inputs: teachers_maps(inputs, training=False)
        # All weights are there, so that they can be restored before the first step.
        self.built = True

    def call(self, inputs, training=False):
        if not training:
            return self.student(inputs, training=False)
        # Models of one output give it bare.
        logits, *maps = tf.nest.flatten(self._learn(inputs))
        taught = tf.nest.flatten(self._teach(inputs))
        expected, *expected_maps = [tf.stop_gradient(each) for each in taught]
        loss = self._weight * _logits_loss(expected, logits, self._temperature)
        for ours, theirs in zip(maps, expected_maps, strict=True):
            loss += self._attention_weight * _attention_loss(ours, theirs)
        self.add_loss(loss)
        return logits

    def save(self, *arguments, **options):
        """Saves the student, as `keras.Model.save` does."""
        self.student.save(*arguments, **options)


def _logits_loss(teacher, student, temperature: float):
    teacher = tf.nn.log_softmax(tf.cast(teacher, tf.float32) / temperature)
    student = tf.nn.log_softmax(tf.cast(student, tf.float32) / temperature)
    divergence = tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=-1)
    return temperature**2 * tf.reduce_mean(divergence)


def _attention_loss(student, teacher):
    difference = _attention(student) - _attention(teacher)
    # Squared, because the length itself has no gradient where both look alike.
    return tf.reduce_mean(tf.reduce_sum(difference**2, axis=-1))


def _attention(maps):
    energy = tf.reduce_sum(tf.cast(maps, tf.float32) ** 2, axis=-1)
    return tf.math.l2_normalize(tf.reshape(energy, [tf.shape(energy)[0], -1]), axis=-1)


def _with_maps(model, role: str, names: list[str]):
    """`model`, with the outputs of its layers `names` behind its own."""
    if not getattr(model, "inputs", None) or not hasattr(model, "layers"):
        raise InputError(
            f"The {role} is a subclassed model, or not built: Distillation takes Sequential and "
            "functional models."
        )
    known = {layer.name: layer for layer in model.layers}
    for name in names:
        if name not in known:
            raise InputError(f"The {role} {model.name} has no layer {name!r} for attention.")
    maps = [known[name].get_output_at(0) for name in names]
    return keras.Model(model.inputs, [*model.outputs, *maps])


def _check_numbers(weight: float, temperature: float, attention_weight: float) -> None:
    for name, value in (("weight", weight), ("attention_weight", attention_weight)):
        if not value >= 0:
            raise InputError(f"{name} is {value}, expected 0 or more.")
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}, expected a number above 0.")


def _check_logits(student, teacher) -> None:
    for role, model in (("student", student), ("teacher", teacher)):
        last = model.layers[-1]
        if isinstance(last, keras.layers.Softmax) or (
            getattr(last, "activation", None) is keras.activations.softmax
        ):
            raise InputError(
                f"The {role} ends in a softmax ({last.name}), expected logits: leave it out, and "
                "use a loss with from_logits=True."
            )
    if student.output_shape != teacher.output_shape:
        raise InputError(
            f"The student has outputs of shape {student.output_shape}, the teacher of "
            f"{teacher.output_shape}, expected the same."
        )


def _check_maps(pairs: Mapping[str, str], students: list, teachers: list) -> None:
    for (ours, theirs), a, b in zip(pairs.items(), students, teachers, strict=True):
        # Channels may differ: they are summed.
        if a.shape.rank != 4 or a.shape[:-1].as_list() != b.shape[:-1].as_list():
            raise InputError(
                f"Attention compares maps of the same height and width, got {ours} of shape "
                f"{a.shape} and {theirs} of shape {b.shape}."
            )
