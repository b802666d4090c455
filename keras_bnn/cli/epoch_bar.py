"""A bar that fills within each epoch, for who waits at a terminal."""

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_bnn._keras import keras


@contextlib.contextmanager
def epoch_bar() -> Iterator[list]:
    """Yields the callbacks that draw the bar on standard error: none if that is no terminal.

    The bar is gone when an epoch or the block ends, in an error too.
    """
    # Not rich's own answer, which is yes in a pipe if FORCE_COLOR is set.
    if not sys.stderr.isatty():
        yield []
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    try:
        yield [_Bar(bar)]
    finally:
        bar.stop()


class _Bar(keras.callbacks.Callback):
    def __init__(self, bar: Progress):
        super().__init__()
        self._bar = bar

    def on_epoch_begin(self, epoch, logs=None):
        steps = self.params["steps"]  # pyright: ignore[reportOptionalSubscript]
        self._task = self._bar.add_task(f"epoch {epoch + 1}", total=steps)
        self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        self._bar.advance(self._task)

    def on_epoch_end(self, epoch, logs=None):
        self._bar.stop()
        self._bar.remove_task(self._task)
