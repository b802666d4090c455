"""Latent weights that a layer reads as given signs and scales.

A sign alone needs no search: ±m reads as ±1 for any m > 0. A scale that is the mean of |W| (or the
magnitude of the mean of W) does: the float mean of n equal numbers s is s only if its partial sums
happen to round well, and another order of summation, on another processor, rounds otherwise. So
the weights of a channel are made integer multiples of one power of two, whose sum and all of whose
partial sums fit the mantissa: they are exact in every order, and one division gives the scale.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_bnn._keras import larq, tf
from keras_bnn.layers.binary_layer import BinaryLayer
from keras_bnn.layers.scales import weight_scale
from keras_bnn.probe import BinaryKernel

_CALLS = (larq.layers_base.BaseLayer.call, BinaryLayer.call)
_PACKAGES = ("keras_bnn", "larq", "tf_keras")


@dataclass(frozen=True)
class KernelReader:
    """How one layer reads one of its quantized kernels in the forward pass.

    Attributes:
        layer: The layer.
        quantizer: The kernel's quantizer.
    """

    layer: Any
    quantizer: Callable

    @property
    def reads_latents(self) -> bool:
        """Whether `layer` may use the latent kernel otherwise than `matches` knows."""
        if getattr(self.layer.call, "__func__", None) not in _CALLS:
            return True
        methods = [
            getattr(self.layer, name, None)
            for name in ("convolution_op", "multiply", "weight_factor")
        ]
        return any(
            getattr(method, "__module__", "").split(".")[0] not in _PACKAGES
            for method in methods
            if method is not None
        )

    def read(self, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The quantized values of `latent`, and the scale that the layer takes from it."""
        # Under a mixed precision policy a layer casts its kernel first, and -1e-9 becomes -0.0.
        cast = tf.cast(latent, self.layer.compute_dtype)
        kind = getattr(self.layer, "weight_scale", None)
        scale = None if kind is None else weight_scale(cast, kind).numpy()
        return self.quantizer(cast).numpy(), scale

    def split(self, latent: np.ndarray) -> BinaryKernel | None:
        """The signs and the scale of `latent` as read; `None` if they are not all of it."""
        values, scale = self.read(latent)
        kernel = BinaryKernel.from_values(values)
        if kernel is None or scale is None:
            return kernel
        return BinaryKernel(kernel.signs, scale) if kernel.scale is None else None

    def matches(self, latent: np.ndarray, kernel: BinaryKernel) -> np.ndarray:
        """Whether `latent` reads as `kernel`, for each channel."""
        values, scale = self.read(latent)
        expected = kernel.signs
        if scale is None:
            expected = expected if kernel.scale is None else expected * kernel.scale
            scale = kernel.scale
        equal = (values == expected).reshape(-1, values.shape[-1]).all(axis=0)
        if (scale is None) != (kernel.scale is None):
            return np.zeros_like(equal)
        return equal if scale is None else equal & (scale == kernel.scale)


def latent_kernel(
    kernel: BinaryKernel, magnitude: float, dtype: np.dtype, readers: list[KernelReader]
) -> np.ndarray | None:
    """Latent weights that all `readers` read as `kernel`.

    Args:
        kernel: Signs of shape (..., channels), and their scale.
        magnitude: The magnitude of the weights of a kernel without a scale.
        dtype: That of the kernel's variable.
        readers: The layers that hold the variable.

    Returns:
        Shape and signs of `kernel.signs`, or `None` if none were found.
    """
    shape = kernel.signs.shape
    found, missing = np.zeros(shape, dtype), np.ones(shape[-1], bool)
    for latent in _candidates(kernel, magnitude, dtype, readers):
        good = missing & np.all([reader.matches(latent, kernel) for reader in readers], axis=0)
        found[..., good] = latent[..., good]
        missing &= ~good
        if not missing.any():
            return found
    return None


def _candidates(kernel, magnitude, dtype, readers) -> Iterator[np.ndarray]:
    if kernel.scale is None:
        yield (kernel.signs * magnitude).astype(dtype)
        return
    # TensorFlow sums bfloat16 in float32, where equal numbers have exact sums.
    if kernel.scale.dtype.isbuiltin == 1:
        absolute = getattr(readers[0].layer, "weight_scale", None) != "abs_mean"
        yield _with_mean(kernel.signs, kernel.scale, absolute).astype(dtype)
    yield (kernel.signs * kernel.scale).astype(dtype)


def _with_mean(signs: np.ndarray, scale: np.ndarray, absolute: bool) -> np.ndarray:
    """Weights whose mean (of magnitudes, if `absolute`) is the scale s.

    They sum to T = fl(n·s), and fl(T / n) = s, because s itself came from a division fl(T' / n).
    Where floats near T lie at most n·ulp(s) apart, T / n is within ulp(s) / 2 of s. Where they lie
    further apart, T' is the one nearest to n·s, so T is T'. All weights are exact in the dtype of
    the scale, in which the layer computes it.
    """
    negative = signs.reshape(-1, signs.shape[-1]) < 0
    dtype = scale.dtype
    with np.errstate(over="ignore"):
        total = (np.float64(len(negative)) * scale).astype(dtype)
    total = np.where(np.isfinite(total), total, 0).astype(np.float64)
    digits = np.finfo(dtype).nmant + 1
    fraction, exponent = np.frexp(total)
    units = np.ldexp(fraction, digits).astype(np.int64)
    if absolute:
        shares = _shared_out(units, np.ones_like(negative))
    else:
        shares = _shared_out_signed(units, negative, digits)
    magnitudes = np.ldexp(shares.astype(np.float64), exponent - digits)
    return np.where(negative, -magnitudes, magnitudes).reshape(signs.shape)


def _shared_out(units: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Integers, as equal as can be, that sum to `units` over the `members` of each column."""
    share, rest = np.divmod(units, np.maximum(members.sum(axis=0), 1))
    return share + (np.cumsum(members, axis=0, dtype=np.int32) <= rest)


def _shared_out_signed(units: np.ndarray, negative: np.ndarray, digits: int) -> np.ndarray:
    """Integers k >= 0 for which |Σ ±k| is `units` and no partial sum exceeds 2**digits.

    The negative weights sum to -(units + p), the p of all others together to p. Those may be 0,
    which reads as +1, so that there are always enough units.
    """
    count, below = len(negative), negative.sum(axis=0)
    # Without a negative weight all share the sum; with one, `each` is what the others get.
    members = negative | (below == 0)
    others = np.where(below == 0, 0, count - below)
    room = (2**digits - units) // np.maximum(others, 1)
    each = np.minimum(room, np.maximum(units, 2 ** (digits - 1)) // count)
    return np.where(members, _shared_out(units + others * each, members), each)
