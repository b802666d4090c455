"""Keras against the exported file."""

import os
from dataclasses import asdict, dataclass

import numpy as np

from keras_bnn._keras import tf
from keras_bnn.errors import InputError
from keras_bnn.runtime.interpreter import Interpreter
from keras_bnn.signature import output_names, signature_of

# Rounding of float32 in the float operators of a network, relative to its largest output.
_TOLERANCE = 1e-4
# A sum within rounding of 0 may get another sign on the device, and one sign can move an output
# far. That happens to single samples; a wrong file is wrong for nearly all.
_LEAST_SHARE = 0.9
_RANDOM_SAMPLES = 16


@dataclass(frozen=True)
class Verification:
    """How far Keras and the file are apart.

    Attributes:
        ok: Whether at least nine samples in ten are equal within rounding: no output differs by
            more than 1e-4 of the largest output. (A sum within rounding of 0 can get another sign
            in the file, which moves that sample's outputs.)
        samples: How many samples were compared.
        equal: Share of the samples that are equal within rounding.
        max_abs_difference: The largest difference of an output, in units of that output.
        agreement: Share of the samples of which the largest value of every output is at the same
            place (the same class).
    """

    ok: bool
    samples: int
    equal: float
    max_abs_difference: float
    agreement: float

    def to_dict(self) -> dict:
        """The same as plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{'equal' if self.ok else 'DIFFERENT'}: {self.equal:.1%} of {self.samples} samples "
            f"equal within rounding, {self.agreement:.1%} with the same class, largest difference "
            f"{self.max_abs_difference:.3g}"
        )


def verify(model, path: str | os.PathLike, inputs=None) -> Verification:
    """Compares a Keras model with an exported file, on LCE's reference kernels.

    Inputs and outputs are matched by name, a single one whatever its name.

    Args:
        model: The built Keras 2 model that was exported.
        path: The .tflite file.
        inputs: Samples, as `model.predict` takes them (an array, a list, or a dict by name).
            Without them, 16 standard normal ones.

    Returns:
        What was compared, and whether it is equal.

    Raises:
        InputError: If the inputs do not fit the model, or the file has other inputs or outputs.

    >>> model = keras_bnn.models.BinaryNet((8, 8, 1), 10)
    >>> exported = keras_bnn.export.to_tflite(model, "model.tflite")
    >>> verify(model, "model.tflite").ok
    True
    """
    signature = signature_of(model)
    interpreter = Interpreter(path)
    if inputs is None:
        arrays = signature.random_inputs(_RANDOM_SAMPLES, seed=1)
    else:
        arrays = signature.as_inputs(inputs)
    _check_names("inputs", signature.input_names, interpreter.input_names)
    expected = _run_keras(model, signature, arrays)
    _check_names("outputs", tuple(expected), interpreter.output_names)
    by_name = dict(zip(signature.input_names, arrays, strict=True))
    got = interpreter.predict(by_name if len(arrays) > 1 else arrays)
    if not isinstance(got, dict):
        got = {next(iter(expected)): got}
    return _compare(expected, got)


def _run_keras(model, signature, arrays) -> dict[str, np.ndarray]:
    outputs: list[dict] = []
    batch = 64
    for start in range(0, len(arrays[0]), batch):
        part = [tf.constant(array[start : start + batch]) for array in arrays]
        result = model(signature.pack(part), training=False)
        names = output_names(model, result)
        outputs.append(dict(zip(names, tf.nest.flatten(result), strict=True)))
    return {name: np.concatenate([part[name].numpy() for part in outputs]) for name in outputs[0]}


def _check_names(what: str, of_model: tuple[str, ...], of_file: tuple[str, ...]) -> None:
    # Keras numbers names that nobody chose, so the same model built twice has different ones.
    if len(of_model) == len(of_file) == 1:
        return
    if sorted(of_model) != sorted(of_file):
        raise InputError(
            f"The file has {what} {sorted(of_file)}, expected the model's, {sorted(of_model)}. Is "
            "it another model's file?"
        )


def _compare(expected: dict[str, np.ndarray], got: dict[str, np.ndarray]) -> Verification:
    samples = len(next(iter(expected.values())))
    equal, same_class = np.ones(samples, bool), np.ones(samples, bool)
    largest = 0.0
    for name, keras_output in expected.items():
        if keras_output.shape != got[name].shape:
            raise InputError(
                f"Output {name!r} of the file has shape {got[name].shape}, expected "
                f"{keras_output.shape}. Is it another model's file?"
            )
        a = keras_output.reshape(samples, -1).astype(np.float64)
        b = got[name].reshape(samples, -1).astype(np.float64)
        difference = np.abs(a - b).max(axis=1)
        equal &= difference <= _TOLERANCE * np.abs(a).max()
        same_class &= a.argmax(axis=1) == b.argmax(axis=1)
        largest = max(largest, float(difference.max()))
    share = float(equal.mean())
    return Verification(
        ok=share >= _LEAST_SHARE,
        samples=samples,
        equal=share,
        max_abs_difference=largest,
        agreement=float(same_class.mean()),
    )
