"""Where a test ends a training."""

from keras_bnn._keras import tf


def interrupt_save(monkeypatch, number: int):
    """Ends the process, as seen from `train`, where it would write that checkpoint."""
    save = tf.train.CheckpointManager.save

    def interrupted(self, checkpoint_number=None, **options):
        if checkpoint_number == number:
            raise KeyboardInterrupt
        return save(self, checkpoint_number=checkpoint_number, **options)

    monkeypatch.setattr(tf.train.CheckpointManager, "save", interrupted)
