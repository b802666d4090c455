"""What `board_program.py` does in a home, here that of this machine's Python."""

import fcntl
import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_bnn.deploy import board_program

PROGRAM = Path(board_program.__file__).read_text()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home of 'pi'"


@pytest.fixture
def start(home):
    """Starts the program as `board.py` does."""
    home.mkdir()

    def start(request, change=("", "")):
        program = PROGRAM.replace(*change).encode()
        read = f"import sys; exec(sys.stdin.buffer.read({len(program)}))"
        process = subprocess.Popen(
            [sys.executable, "-c", read],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"HOME": str(home)},
        )
        assert process.stdin
        process.stdin.write(program + json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        return process

    return start


@pytest.fixture
def ask(start):
    def ask(request, payload=b""):
        out, _ = start(request).communicate(payload)
        return json.loads(out)

    return ask


def described(name, content):
    sha256 = hashlib.sha256(content).hexdigest()
    return {"name": name, "size": len(content), "sha256": sha256}


def receive(*files):
    return {"do": "receive", "files": [described(*file) for file in files]}


def test_a_new_home_stays_as_it_is(ask, home):
    found = ask({"do": "look"})["answer"]
    assert (found["store"], found["environments"], found["environment"]) == ([], [], None)
    assert found["home"] == f"{home}/.keras-bnn"
    assert not found["busy"]
    assert not list(home.iterdir())


def test_files_arrive_whole(ask, home):
    files = ("a.whl", b"first"), ("b.tflite", b""), ("c.tflite", b"\n{}" * 10**5)
    assert ask(receive(*files), b"".join(content for _, content in files)) == {"answer": None}
    store = home / ".keras-bnn" / "store"
    assert {path.name: path.read_bytes() for path in store.iterdir()} == dict(files)
    assert ask({"do": "look"})["answer"]["store"] == sorted(name for name, _ in files)


@pytest.mark.parametrize(
    ("payload", "message"), [(b"half", "in the middle"), (b"other content", "arrived damaged")]
)
def test_files_that_do_not(ask, home, payload, message):
    assert message in ask(receive(("a.whl", b"whole content")), payload)["error"]
    ours = home / ".keras-bnn"
    assert not list((ours / "store").iterdir())
    assert not list((ours / "unfinished").iterdir())


def test_what_was_cut_off_is_removed(ask, home):
    left = home / ".keras-bnn" / "unfinished" / "x" / "environment"
    left.mkdir(parents=True)
    assert "answer" in ask(receive())
    assert not list((home / ".keras-bnn" / "unfinished").iterdir())


def test_a_silent_sender_gives_the_lock_back(start, ask, home):
    with start(receive(("a.whl", b"content")), ("SILENCE = 60", "SILENCE = 1")) as process:
        assert process.wait(30) == -signal.SIGALRM
    assert not ask({"do": "look"})["answer"]["busy"]
    assert ask(receive(("a.whl", b"content")), b"content") == {"answer": None}


def test_one_at_a_time(start, ask, home):
    ours = home / ".keras-bnn"
    ours.mkdir()
    with (ours / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ask({"do": "look"})["answer"]["busy"]
        impatient = start(receive(), ("PATIENCE = 900", "PATIENCE = 0"))
        assert "another keras-bnn has been at work" in impatient.communicate()[0].decode()
        waiting = start(receive())
    assert json.loads(waiting.communicate()[0]) == {"answer": None}


@pytest.mark.parametrize("name", ["m.tflite", "-a b;'\n\"$(x)", "\udcff"])
def test_files_get_their_names(ask, home, name):
    ask(receive(("a.tflite", b"old"), ("b.tflite", b"new")), b"oldnew")
    for stored, content in (("a.tflite", b"old"), ("b.tflite", b"new")):
        (path,) = ask({"do": "place", "files": [(stored, name)]})["answer"]
        assert Path(path) == home / ".keras-bnn" / "models" / name
        assert Path(path).read_bytes() == content


def test_an_environment_that_is_gone(ask):
    request = {"do": "measure", "environment": "other", "files": [], "options": []}
    assert "another keras-bnn has replaced the environment" in ask(request)["error"]
