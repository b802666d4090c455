"""The model argument of `export` and `verify`."""

from pathlib import Path

from keras_bnn.errors import InputError


def load(path: Path):
    """The Keras model at `path`, or `path` itself for a SavedModel that no Keras 2 wrote.

    Raises:
        InputError: If there is no model.
    """
    from keras_bnn import saving

    if (path / "saved_model.pb").exists() and not (path / "keras_metadata.pb").exists():
        return path
    try:
        return saving.load_model(path, compile=False)
    except saving.UnknownClassError as error:
        raise InputError(
            f"{error.problem} If a class of yours is missing, no command can know it: in Python, "
            "import its module, and call kb.load_model, kb.export.to_tflite and kb.export.verify."
        ) from error
