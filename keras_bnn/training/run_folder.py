"""The folder of a training run: its settings, its checkpoints, its history, its model."""

import json
import textwrap
from pathlib import Path

from keras_bnn._keras import tf
from keras_bnn.errors import InputError
from keras_bnn.files import replacing, write_atomically


class RunFolder:
    """What a run keeps on disk, so that it can go on after an interruption.

    | file            | holds                                                          |
    |-----------------|----------------------------------------------------------------|
    | `settings.json` | what the run was started with                                  |
    | `checkpoints/`  | model and optimizer after each of the last two finished epochs |
    | `history.json`  | the metrics of each finished epoch (null: no number), at the   |
    |                 | end the test's, and whether a callback stopped the run         |
    | `model.keras`   | the trained model, at the end                                  |

    Args:
        path: The folder. `begin` makes it if need be.
        resume: Whether to go on with a run that is there.

    Attributes:
        stored: The settings that the run was started with; `None` for a new one.

    Raises:
        InputError: If a run is there and `resume` is false, or the other way round.
    """

    def __init__(self, path: Path, resume: bool):
        self.path = path
        self.model_path = path / "model.keras"
        stored = self._read("settings.json")
        if stored is None and resume:
            raise InputError(f"There is no run in {path} to resume. Leave out resume.")
        if stored is not None and not resume:
            raise InputError(
                f"{path} holds a run already. Resume it, or choose another folder for a new one."
            )
        self.stored = stored

    def settle(self, settings: dict) -> None:
        """Fixes what the run depends on, as plain values.

        Raises:
            InputError: If the run was started with other settings.
        """
        if self.stored is not None:
            _check_equal(self.path, self.stored, settings)
        self._settings = settings

    def begin(self) -> None:
        """Makes the folder, and from now on holds a run that can be resumed.

        Raises:
            InputError: If the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"Cannot make the folder {self.path}: {error.strerror}.") from error
        self._write("settings.json", self._settings)

    def restore(self, model) -> tuple[list[dict], bool]:
        """Sets a freshly compiled model to its last checkpoint.

        Returns:
            The metrics of the epochs that the checkpoint has finished, and whether the training
            stopped there.

        Raises:
            InputError: If the checkpoint is damaged, of another model, or without its history.
        """
        model.optimizer.build(model.trainable_variables)
        self._epoch = tf.Variable(tf.constant(0, tf.int64))
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, epoch=self._epoch)
        self._manager = tf.train.CheckpointManager(
            checkpoint, str(self.path / "checkpoints"), max_to_keep=2
        )
        if self._manager.latest_checkpoint:
            _restore(checkpoint, self._manager.latest_checkpoint)
        finished = int(self._epoch.numpy())
        history = self._read("history.json") or {}
        epochs = history.get("epochs", [])
        if len(epochs) < finished:
            raise InputError(
                f"{self.path / 'history.json'} holds {len(epochs)} epochs, but the checkpoint has "
                f"finished {finished}. Choose another folder."
            )
        # The history is written first, so it can be one epoch ahead.
        return epochs[:finished], len(epochs) == finished and "stopped" in history

    def finish_epoch(self, epochs: list[dict], stopped: bool) -> None:
        """Keeps the metrics of all epochs so far, and the model as it is now.

        Raises:
            InputError: If the disk takes no more. The checkpoint before stays the last one.
        """
        self._write("history.json", _history(epochs, stopped))
        self._epoch.assign(len(epochs))
        try:
            self._manager.save(checkpoint_number=len(epochs))
        except tf.errors.OpError as error:
            # TensorFlow names the operation and a temporary file around what the disk said.
            reason = error.message.partition(" [Op:")[0].rpartition("; ")[2]
            raise InputError(
                f"Cannot write the checkpoint of epoch {len(epochs)} in {self.path}: {reason}. The "
                "epochs before are kept: make room, and resume."
            ) from error

    def finish(self, model, epochs: list[dict], stopped: bool, test_accuracy: float) -> dict:
        """Keeps the trained model and its final figure.

        Returns:
            The history of the whole run.
        """
        with replacing(self.model_path) as temporary:
            model.save(temporary)
        history = {**_history(epochs, stopped), "test_accuracy": test_accuracy}
        self._write("history.json", history)
        return history

    def finished(self) -> dict | None:
        """The history of a run that has come to its end."""
        history = self._read("history.json")
        is_finished = history and "test_accuracy" in history and self.model_path.is_file()
        return history if is_finished else None

    def _read(self, name: str) -> dict | None:
        path = self.path / name
        try:
            value = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}). Choose another folder.") from error
        if not isinstance(value, dict):
            raise InputError(f"{path} holds no JSON object. Choose another folder.")
        return value

    def _write(self, name: str, value: dict) -> None:
        write_atomically(self.path / name, json.dumps(value, indent=2, allow_nan=False).encode())


def _history(epochs: list[dict], stopped: bool) -> dict:
    return {"epochs": epochs, **({"stopped": True} if stopped else {})}


def _restore(checkpoint, prefix: str) -> None:
    try:
        checkpoint.restore(prefix).assert_existing_objects_matched()
    # TensorFlow's reader of checkpoints raises the LookupError for files cut short.
    except (tf.errors.OpError, AssertionError, LookupError, ValueError) as error:
        raise InputError(
            f"{prefix} does not fit this model, or is damaged ({_brief(error)}). Resume with the "
            "model that the run was started with, or choose another folder."
        ) from error


def _brief(error: Exception) -> str:
    return textwrap.shorten(str(error), 200, placeholder=" …")


def _check_equal(path: Path, stored: dict, settings: dict) -> None:
    different = [
        f"{name} {stored.get(name)!r}, now {value!r}"
        for name, value in settings.items()
        if stored.get(name) != value
    ]
    if different:
        raise InputError(
            f"The run in {path} was started with {'; '.join(different)}. Resume it with the same "
            "settings, or choose another folder."
        )
