"""The folder of a training run: its settings, its checkpoints, its history, its model."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from keras_bnn._keras import tf
from keras_bnn.errors import InputError
from keras_bnn.files import make_folder, replacing, write_atomically
from keras_bnn.training.checkpoints import refusing_what_does_not_fit


class RunFolder:
    """What a run keeps on disk, so that it can go on after an interruption.

    | file            | holds                                                          |
    |-----------------|----------------------------------------------------------------|
    | `settings.json` | what the run was started with                                  |
    | `teacher.keras` | a copy of the teacher, if there is one                         |
    | `checkpoints/`  | for each stage of the recipe, model and optimizer after each   |
    |                 | of its last two finished epochs                                |
    | `history.json`  | the metrics of each finished epoch (null: no number) and its   |
    |                 | seconds, at the end the test accuracy, and whether a callback  |
    |                 | stopped the run                                                |
    | `model.keras`   | the trained model, at the end                                  |

    Args:
        path: The folder. `begin` makes it if need be.
        resume: Whether to go on with a run that is there.

    Attributes:
        stored: The settings that the run was started with; `None` for a new one.
        teacher: The teacher's file, once it is chosen.

    Raises:
        InputError: If a run is there and `resume` is false, or the other way round.
    """

    def __init__(self, path: Path, resume: bool):
        self.path = path
        self.model_path = path / "model.keras"
        self.teacher: Path | None = None
        self._copied_teacher = path / "teacher.keras"
        stored = self._read("settings.json")
        if stored is None and resume:
            raise InputError(f"There is no run in {path} to resume. Leave out resume.")
        if stored is not None and not resume:
            raise InputError(
                f"{path} holds a run already. Resume it, or choose another folder for a new one."
            )
        self.stored = stored

    def choose_teacher(self, given: str | os.PathLike | None) -> str:
        """Takes the teacher that is given, or else the run's own copy.

        Returns:
            A digest of the file, as hexadecimal digits.

        Raises:
            InputError: If there is none, or it cannot be read.
        """
        self.teacher = self._copied_teacher if given is None else Path(given)
        try:
            return hashlib.sha256(self.teacher.read_bytes()).hexdigest()[:16]
        except OSError as error:
            raise InputError(
                f"Cannot read the teacher {self.teacher}: {error.strerror}."
            ) from error

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
        make_folder(self.path)
        if self.teacher not in (None, self._copied_teacher):
            with replacing(self._copied_teacher) as temporary:
                shutil.copyfile(self.teacher, temporary)
            self.teacher = self._copied_teacher
        self._write("settings.json", self._settings)

    def progress(self) -> tuple[list[dict], list[float], bool]:
        """How far the run has come by its last checkpoint.

        Returns:
            The metrics and the seconds of the epochs that it has finished, and whether the training
            stopped there.

        Raises:
            InputError: If the checkpoint is without its history.
        """
        finished = max(map(_last_epoch, self.path.glob("checkpoints/stage_*")), default=0)
        history = self._read("history.json") or {}
        epochs, seconds = history.get("epochs", []), history.get("seconds", [])
        if len(epochs) < finished:
            raise InputError(
                f"{self.path / 'history.json'} holds {len(epochs)} epochs, but the checkpoint has "
                f"finished {finished}. Choose another folder."
            )
        # The history is written first, so it can be one epoch ahead.
        is_stopped = len(epochs) == finished and "stopped" in history
        return epochs[:finished], seconds[:finished], is_stopped

    def track(self, model, stage: int) -> None:
        """Makes a compiled model the one that `finish_epoch` keeps, in the folder of its stage."""
        model.optimizer.build(model.trainable_variables)
        self._checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        folder = self.path / f"checkpoints/stage_{stage}"
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)

    def restore(self, model, stage: int) -> None:
        """Tracks a freshly compiled model, and sets it to the last checkpoint of its stage.

        Raises:
            InputError: If the checkpoint is damaged, or of another model.
        """
        self.track(model, stage)
        last = self._manager.latest_checkpoint
        with refusing_what_does_not_fit(
            last,
            "Resume with the model that the run was started with, or choose another folder.",
        ):
            self._checkpoint.restore(last).assert_existing_objects_matched()

    def finish_epoch(self, epochs: list[dict], seconds: list[float], stopped: bool) -> None:
        """Keeps the figures of all epochs so far, and the tracked model as it is now.

        Raises:
            InputError: If the disk takes no more. The checkpoint before stays the last one.
        """
        self._write("history.json", _history(epochs, seconds, stopped))
        try:
            self._manager.save(checkpoint_number=len(epochs))
        except tf.errors.OpError as error:
            # TensorFlow names the operation and a temporary file around what the disk said.
            reason = error.message.partition(" [Op:")[0].rpartition("; ")[2]
            raise InputError(
                f"Cannot write the checkpoint of epoch {len(epochs)} in {self.path}: {reason}. The "
                "epochs before are kept: make room, and resume."
            ) from error

    def finish(
        self, model, epochs: list[dict], seconds: list[float], stopped: bool, test_accuracy: float
    ) -> dict:
        """Keeps the trained model and its final figure.

        Returns:
            The history of the whole run.
        """
        with replacing(self.model_path) as temporary:
            model.save(temporary)
        history = {**_history(epochs, seconds, stopped), "test_accuracy": test_accuracy}
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


def _history(epochs: list[dict], seconds: list[float], stopped: bool) -> dict:
    return {"epochs": epochs, "seconds": seconds, **({"stopped": True} if stopped else {})}


def _last_epoch(folder: Path) -> int:
    state = tf.train.get_checkpoint_state(folder)
    return int(state.model_checkpoint_path.rpartition("-")[2]) if state else 0


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
