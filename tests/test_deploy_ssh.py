"""Boards behind ssh, with a stand-in for ssh: what is refused, and in which words.

`test_ssh_to_emulated_pi.py` has a real sshd.
"""

import json
import zipfile
from pathlib import Path

import pytest
from fake_ssh import FakeSsh
from hand_made import hand_made

import keras_bnn
from keras_bnn.deploy.connection import connected
from keras_bnn.deploy.target import Ssh
from keras_bnn.errors import InputError

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "deploy_to_a_pi.py"
WILL_DO = {
    "bits": 64,
    "libc": ["glibc", "2.36"],
    "venv": True,
    "home": "/home/pi/.keras-bnn",
    "free": 10**10,
    "environments": [],
    "environment": None,
    "store": [],
    "busy": False,
}
WHEEL = "keras_bnn-{version}-py3-none-manylinux_2_17_aarch64.whl"


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    fake = FakeSsh(folder)
    monkeypatch.setenv("PATH", fake.path)
    return fake


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(hand_made([(0, (1, 4), None)] * 2, [("ABS", [0], [1], None)]))
    return path


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / WHEEL.format(version=keras_bnn.__version__)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("keras_bnn/__init__.py", "")
    return path


def looks(machine="aarch64", python="Python 3.11.2", **found) -> str:
    """What a board prints that is asked what it is."""
    reply = json.dumps({"answer": {**WILL_DO, **found}})
    return f"Have a nice day\nkeras-bnn looks\n{machine}\n{python}\n{reply}\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ssh: Could not resolve hostname b: Name or service not known", "no such name is known"),
        ("ssh: connect to host b port 22: Connection refused", "switch ssh on (raspi-config"),
        ("ssh: connect to host b port 22: No route to host", "check that it is switched on"),
        ("ssh: connect to host b port 22: Connection timed out", "check that it is switched on"),
        ("pi@b: Permission denied (publickey,password).", "with `ssh-copy-id pi@b`"),
        ("Host key verification failed.", "run `ssh pi@b` once and confirm it"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.",
            "`ssh-keygen -R b`",
        ),
        ("Received disconnect: Too many authentication failures", "IdentitiesOnly yes"),
        ("", "ssh said nothing"),
    ],
)
def test_nobody_gets_in(run, ssh, model, said, expected):
    ssh.answer(stderr=f"a banner\n{said}\r\n" if said else "", connects=False)
    error = run("benchmark", model, "--on", "ssh://pi@b").error
    assert error.startswith("keras-bnn: pi@b: ")
    assert expected in error
    assert said.splitlines()[-1] in error if said else True
    assert len(ssh.asked) == 1


def test_remedies_name_the_port(run, ssh, model):
    ssh.answer(stderr="Host key verification failed.", connects=False)
    assert "run `ssh -p 2222 b`" in run("benchmark", model, "--on", "ssh://b:2222").error


@pytest.mark.parametrize(
    ("board", "expected"),
    [
        (looks("armv7l"), "a 32-bit system (armv7l), expected 64 bits"),
        (looks(bits=32), "a 64-bit kernel, but its programs are 32-bit"),
        (looks("riscv64"), "architecture 'riscv64', expected aarch64 or x86_64"),
        (looks(python="Python 3.9.2"), "Python 3.9.2, expected 3.10 or later"),
        (looks(python="")[:40], "sudo apt install python3 python3-venv"),
        (looks(libc=["glibc", "2.31"]), "glibc 2.31, expected glibc 2.34 or later"),
        (looks(libc=["", ""]), "another C library than glibc"),
        (looks(venv=False), "sudo apt install python3-venv"),
        (looks(free=10**6), "1 MB left for /home/pi/.keras-bnn, expected"),
    ],
)
def test_boards_that_will_not_do(run, ssh, model, wheel, board, expected):
    ssh.answer(board)
    ran = run("deploy", model, "--on", "ssh://pi@b", "--wheel", wheel)
    assert (ran.status, ran.out) == (2, "")
    assert expected in ran.err.splitlines()[-1]
    assert ran.err.splitlines()[-1].startswith("keras-bnn: pi@b ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            WHEEL.replace("aarch64", "x86_64"),
            "is for manylinux_2_17_x86_64, and the board is aarch64",
        ),
        (WHEEL.replace("2_17", "2_39"), "is for manylinux_2_39_aarch64, and the board is aarch64"),
        (WHEEL.replace("{version}", "9.9"), "is keras-bnn 9.9, and here is"),
        ("numpy-2.0-cp311-cp311-manylinux_2_17_aarch64.whl", "is no wheel of keras-bnn"),
        ("keras-bnn.tar.gz", "is no wheel of keras-bnn"),
    ],
)
def test_wheels_that_will_not_do(run, ssh, model, wheel, name, expected):
    ssh.answer(looks())
    other = wheel.rename(wheel.with_name(name.format(version=keras_bnn.__version__)))
    ran = run("deploy", model, "--on", "ssh://pi@b", "--wheel", other)
    assert ran.status == 2
    assert expected in ran.err.splitlines()[-1]
    assert "which is no file" in run("deploy", model, "--on", "ssh://b", "--wheel", wheel).err


