"""Random networks are exported 1-bit, and equal to Keras sign by sign.

A longer run: `python tests/test_random_networks.py FIRST COUNT`.
"""

import collections
import sys
import tempfile
from pathlib import Path

# Chooses Keras 2, which as a script nothing else has done before larq is imported.
import keras_bnn as kb  # isort: skip

import pytest
import random_networks
import tensorflow as tf

from keras_bnn.errors import InputError

COUNT = 200


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, COUNT, 20))
def test_random_networks_are_1bit_and_right(first, tmp_path):
    for seed in range(first, first + 20):
        outcome = outcome_of(seed, tmp_path / "m.tflite")
        assert outcome in ("right", "refused"), f"seed {seed}: {outcome}"


def outcome_of(seed: int, path: Path) -> str:
    """What became of the network of `seed`: "right", "refused", or what is wrong."""
    tf.keras.backend.clear_session()
    model = random_networks.build(seed)
    try:
        exported = kb.export.to_tflite(model, path)
    except InputError as error:
        # Rows 48 and 49 of the table in one network.
        return "refused" if "None of LCE's kernels" in str(error) else str(error)
    except kb.export.ExportError as error:
        return str(error)
    stayed_float = [fate for fate in exported.layers if fate.fate == "float"]
    if stayed_float:
        return f"float: {stayed_float}"
    verification = kb.export.verify(model, path)
    if verification.unproven:
        return f"unproven: {verification.unproven}"
    return "right" if verification.ok else str(verification)


def main(first: int, count: int) -> None:
    outcomes: collections.Counter = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            try:
                outcome = outcome_of(seed, Path(folder) / "m.tflite")
            except Exception as error:  # A long run goes on.
                outcome = f"{type(error).__name__}: {error}"
            outcomes["wrong" if outcome not in ("right", "refused") else outcome] += 1
            if outcome not in ("right", "refused"):
                print(f"seed {seed}: {outcome}", flush=True)
    print(dict(outcomes), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
