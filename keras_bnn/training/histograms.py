"""Histograms for TensorBoard, written without it."""

import os
from pathlib import Path

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.errors import InputError

_BUCKETS = 30


class HistogramWriter:
    """Writes histograms as TensorBoard's plugin reads them.

    `tf.summary.histogram` would need TensorBoard where the training runs; TensorFlow alone writes
    the same event, a tensor of rows (left edge, right edge, count).

    Args:
        folder: For the event file; made if need be.

    Raises:
        InputError: If the folder cannot be made or written.
    """

    def __init__(self, folder: str | os.PathLike):
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except (OSError, TypeError) as error:
            raise InputError(
                f"Cannot make the folder {folder} for TensorBoard: "
                f"{getattr(error, 'strerror', None) or error}. Choose another log_dir."
            ) from error
        if not os.access(folder, os.W_OK):
            raise InputError(f"The folder {folder} is not writable. Choose another log_dir.")
        self._folder = os.fspath(folder)
        self._writer = None
        summary = tf.compat.v1.Summary.Value()
        summary.metadata.plugin_data.plugin_name = "histograms"
        # TensorBoard looks for histograms among the tensors.
        summary.metadata.data_class = 2
        self._metadata = summary.metadata.SerializeToString()

    def write(self, tag: str, values: np.ndarray, step: int) -> None:
        """Adds one histogram of all finite `values`."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self._folder)
        counts, edges = np.histogram(values[np.isfinite(values)], _BUCKETS)
        rows = np.stack([edges[:-1], edges[1:], counts], axis=1).astype(np.float64)
        with self._writer.as_default():
            tf.summary.write(tag, rows, step, self._metadata)

    def flush(self) -> None:
        """Leaves all that was written in the file."""
        if self._writer is not None:
            self._writer.flush()