def test_a_lost_connection(run, ssh, model):
    ssh.answer("half an answ", "mux_client_request_session: read from master failed", status=255)
    error = run("deploy", model, "--on", "ssh://pi@b").error
    assert error.startswith("keras-bnn: The connection to pi@b was lost.")


@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [
        ("", "Killed\n", "ended with status 3: Killed"),
        ("no JSON", "", "ended with status 3."),
        ("[]", "", "ended with status 3."),
        ('{"error": "its disk\\nis full"}', "", "its disk is full"),
    ],
)
def test_what_fails_there_is_one_line(run, ssh, model, stdout, stderr, expected):
    before = "keras-bnn looks\naarch64\nPython 3.11.2\n"
    ssh.answer(before + stdout, stderr, status=3)
    assert expected in run("deploy", model, "--on", "ssh://pi@b").error


@pytest.mark.slow
def test_the_example_deploys_to_a_pi(ssh, wheel, monkeypatch, capsys, tmp_path):
    """`examples/deploy_to_a_pi.py`, but for the board."""
    monkeypatch.chdir(tmp_path)
    files = [hand_made([(0, (1, 4), None)] * 2, [("ABS", [0], [1], None)])] * 2
    for number, content in enumerate(files):
        Path(f"model-{number}.tflite").write_bytes(content)
    measured = keras_bnn.runtime.benchmark([*Path().glob("*.tflite")], seconds=0.01).to_dict()
    placed = ["/home/pi/.keras-bnn/models/digits.tflite"]
    later = {"measure": measured, "place": placed}
    ssh.answer(looks(), later={do: json.dumps({"answer": each}) for do, each in later.items()})
    monkeypatch.setattr("sys.argv", [str(EXAMPLE), "ssh://pi@b", "--wheel", str(wheel)])
    exec(compile(EXAMPLE.read_text(), str(EXAMPLE), "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "wrong outputs          0" in printed
    assert "\ndigits.tflite  LiteRT" in printed
    assert "\nfloat.tflite   LiteRT" in printed
    assert f"keras-bnn predict {placed[0]} in.npy" in printed


def test_the_example_says_in_one_line_what_is_wrong(monkeypatch):
    monkeypatch.setattr("sys.argv", [str(EXAMPLE), "pi@b"])
    with pytest.raises(SystemExit, match="expected ssh://"):
        exec(compile(EXAMPLE.read_text(), str(EXAMPLE), "exec"), {"__name__": "__main__"})


def test_ssh_sees_nothing_that_a_user_chose_but_the_target(run, ssh, tmp_path, model, wheel):
    ssh.answer(looks(), later='{"answer": ["/home/pi/.keras-bnn/models/it"]}')
    folder = tmp_path / "-oProxyCommand=touch x; $(touch y)\n'"
    folder.mkdir()
    odd = model.rename(folder / "a 'b' \"c\"; rm -r $HOME\n.tflite")
    assert run("deploy", odd, "--on", "ssh://pi@b:2222", "--wheel", wheel).status == 0
    assert len(ssh.asked) > 2
    for arguments in ssh.asked:
        end = arguments.index("--")
        assert arguments[end - 4 : end + 2] == ["-l", "pi", "-p", "2222", "--", "b"]
        assert "rm -r" not in arguments[end + 2]
        assert all(
            value.startswith(("-", "/tmp/keras-bnn-")) or "=" in value
            for value in arguments[: end - 4]
        )


def test_one_connection_is_shared_and_ended(ssh, tmp_path):
    ssh.answer("there", status=7)
    with connected(Ssh("b")) as connection:
        assert connection.run("anything", [b"x" * 10**6]).stdout == b"there"
        assert connection.run("anything", []).returncode == 7
    first, *others = ssh.asked
    assert "ControlMaster=yes" in first
    for arguments in others:
        assert arguments[arguments.index("-S") + 1] == first[first.index("-S") + 1]
        # It never connects by itself.
        assert "ProxyCommand=false" in arguments
    assert not Path(first[first.index("-S") + 1]).parent.exists()


def test_no_ssh(run, model, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install OpenSSH's client" in run("benchmark", model, "--on", "ssh://b").error


def test_wrong_files_never_reach_ssh(run, ssh, tmp_path, model):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / model.name
    twin.write_bytes(b"no model")
    assert "other/m.tflite" in run("deploy", twin, "--on", "ssh://b").error
    assert "expected different ones" in run("deploy", model, twin, "--on", "ssh://b").error
    assert "see export/android" in run("deploy", model, "--on", "adb").error
    with pytest.raises(FileNotFoundError):
        ssh.asked  # noqa: B018


def test_errors_are_input_errors(ssh):
    ssh.answer(connects=False)
    with pytest.raises(InputError, match="b: it cannot be reached"), connected(Ssh("b")):
        pass
