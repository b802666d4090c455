"""What all tests share: Keras 2 before TensorFlow, quiet logs, and a seed that can be changed."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Processes that tests start take the installed package, too, and not the folder they start in.
os.environ.setdefault("PYTHONSAFEPATH", "1")

# Chooses Keras 2, which has to come before the first `import tensorflow` of any test.
import keras_bnn  # isort: skip

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


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs a command in this process; returns a `commands.Ran`."""
    from commands import Ran

    return lambda *arguments: Ran(monkeypatch, capfd, *arguments)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A saved model, its exported file, and samples."""
    import networks

    folder = tmp_path_factory.mktemp("exported")
    model = networks.with_trained_statistics(networks.binary_net_with_dense())
    model.save(folder / "model.keras")
    keras_bnn.export.to_tflite(model, folder / "model.tflite")
    np.save(folder / "in.npy", np.ones((3, 8, 8, 1), np.float32))
    return folder


def pytest_report_header():
    return f"KERAS_BNN_TEST_SEED={SEED}"
