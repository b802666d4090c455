"""Going on with a training where it was, on several workers, too."""

import os
from typing import Any

from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError
from keras_bnn.training.checkpoints import refusing_what_does_not_fit


class Resume(keras.callbacks.BackupAndRestore):
    """Keeps a training after every epoch, and goes on with it when the program starts again.

    It is Keras' `BackupAndRestore`, which holds the model, the state of its optimizer and the count
    of epochs, and restores them on all workers of a strategy. It also keeps the last epoch, so
    that a stage that has come to its end is not trained again, and it refuses the training of
    another model, and a folder that is not the same for all workers. Give each stage of a recipe a
    folder of its own.

    The order of the examples is no part of it: `Dataset.shuffle` starts anew.

    Args:
        folder: Where it is kept; it is made if need be.

    Raises:
        InputError: In `fit`, if the model is not built, the folder cannot be made, or what is in it
            does not fit the model, is damaged, or is not what the other workers find.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> examples = np.zeros((8, 8, 8, 1), np.float32), np.zeros(8, np.int64)
    >>> fitted = model.fit(*examples, epochs=2, callbacks=[Resume("run")], verbose=0)
    >>> model.fit(*examples, epochs=3, callbacks=[Resume("run")], verbose=0).epoch
    [2]
    """

    def __init__(self, folder: str | os.PathLike):
        super().__init__(os.fspath(folder), delete_checkpoint=False)

    def on_train_begin(self, logs=None):
        """Restores what is in the folder."""
        model: Any = self.model
        if not model.built:
            raise InputError(
                f"{model.name} is not built, so it has no weights to restore: build it."
            )
        try:
            tf.io.gfile.makedirs(self.backup_dir)
        except tf.errors.OpError as error:
            raise InputError(
                f"Cannot make the folder {self.backup_dir}: {error.message}."
            ) from error
        # All workers read what the first of them, the chief, has written.
        last = tf.train.latest_checkpoint(f"{self.backup_dir}/chief")
        self._check_same_for_all(last)
        if last is not None:
            self._check_fits(last)
        super().on_train_begin(logs)

    def _check_same_for_all(self, last: str | None) -> None:
        model: Any = self.model
        strategy = model.distribute_strategy
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return
        epochs = tf.constant([0 if last is None else int(last.rpartition("-")[2])])

        @tf.function
        def of_all_replicas():
            return tf.distribute.get_replica_context().all_gather(epochs, axis=0)

        gathered = strategy.experimental_local_results(strategy.run(of_all_replicas))
        found = gathered[0].numpy().tolist()
        if len(set(found)) > 1:
            raise InputError(
                f"The replicas find {found} epochs in {self.backup_dir}, expected the same number "
                "everywhere. Choose a folder on storage that all workers see."
            )

    def _check_fits(self, last: str) -> None:
        model: Any = self.model
        if isinstance(model.optimizer, keras.optimizers.Optimizer):  # And none of the legacy ones.
            model.optimizer.build(model.trainable_variables)
        with refusing_what_does_not_fit(
            last,
            "Go on with the model that it was started with, or choose another folder.",
        ):
            read = tf.train.Checkpoint(model=model).read(last)
            # Keras restores its own counts.
            read.assert_existing_objects_matched().expect_partial()
