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

import keras_bnn as kb

EXAMPLE = Path(__file__).parent.parent / "examples" / "distributed_training.py"
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
    """Starts a program that writes its errors to a file; kills what is left of it at the end."""
    processes = []

    def started(log, *command, **environment):
        log.parent.mkdir(exist_ok=True)
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, *command],
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

    def started(folder, command_of):
        addresses = []
        for _ in range(2):
            holder = socket.socket()
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(("", 0))
            sockets.append(holder)
            addresses.append(f"127.0.0.1:{holder.getsockname()[1]}")
        return [
            start(
                folder / f"worker_{index}.txt",
                *command_of(index),
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
    command = training("one", folder, *RECIPES, PLAIN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return folder


def training(strategy, folder, *recipes, wait_at="never"):
    return [PROGRAM, strategy, folder, wait_at, *recipes]


@pytest.mark.slow
def test_recipes_train_on_two_replicas_what_they_do_on_one(alone, start, tmp_path):
    finish(start(tmp_path / "log", *training("mirrored", tmp_path, *RECIPES, PLAIN)))
    for recipe in RECIPES:
        assert_equal_within_rounding(weights(tmp_path, recipe), weights(alone, recipe))
    with pytest.raises(AssertionError):
        assert_equal_within_rounding(weights(tmp_path, PLAIN), weights(alone, PLAIN))


@pytest.mark.slow
def test_replicas_go_on_bit_for_bit(start, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(whole / "log", *training("mirrored", whole, KILLED))
    first = start(killed / "log", *training("mirrored", killed, KILLED, wait_at=KILLED_AT))
    kill_at(first, KILLED_AT)
    resumed = finish(start(killed / "log", *training("mirrored", killed, KILLED)))
    assert resumed[0] == f"{KILLED} 1 5"
    finish(uninterrupted)
    theirs = weights(whole, KILLED)
    for name, values in weights(killed, KILLED).items():
        assert values.tobytes() == theirs[name].tobytes(), name


@pytest.mark.slow
def test_workers_go_on_after_one_was_killed(alone, start_workers, tmp_path):
    def until_killed(index):
        # The other one waits for it in the next step.
        wait_at = KILLED_AT if index == 1 else "never"
        return training("workers", tmp_path, KILLED, wait_at=wait_at)

    survivor, victim = start_workers(tmp_path, until_killed)
    kill_at(victim, KILLED_AT)
    # It would hang if it did not notice.
    printed, _ = survivor.communicate(timeout=PATIENCE)
    assert survivor.returncode != 0
    assert printed.splitlines()[-1] == KILLED_AT
    assert not (tmp_path / f"{KILLED}.npz").exists()

    again = training("workers", tmp_path, KILLED, "quicknet")
    printed = [finish(worker) for worker in start_workers(tmp_path, lambda index: again)]
    assert printed[0] == printed[1]
    assert printed[0][0] == f"{KILLED} 1 5"
    for recipe in (KILLED, "quicknet"):
        assert_equal_within_rounding(weights(tmp_path, recipe), weights(alone, recipe))


@pytest.mark.slow
def test_workers_that_do_not_find_the_same_are_told(start_workers, tmp_path):
    """Without that, some would wait for steps that others do not do."""
    kept = training("one", tmp_path / "0", "quicknet")
    subprocess.run([sys.executable, *kept], check=True, stdout=subprocess.DEVNULL)
    workers = start_workers(
        tmp_path, lambda index: training("workers", tmp_path / str(index), "quicknet")
    )
    for worker in workers:
        worker.communicate(timeout=PATIENCE)
        assert worker.returncode != 0
        assert "InputError: The replicas find [5, 0] epochs" in worker.log.read_text()


def test_the_example_goes_on_in_one_process(start, tmp_path):
    def printed(epochs):
        command = EXAMPLE, "--folder", tmp_path, "--epochs", str(epochs)
        return [line for line in finish(start(tmp_path / "log", *command)) if "Epoch" in line]

    assert printed(2) == ["Epoch 1/2", "Epoch 2/2"]
    assert printed(3) == ["Epoch 3/3"]


@pytest.mark.slow
def test_the_example_on_two_workers(start_workers, tmp_path):
    command = EXAMPLE, "--folder", tmp_path, "--epochs", "12"
    chief, other = map(finish, start_workers(tmp_path, lambda index: command))
    assert chief[0] == "worker 0, replicas in all: 2"
    assert other == ["worker 1, replicas in all: 2"]
    assert sum("1-bit" in line for line in chief) == 3
    assert not [*tmp_path.glob("model-of-worker-*")]
    model = kb.load_model(tmp_path / "model.keras")
    assert model.evaluate(*kb.data.load("digits").test, verbose=0)[1] > 0.8
