"""Going on with a training where it was, on several workers, too."""

import os

from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError


class Resume(keras.callbacks.BackupAndRestore):
    """Keeps a training after every epoch, and goes on with it when the program starts again.

    It is Keras' `BackupAndRestore`, which holds the model, the state of its optimizer and the count
    of epochs, and restores them on all workers of a strategy. It also keeps the last epoch, so
    that a stage that has come to its end is not trained again, and it refuses what that one takes
    in silence or waits on forever: a folder that the workers do not share, or one that holds the
    training of another model. Give each stage of a recipe a folder of its own.

    The order of examples is no part of it: a `Dataset.shuffle` starts over.

    Args:
        folder: Where it is kept; it is made if need be. All workers have to see the same one.

    Raises:
        InputError: In `fit`, if the folder does not fit the model, or is not the same for all.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> examples = np.zeros((8, 8, 8, 1), np.float32), np.zeros(8, np.int64)
    >>> fitted = model.fit(*examples, epochs=2, callbacks=[Resume("run")], verbose=0)
    >>> fitted = model.fit(*examples, epochs=3, callbacks=[Resume("run")], verbose=0)
    >>> fitted.epoch
    [2]
    """

    def __init__(self, folder: str | os.PathLike):
        super().__init__(os.fspath(folder), delete_checkpoint=False)

    def on_train_begin(self, logs=None):
        # Keras has all workers read what the first of them, the chief, has written.
        last = tf.train.latest_checkpoint(os.path.join(self.backup_dir, "chief"))
        self._check_shared(last)
        if last is not None:
            self._check_fits(last)
        super().on_train_begin(logs)

    def _check_shared(self, last: str | None) -> None:
        strategy = self.model.distribute_strategy
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return
        number = tf.constant([int(last.rpartition("-")[2]) if last else 0])

        @tf.function
        def of_all_replicas():
            return tf.distribute.get_replica_context().all_gather(number, axis=0)

        replicas = strategy.experimental_local_results(strategy.run(of_all_replicas))
        numbers = replicas[0].numpy().tolist()
        if len(set(numbers)) > 1:
            raise InputError(
                f"The workers find the checkpoints number {numbers} in {self.backup_dir} (0: none), "
                "expected the same one. Put the folder on storage that all of them see."
            )

    def _check_fits(self, last: str) -> None:
        optimizer = self.model.optimizer
        optimizer.build(self.model.trainable_variables)
        try:
            tf.train.Checkpoint(model=self.model).read(last).assert_existing_objects_matched()
        # TensorFlow's reader of checkpoints raises the LookupError for files cut short.
        except (tf.errors.OpError, AssertionError, LookupError, ValueError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise InputError(
                f"{last} does not fit this model, or is damaged ({reason}). Go on with the model "
                "that it was started with, or choose another folder."
            ) from error
