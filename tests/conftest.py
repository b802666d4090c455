"""What all tests share: Keras 2 before TensorFlow, quiet logs, and a seed that can be changed."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Chooses Keras 2, which has to come before the first `import tensorflow` of any test.
import keras_bnn  # noqa: F401  # isort: skip

import numpy as np
import pytest

SEED = int(os.environ.get("KERAS_BNN_TEST_SEED", "0"))


@pytest.fixture(autouse=True)
def _seeded():
    """Makes Keras' random numbers those of KERAS_BNN_TEST_SEED (0 unless it is set)."""
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].utils.set_random_seed(SEED)


@pytest.fixture
def generator():
    """A NumPy generator; pytest shows the printed seed where a test fails."""
    print(f"KERAS_BNN_TEST_SEED={SEED}")
    return np.random.default_rng(SEED)


def pytest_report_header():
    return f"KERAS_BNN_TEST_SEED={SEED}"
