"""`--on ssh://…` over a real sshd, to boards that are emulated.

Needs root, and `KERAS_BNN_EMULATED_PI`, a folder that `.ci/run` has built and copied wheels to.
"""

import dataclasses
import importlib.util
import json
import os
import re
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import SCRIPT, start
from hand_made import FLOAT32, hand_made

import keras_bnn as kb

pytestmark = [pytest.mark.emulated_pi, pytest.mark.timeout(1200)]
BOARD = "ssh://emulated-pi"


@dataclasses.dataclass
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self):
        assert self.status == 0, self.err
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """What the command ends with, after its lines of progress."""
        *_, last = self.err.strip().splitlines()
        assert (self.status, self.out) == (2, ""), self.err
        assert last.startswith("keras-bnn: ")
        return last


def start_there(board, *arguments, script=SCRIPT, folder=None, **variables):
    """Starts a command in a folder here, for the board."""
    environment = {**os.environ, "PATH": board.path, **variables}
    return start(*arguments, script=script, cwd=folder, env=environment)


def ran(process) -> Ran:
    out, err = process.communicate()
    print(out, err, sep="\n")
    return Ran(process.returncode, out, err)


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(os.environ["KERAS_BNN_EMULATED_PI"])


@pytest.fixture(scope="module")
def wheel(root) -> Path:
    (path,) = (root / "home" / "pi").glob("keras_bnn-*_aarch64.whl")
    return path


