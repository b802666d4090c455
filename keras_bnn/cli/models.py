"""The model argument of `export` and `verify`."""

from pathlib import Path


def load(path: Path):
    """The Keras model at `path`, or `path` itself for a SavedModel that no Keras 2 wrote.

    Raises:
        InputError: If there is no model.
    """
    from keras_bnn import saving

    if (path / "saved_model.pb").exists() and not (path / "keras_metadata.pb").exists():
        return path
    return saving.load_model(path, compile=False)
