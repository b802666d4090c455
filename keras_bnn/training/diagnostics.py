"""What a binary network's weights and signs do while it is trained."""

import math
import os
import warnings
from typing import Any

import numpy as np

from keras_bnn._keras import keras, tf
from keras_bnn.errors import InputError, NotLearningWarning
from keras_bnn.signature import signature_of
from keras_bnn.training.before_signs import BeforeSign, before_signs
from keras_bnn.training.causes import EpochFigures, KernelFigures, likely_causes
from keras_bnn.training.checks import whole_number
from keras_bnn.training.distillation import Distillation
from keras_bnn.training.histograms import HistogramWriter
from keras_bnn.training.saturation import has_latent_weights
from keras_bnn.training.sign_inputs import SignInput, sign_inputs
from keras_bnn.training.signs import Sign
from keras_bnn.training.watched_kernels import WatchedKernel, watched_kernels


class Diagnostics(keras.callbacks.Callback):
    """Tells what the binary weights and the signs do, and why a network does not learn.

    After each epoch `logs` has these shares, over the whole network and for each layer
    ("flip_ratio" and "flip_ratio/binary_1", say):

    | figure                   | of                                                              |
    |--------------------------|-----------------------------------------------------------------|
    | `flip_ratio`             | binary weights: other signs at the end of the epoch than before |
    | `flip_ratio_per_step`    | binary weights: flipped by one step, on average                 |
    | `saturation`             | latent weights: at their clip                                   |
    | `dead_channels`          | channels in front of a sign: one value on all of `inputs`       |
    | `constant_sign_channels` | channels in front of a sign: one sign there; dead ones, too     |
    | `blocked_gradients`      | values in front of a sign: it passes no gradient for them       |

    Channels are measured after the epoch, as in inference, over all positions. Counting flips takes
    a pass over the binary weights after each step (after each execution, where Keras runs several
    steps in one). A kernel without a clip, or trained by Bop, which has no latent weights, has no
    `saturation`. Callbacks that come after this one see the figures: Keras' CSVLogger, TensorBoard
    and History. Give layers names of their own, since Keras numbers others anew in each process.

    The training is not changed. Of a `Distillation`, this is about the student.

    Args:
        inputs: Samples for the channels, as the model takes them, 2 or more; some hundreds show
            what is constant. All of them run at once.
        log_dir: A folder for TensorBoard, for histograms after each epoch: `latent_weights`;
            `pre_sign`, the values in front of a sign, all of which are kept in memory for it; and
            `flips`, the share of weights that flipped in the epoch, of each output channel.
            With several workers, give each its own.
        per_layer: Whether `logs` has the figures of each layer, too.
        patience: For how many epochs the training loss may stand still before the learning rate is
            suspected.

    Raises:
        InputError: If a value is out of range; when the training begins, if the model is not built
            or does not take `inputs`.

    Warns:
        NotLearningWarning: Once for each likely cause, with the layer and the remedy. At once: all
            that reaches a sign is 0 or more, as behind a ReLU; nothing normalizes it and hardly any
            gradient passes, or no sign changes; the loss is no number. After `patience` epochs: no
            gradient passes in spite of a normalization. Where the loss stands still: signs flip to
            and fro in every step, latent weights are saturated since the first epoch, or hardly
            any sign has flipped since then (as when a trained network is tuned at a low rate).
            Where none of this shows, nothing is said.
        UserWarning: If the model has neither a binary kernel nor a sign.

    >>> digits = keras_bnn.data.load("digits")
    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile(keras.optimizers.Adam(0.01), loss)
    >>> diagnostics = Diagnostics(digits.train.images[:64], per_layer=False)
    >>> history = model.fit(*digits.train, batch_size=256, verbose=0, callbacks=[diagnostics])
    >>> 0 < history.history["flip_ratio"][0] < 0.5
    True
    """

    # Keras declares it as None, and sets it before the training begins.
    model: Any

    def __init__(
        self,
        inputs: Any,
        *,
        log_dir: str | os.PathLike | None = None,
        per_layer: bool = True,
        patience: int = 5,
    ):
        super().__init__()
        self._inputs = inputs
        self._per_layer = per_layer
        self._patience = whole_number("patience", patience, unit=" of epochs")
        self._histograms = None if log_dir is None else HistogramWriter(log_dir)
        self._network: Any = None
        self._epochs: list[EpochFigures] = []
        self._warned: set[str] = set()

    def on_train_begin(self, logs=None):
        """Looks for the binary kernels, the first time that this model is trained."""
        network = self.model.student if isinstance(self.model, Distillation) else self.model
        if network is self._network:
            return
        if not network.built:
            raise InputError(
                f"The model {network.name!r} is not built, so it has no weights yet. Call it on "
                "data once, or give its first layer an input_shape."
            )
        self._samples = _checked_inputs(network, self._inputs)
        self._watched = watched_kernels(network)
        self._after_step = tf.function(self._count_flips, autograph=False)
        self._all_before: dict[Sign, BeforeSign] | None = None
        self._network, self._is_new = network, True

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the signs."""
        if self._is_new and not self._goes_on(epoch):
            self._epochs = []
        self._is_new = False
        for kernel in self._watched:
            kernel.begin_epoch(keep_signs=self._histograms is not None)

    def _count_flips(self) -> None:
        for kernel in self._watched:
            kernel.after_step()

    def _goes_on(self, epoch: int) -> bool:
        """Whether a new model is the last one, built anew to go on with the same weights."""
        if not self._epochs:
            return False
        last = self._epochs[-1]
        sizes = [kernel.weights for kernel in last.kernels]
        return epoch == last.number + 1 and sizes == [kernel.weights for kernel in self._watched]

    def on_train_batch_end(self, batch, logs=None):
        """Counts the flips of the step."""
        if self._watched:
            self._after_step()

    def on_epoch_end(self, epoch, logs=None):
        """Measures, adds to `logs`, writes histograms, and warns."""
        logs = {} if logs is None else logs
        latent = has_latent_weights(self.model.optimizer)
        trained = {id(weight) for weight in self._network.trainable_weights}
        kernels = [each.figures(id(each.variable) in trained, latent) for each in self._watched]
        signs = sign_inputs(self._network, self._samples, self._histograms is not None)
        if not kernels and not signs:
            told = "has no binary kernel and no sign, so there is nothing to tell of it."
            self._warn_once("nothing", f"{self._network.name} {told}", UserWarning)
        loss = float(logs.get("loss", math.nan))
        blocked = {sign.label: sign.blocked for sign in signs}
        self._epochs.append(EpochFigures(epoch, loss, kernels, blocked))
        logs.update(_of_kernels(kernels, self._per_layer))
        logs.update(_of_signs(signs, self._per_layer))
        if self._histograms is not None:
            _write(self._histograms, self._watched, signs, epoch)
        for cause in likely_causes(self._epochs, signs, self._before, self._patience, latent):
            self._warn_once(cause.kind, cause.message, NotLearningWarning)

    def _before(self, sign: SignInput) -> BeforeSign:
        """Traces the model only where something is wrong with a sign."""
        if self.model.run_eagerly:
            # It may be a model that has no graph, so what comes before its signs is unknown.
            return BeforeSign()
        if self._all_before is None:
            self._all_before = before_signs(self._network, self._samples)
        return self._all_before.get(sign.sign, BeforeSign())

    def _warn_once(self, kind: str, message: str, category: type[Warning]) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(message, category, stacklevel=2)


def _of_kernels(kernels: list[KernelFigures], per_layer: bool) -> dict[str, float]:
    figures = {}
    for name in ("flip_ratio", "flip_ratio_per_step", "saturation"):
        values = {each.label: (getattr(each, name), each.weights) for each in kernels}
        figures |= _shares(name, values, per_layer)
    return figures


def _of_signs(signs: list[SignInput], per_layer: bool) -> dict[str, float]:
    dead = {each.label: (each.dead.mean(), each.channels) for each in signs}
    constant = {each.label: (each.constant_sign.mean(), each.channels) for each in signs}
    blocked = {each.label: (each.blocked, each.channels) for each in signs}
    return {
        **_shares("dead_channels", dead, per_layer),
        **_shares("constant_sign_channels", constant, per_layer),
        **_shares("blocked_gradients", blocked, per_layer),
    }


def _shares(name: str, of_layers: dict[str, tuple], per_layer: bool) -> dict[str, float]:
    """The share over all layers, which count as much as they are large, and that of each."""
    known = {label: pair for label, pair in of_layers.items() if pair[0] is not None}
    if not known:
        return {}
    shares, sizes = zip(*known.values(), strict=True)
    layers = {f"{name}/{label}": float(share) for label, (share, _) in known.items()}
    return {name: float(np.average(shares, weights=sizes)), **(layers if per_layer else {})}


def _write(writer: HistogramWriter, kernels: list[WatchedKernel], signs, epoch: int) -> None:
    for kernel in kernels:
        writer.write(f"latent_weights/{kernel.label}", kernel.latent(), epoch)
        writer.write(f"flips/{kernel.label}", kernel.flips_of_channels(), epoch)
    for sign in signs:
        writer.write(f"pre_sign/{sign.label}", np.concatenate(sign.values), epoch)
    writer.flush()


def _checked_inputs(network, inputs: Any) -> Any:
    """The samples as tensors, in the structure that `network` takes."""
    if network.save_spec() is None:
        # Built from a shape alone, so only its call knows what it takes.
        samples = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    else:
        signature = signature_of(network)
        samples = signature.pack([tf.constant(each) for each in signature.as_inputs(inputs)])
    count = len(tf.nest.flatten(samples)[0])
    if count < 2:
        raise InputError(
            f"The inputs of Diagnostics hold {count} sample, expected 2 or more, some hundreds if "
            "possible: what is constant shows between samples."
        )
    return samples
