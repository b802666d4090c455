"""Reading TensorFlow checkpoints, which may be damaged or of another model."""

import contextlib
import textwrap
from collections.abc import Iterator

from keras_bnn._keras import tf
from keras_bnn.errors import InputError


@contextlib.contextmanager
def refusing_what_does_not_fit(prefix: str, remedy: str) -> Iterator[None]:
    """Turns what TensorFlow raises while it reads the checkpoint `prefix` into one line.

    Raises:
        InputError: With `remedy`, if the checkpoint is damaged, or of another model.
    """
    try:
        yield
    # TensorFlow's reader of checkpoints raises the LookupError for files cut short.
    except (tf.errors.OpError, AssertionError, LookupError, ValueError) as error:
        reason = textwrap.shorten(str(error), 200, placeholder=" …")
        raise InputError(
            f"{prefix} does not fit this model, or is damaged ({reason}). {remedy}"
        ) from error
