"""Loading models, with the layers of this package and larq's registered."""

import itertools
import json
import os
import textwrap
import warnings
import zipfile
from pathlib import Path

import h5py

import keras_bnn.constraints
import keras_bnn.layers
import keras_bnn.quantizers
import keras_bnn.training  # noqa: F401
from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError


class UnknownClassError(InputError):
    """A model could not be loaded, most likely for a class that is unknown here.

    Attributes:
        problem: The message without its remedy, which is for Python.
    """

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem} {remedy}")
        self.problem = problem


def load_model(
    path: str | os.PathLike,
    custom_objects: dict | None = None,
    compile: bool = True,
    safe_mode: bool = True,
):
    """Loads a Keras model of which training can continue.

    Args:
        path: A `.keras` or `.h5` file, or the folder of a SavedModel that Keras wrote.
        custom_objects: Classes and functions of your own by name, unless they are registered with
            `tf.keras.utils.register_keras_serializable`.
        compile: Whether to restore the optimizer, loss and metrics too. Keras leaves the state of
            its legacy optimizers (larq's Bop is one) out of `.keras` files, not out of the others.
            Nadam goes on exactly from none: Keras leaves a factor or its count out.
        safe_mode: Whether to refuse a `.keras` file with Python code in it (a Lambda layer of a
            `lambda`), which would run. Keras asks this of no other format.

    Returns:
        A `tf_keras` model, its layers objects of their own classes.

    Raises:
        InputError: If there is no model at `path`, or one of its classes is unknown. (Keras would
            load a SavedModel with unknown classes as stand-ins that pass no `isinstance`.)

    Warns:
        UserWarning: If the optimizer of a SavedModel starts anew, because layers were frozen or
            unfrozen after it had begun.

    >>> path = "model.keras"
    >>> tf.keras.Sequential([keras_bnn.layers.BinaryDense(2, input_shape=(3,))]).save(path)
    >>> load_model(path).layers[0].weight_scale is None
    True
    """
    path = Path(path)
    try:
        _check_kind(path)
    except OSError as error:  # A name that is too long, or a folder that cannot be entered.
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        model = keras.models.load_model(path, custom_objects, compile, safe_mode)
        _restore_optimizer(path, model)
    # Each of Keras' three parsers, and what they call, raises exceptions of its own.
    except Exception as error:
        raise _cannot_load(path, error) from error
    _refuse_stand_ins(path, model)
    return model


def _check_kind(path: Path) -> None:
    expected = "expected a .keras or .h5 file, or the folder of a SavedModel"
    if not path.exists():
        raise InputError(f"There is no {path}: {expected}.")
    if path.is_dir():
        if not (path / "saved_model.pb").exists():
            raise InputError(f"{path} is a folder without saved_model.pb: {expected}.")
        if not (path / "keras_metadata.pb").exists():
            raise InputError(
                f"{path} is a SavedModel that Keras 2 did not write, so its layers are unknown: "
                f"{expected} that Keras 2 wrote."
            )
    elif path.suffix == ".keras":
        if not zipfile.is_zipfile(path):
            raise InputError(
                f"{path} is damaged or cut short, or no .keras file at all: {expected}."
            )
    elif path.suffix not in (".h5", ".hdf5"):
        suffix = f"the suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise InputError(f"{path} has {suffix}: {expected}.")


def _reason(error: Exception) -> str:
    """The innermost of the exceptions that Keras nests in a message, without configurations."""
    message = str(error).rpartition("Exception encountered: ")[2].partition("Full object config")[0]
    return f"{textwrap.shorten(message, 300, placeholder=' …').rstrip('.')}."


def _cannot_load(path: Path, error: Exception) -> InputError:
    version = _keras_version(path)
    if version.startswith("3."):
        return InputError(
            f"{path} was saved by Keras {version}, and Keras 2 cannot load it. Build the model "
            "with Keras 2 (tf_keras), or to export it as it is, write a SavedModel with "
            "model.export(folder) in Keras 3 and export that folder."
        )
    problem = f"{path}: Keras cannot load this model: {_reason(error)}"
    if "safe_mode=False" in str(error):
        return InputError(
            f"{problem} Load it with kb.load_model(path, safe_mode=False) if you trust where it is "
            "from."
        )
    # What a damaged file raises is none of these.
    if isinstance(error, (ValueError, TypeError, AttributeError)):
        return UnknownClassError(
            problem,
            "If a class of yours is missing, import its module first or pass custom_objects.",
        )
    return InputError(f"{problem} The file is damaged: save it again.")


def _keras_version(path: Path) -> str:
    """What a `.keras` or `.h5` file says of the Keras that saved it; nothing if it says nothing."""
    try:
        if path.suffix != ".keras":
            with h5py.File(path) as file:
                return str(file.attrs["keras_version"])
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    # No archive, or a damaged one, whose bytes can raise anything.
    except Exception:
        return ""


def _restore_optimizer(path: Path, model) -> None:
    """Loads what Keras leaves out of a SavedModel: steps, momenta and learning rate."""
    optimizer = getattr(model, "optimizer", None)
    if not path.is_dir() or optimizer is None:
        return
    prefix = str(path / "variables" / "variables")
    # Optimizers of keras.optimizers.legacy have no build; their state waits for its variables.
    if isinstance(optimizer, keras.optimizers.Optimizer):
        optimizer.build(model.trainable_variables)
        # The first counts the steps. One that has not begun has no others.
        shapes = [tuple(variable.shape) for variable in optimizer.variables[1:]]
        if _saved_shapes(prefix) not in ([], shapes):
            warnings.warn(
                f"{path}: the optimizer starts anew, since what it has saved is for other weights "
                "than those that are trainable now. Compile again after freezing layers.",
                stacklevel=3,
            )
            return
    tf.train.Checkpoint(root=model).read(prefix).expect_partial()


def _saved_shapes(prefix: str) -> list[tuple]:
    """The shapes of what an optimizer has for the weights in a checkpoint, in their order."""
    shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    keys = (f"optimizer/_variables/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i in itertools.count(1))
    return [tuple(shapes[key]) for key in itertools.takewhile(shapes.__contains__, keys)]


def _refuse_stand_ins(path: Path, model) -> None:
    for layer in model._flatten_layers():
        # Keras makes the classes of stand-ins in its loader.
        if type(layer).__module__.endswith("saved_model.load"):
            raise UnknownClassError(
                f"{path}: the class {type(layer).__name__!r} of {layer.name!r} is unknown here.",
                "Import the module that defines it (and registers it with "
                "tf.keras.utils.register_keras_serializable), or pass custom_objects.",
            )