@pytest.fixture(scope="module")
def boards(root):
    """Makes boards; in a folder with a short name, as sockets need."""
    path = Path(__file__).parent / "emulated_pi" / "sshd.py"
    spec = importlib.util.spec_from_file_location("sshd", path)
    assert spec
    assert spec.loader
    sshd = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sshd)
    return lambda folder, **options: sshd.running(root, folder, **options)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A file with a name for which a shell has several uses, and exact results."""
    path = tmp_path_factory.mktemp("models") / "-a 'b' \"c\"; touch $HOME.tflite"
    tensors = [(FLOAT32, (1, 4), None), (FLOAT32, (1, 4), None)]
    path.write_bytes(hand_made(tensors, [("ABS", [0], [1], None)]))
    return path


@pytest.fixture(scope="module")
def installed(boards, tmp_path_factory, folder, wheel):
    """A board after its first benchmark, and what that said."""
    with boards(tmp_path_factory.mktemp("board")) as board:
        options = ("--on", BOARD, "--offline", "--wheel", wheel, "--seconds", 0.01, "--json")
        yield board, ran(start_there(board, "benchmark", folder / "model.tflite", *options))


def ours(board) -> Path:
    return board.home / ".keras-bnn"


def assert_nothing_is_unfinished(board) -> None:
    unfinished = ours(board) / "unfinished"
    assert not unfinished.exists() or not list(unfinished.iterdir())


def test_benchmark(installed, folder):
    board, first = installed
    result = first.json
    file = str(folder / "model.tflite")
    measured = [
        (found["file"], found["engine"].split(" (")[0], found["threads"])
        for found in result["measurements"]
    ]
    assert measured == [(file, "LiteRT + keras-bnn", count) for count in (1, 4)]
    assert (result["machine"], result["processor"]) == ("aarch64", "4× Cortex-A72")
    assert result["board"] == "Raspberry Pi 4 Model B Rev 1.4"
    for moment in ("before", "after"):
        assert result[moment]["governor"] == "ondemand"
        assert result[moment]["megahertz_limit"] == 1800
        assert result[moment]["celsius"] == 48
        assert result[moment]["throttled"] == 0
    table = str(kb.runtime.Benchmark.from_dict(result))
    assert f"{file}  LiteRT + keras-bnn" in table
    assert "before  600 of 1800 MHz  ondemand  48.0 °C      none" in table
    assert_nothing_is_unfinished(board)


def test_the_readme_shows_what_is_printed(installed, folder, tmp_path):
    """But for the numbers, and the instruction set."""
    board, _ = installed
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (shown,) = re.findall(r"<!-- over ssh -->\n```\n(.*?)```\n", readme, re.DOTALL)
    shutil.copy(folder / "model.tflite", tmp_path)
    options = ("--on", BOARD, "--seconds", 0.01)
    printed = ran(start_there(board, "benchmark", "model.tflite", *options, folder=tmp_path)).out
    shown, printed = (
        re.sub(r"\(\w+\) |[\d.]+", "…", " ".join(text.split())) for text in (shown, printed)
    )
    assert printed == shown


def test_the_example(installed, tmp_path):
    board, _ = installed
    script = (Path(__file__).parents[1] / "examples" / "deploy_to_a_pi.py").read_text()
    done = ran(start_there(board, BOARD, script=script, folder=tmp_path))
    assert done.status == 0
    assert "digits.tflite  LiteRT + keras-bnn" in done.out
    assert (ours(board) / "models" / "digits.tflite").exists()


def test_the_second_run_sends_what_changed(installed, folder, model, wheel, tmp_path):
    board, first = installed
    assert "\nsending 1 files, " in first.err
    options = ("--on", BOARD, "--seconds", 0.01, "--threads", 1)
    again = ran(start_there(board, "benchmark", folder / "model.tflite", *options))
    assert again.status == 0
    assert "sending" not in again.err
    assert "installing" not in again.err
    files = (folder / "model.tflite", "--", model)
    more = ran(start_there(board, "benchmark", *options, "--json", *files))
    assert [found["file"] for found in more.json["measurements"]] == list(map(str, files[::2]))
    assert "sending 1 files, 0.0 MB" in more.err
    # The same dependencies, so that one wheel alone is new.
    other = shutil.copy(wheel, tmp_path)
    with zipfile.ZipFile(other, "a") as file:
        file.comment = b"another wheel"
    options += ("--wheel", other, "--offline")
    newer = ran(start_there(board, "benchmark", folder / "model.tflite", *options))
    assert newer.status == 0
    assert f"sending 1 files, {Path(other).stat().st_size / 1e6:.1f} MB" in newer.err
    assert len(list((ours(board) / "environments").iterdir())) == 1


def test_deploy_says_how_to_run_the_file(installed, model, tmp_path):
    board, _ = installed
    options = ("--on", f"ssh://root@127.0.0.1:{board.port}", "--", model)
    deployed = ran(start_there(board, "deploy", *options))
    assert deployed.status == 0
    inputs = np.float32([[-1.5, 2, -0.0, 3]])
    np.save(board.home / "in.npy", inputs)
    (command,) = (line for line in deployed.out.splitlines() if "in.npy" in line)
    ssh = [Path(board.path.split(os.pathsep)[0]) / "ssh", "emulated-pi"]
    subprocess.run([*ssh, command], check=True)
    assert np.array_equal(np.load(board.home / "out.npy"), abs(inputs))
    described = ran(start_there(board, "deploy", "--json", *options)).json
    assert described["models"] == [f"/home/pi/.keras-bnn/models/{model.name}"]
    assert described["target"] == f"root@127.0.0.1:{board.port}"


def test_a_disk_that_fills(installed, folder, tmp_path):
    board, _ = installed
    filler = board.home / "filler"
    with (
        Path("/dev/zero").open("rb") as zeros,
        filler.open("wb", 0) as file,
        pytest.raises(OSError, match="No space left"),
    ):
        shutil.copyfileobj(zeros, file)
    other = tmp_path / "other.tflite"
    # Behind the flatbuffer, where TFLite's labels are, too.
    other.write_bytes((folder / "model.tflite").read_bytes() + bytes(1 << 20))
    refused = ran(start_there(board, "benchmark", other, "--on", BOARD)).error
    assert "the disk of /home/pi/.keras-bnn is full (0 MB free): free some space" in refused
    assert_nothing_is_unfinished(board)
    filler.unlink()
    assert ran(start_there(board, "benchmark", other, "--on", BOARD, "--seconds", 0.01)).status == 0


def test_a_connection_that_is_cut(boards, tmp_path, folder, wheel):
    options = ("--on", BOARD, "--offline", "--wheel", wheel, "--seconds", 0.01, "--threads", 1)
    words = ("benchmark", folder / "model.tflite", *options)
    with boards(tmp_path) as board:
        board.cut_after = 5_000_000
        sending = ran(start_there(board, *words))
        assert "The connection to emulated-pi was lost." in sending.error
        assert sending.err.splitlines()[-2].startswith("sending ")
        board.cut_after = None
        process = start_there(board, *words)
        while not list(ours(board).glob("unfinished/*/environment/bin/python")):
            assert process.poll() is None
            time.sleep(0.05)
        board.cut()
        installing = ran(process)
        assert "The connection to emulated-pi was lost." in installing.error
        assert installing.err.splitlines()[-2] == "installing"
        again = ran(start_there(board, *words))
        assert again.status == 0
        assert "LiteRT + keras-bnn" in again.out
        assert_nothing_is_unfinished(board)


def test_a_disk_that_is_too_small(boards, tmp_path, model, wheel):
    options = ("--on", BOARD, "--offline", "--wheel", wheel, "--", model)
    with boards(tmp_path, size="45m") as board:
        refused = ran(start_there(board, "deploy", *options)).error
        assert "MB left for /home/pi/.keras-bnn, expected " in refused
        assert not ours(board).exists()
        # As if that were enough, so that it fills while pip works.
        script = (
            f"from keras_bnn.deploy import installation as i; i._ENVIRONMENT_BYTES = 0; {SCRIPT}"
        )
        refused = ran(start_there(board, "deploy", *options, script=script)).error
        assert "the disk of /home/pi/.keras-bnn is full" in refused
        assert not list((ours(board) / "environments").iterdir())
        assert_nothing_is_unfinished(board)


def test_without_offline_each_side_asks_its_own_index(boards, tmp_path, model, wheel):
    links = {"PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {wheel.parent}"}
    words = ("deploy", "--on", BOARD, "--", model)
    with boards(tmp_path) as board:
        pip = board.home.parents[1] / "etc" / "pip.conf"
        pip.write_text("[global]\nno-index = true\n")
        refused = ran(start_there(board, *words, **links))
        assert "asking your package index for keras-bnn" in refused.err
        assert "If it has no internet, add --offline." in refused.error
        assert_nothing_is_unfinished(board)
        pip.write_text("[global]\nno-index = true\nfind-links = /home/pi/wheels\n")
        done = ran(start_there(board, *words, **links))
        assert done.status == 0
        assert done.err.count("\nsending 1 files") == 1
        stored = sorted(path.suffix for path in (ours(board) / "store").iterdir())
        assert stored == [".tflite", ".whl"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("rm -r usr/lib/python3.11/ensurepip", "run `sudo apt install python3-venv` there"),
        ("rm usr/bin/python3", "has no python3: run `sudo apt install python3 python3-venv`"),
        ("printf '#!/bin/sh\\necho armv7l\\n' >usr/bin/uname", "a 32-bit system (armv7l)"),
    ],
)
def test_boards_that_will_not_do(boards, tmp_path, model, wheel, change, expected):
    with boards(tmp_path, changes=[change]) as board:
        for target in (BOARD, f"{BOARD}-by-jump"):
            words = ("deploy", "--on", target, "--wheel", wheel, "--", model)
            assert expected in ran(start_there(board, *words)).error
        assert not ours(board).exists()


def test_a_passphrase_is_asked_for_once(boards, tmp_path, model, wheel):
    with boards(tmp_path, changes=["rm -r usr/lib/python3.11/ensurepip"]) as board:
        key, config = tmp_path / "user_key", tmp_path / "config"
        words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)]
        subprocess.run(words, check=True)
        config.write_text(config.read_text().replace("BatchMode yes", "BatchMode no"))
        asks = tmp_path / "asks"
        asks.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked\necho secret\n")
        asks.chmod(0o755)
        asking = {"SSH_ASKPASS": str(asks), "SSH_ASKPASS_REQUIRE": "force"}
        words = ("deploy", "--on", BOARD, "--wheel", wheel, "--", model)
        assert "python3-venv" in ran(start_there(board, *words, **asking)).error
        assert (tmp_path / "asked").read_text() == "asked\n"


def test_nobody_gets_in(boards, tmp_path, model):
    def error(target=BOARD):
        return ran(start_there(board, "deploy", "--on", target, "--", model)).error

    with boards(tmp_path) as board:
        board.know(None)
        assert "its host key is not known here" in error()
        board.know(tmp_path / "user_key.pub")
        assert "its host key is not the one of before" in error()
        board.know(tmp_path / "host_key.pub")
        board.trust(None)
        assert "the login was refused" in error()
        assert "no ssh server answers at port 1" in error("ssh://127.0.0.1:1")
        assert "no ssh server answers at port 1" in error("ssh://[::1]:1")
        assert "no such name is known" in error("ssh://pi@board.invalid")
