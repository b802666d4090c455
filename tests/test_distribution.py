"""Training on several replicas and in several processes is that of one, also after a kill.

Every strategy has processes of its own: it is set up before TensorFlow's first operation.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("train_recipes.py")
RECIPES = ["bop_in_two_steps", "distillation", "quicknet", "reactnet", "real_to_binary"]
PLAIN = "plain_batch_norm"
KILLED = "bop_in_two_steps"
# In the second epoch of its second stage.
KILLED_AT = f"{KILLED} 1 6"
# Seconds, far more than anything here takes: only what hangs is so slow.
PATIENCE = 600


@pytest.fixture
def start():
    """Starts tests/train_recipes.py; kills what is left of it at the end."""
    processes = []

    def started(strategy, folder, *recipes, wait_at="never", name="log", **environment):
        folder.mkdir(exist_ok=True)
        log = folder / f"{name}.txt"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, PROGRAM, strategy, folder, wait_at, *recipes],
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        process.log = log
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def start_workers(start):
    """Starts two workers on loopback, on ports that nobody else gets while the test runs."""
    sockets = []

    def started(folder, *recipes, wait_at="never"):
        addresses = []
        for _ in range(2):
            holder = socket.socket()
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(("", 0))
            sockets.append(holder)
            addresses.append(f"127.0.0.1:{holder.getsockname()[1]}")
        return [
            start(
                "workers",
                folder,
                *recipes,
                # The first one goes on and waits for the second.
                wait_at=wait_at if index else "never",
                name=f"worker_{index}",
                TF_CONFIG=_configuration(addresses, index),
                TF_GRPC_REUSE_PORT="1",
            )
            for index in range(2)
        ]

    yield started
    for holder in sockets:
        holder.close()


def _configuration(addresses, index):
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def finish(process):
    """Waits for its end; returns what it printed."""
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, process.log.read_text()
    return output.splitlines()


def kill_at(process, line):
    for printed in process.stdout:
        if printed.rstrip() == line:
            process.kill()
            return
    pytest.fail(f"It ended before {line!r}:\n{process.log.read_text()}")


def weights(folder, recipe):
    with np.load(folder / f"{recipe}.npz") as arrays:
        return dict(arrays)


def assert_equal_within_rounding(ours, theirs):
    """Weights, of the order of 1, to ten decimals; no sign differs, unless they are that near 0."""
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-10, atol=1e-10, err_msg=name)
    (kernel,) = [name for name in ours if name.startswith("binary/")]
    assert ours[kernel].size == 2304
    turned = np.signbit(ours[kernel]) != np.signbit(theirs[kernel])
    assert not turned[np.abs(ours[kernel]) > 1e-10].any()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a training in one process."""
    folder = tmp_path_factory.mktemp("one")
    command = [sys.executable, PROGRAM, "one", folder, "never", *RECIPES, PLAIN]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.slow
def test_recipes_train_on_two_replicas_what_they_do_on_one(alone, start, tmp_path):
    finish(start("mirrored", tmp_path, *RECIPES, PLAIN))
    for recipe in RECIPES:
        assert_equal_within_rounding(weights(tmp_path, recipe), weights(alone, recipe))
    with pytest.raises(AssertionError):
        assert_equal_within_rounding(weights(tmp_path, PLAIN), weights(alone, PLAIN))


@pytest.mark.slow
def test_replicas_go_on_bit_for_bit(start, tmp_path):
    whole = start("mirrored", tmp_path / "whole", KILLED)
    kill_at(start("mirrored", tmp_path / "killed", KILLED, wait_at=KILLED_AT), KILLED_AT)
    resumed = finish(start("mirrored", tmp_path / "killed", KILLED))
    finish(whole)
    assert resumed[0] == f"{KILLED} 1 5"
    theirs = weights(tmp_path / "whole", KILLED)
    for name, values in weights(tmp_path / "killed", KILLED).items():
        assert values.tobytes() == theirs[name].tobytes(), name


@pytest.mark.slow
def test_workers_go_on_after_one_was_killed(alone, start_workers, tmp_path):
    first, second = start_workers(tmp_path, KILLED, wait_at=KILLED_AT)
    kill_at(second, KILLED_AT)
    # It would hang if it did not notice.
    output, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode != 0
    assert output.splitlines()[-1] == KILLED_AT
    assert not (tmp_path / f"{KILLED}.npz").exists()

    outputs = [finish(each) for each in start_workers(tmp_path, KILLED, "quicknet")]
    assert outputs[0] == outputs[1]
    assert outputs[0][0] == f"{KILLED} 1 5"
    for recipe in (KILLED, "quicknet"):
        assert_equal_within_rounding(weights(tmp_path, recipe), weights(alone, recipe))
