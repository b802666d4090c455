"""What `--on` takes, and what it refuses before anything is started."""

import pytest

from keras_bnn.deploy.target import Adb, Ssh, parse
from keras_bnn.errors import InputError


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ssh://pi@raspberrypi.local", Ssh("raspberrypi.local", "pi")),
        ("ssh://board", Ssh("board")),
        ("ssh://board/", Ssh("board")),
        ("ssh://10.0.0.7:2222", Ssh("10.0.0.7", None, 2222)),
        ("ssh://pi@[::1]:22", Ssh("::1", "pi", 22)),
        ("ssh://[fe80::1%25eth0]", Ssh("fe80::1%eth0")),
        ("ssh://[fe80::1%eth0]", Ssh("fe80::1%eth0")),
        ("ssh://me%40corp@board", Ssh("board", "me@corp")),
        ("ssh://me@corp@board", Ssh("board", "me@corp")),
        ("adb", Adb()),
        ("adb:R58M123ABC", Adb("R58M123ABC")),
        ("adb:192.168.0.5:5555", Adb("192.168.0.5:5555")),
    ],
)
def test_targets(text, target):
    assert parse(text) == target
    if isinstance(target, Ssh):
        assert parse(f"ssh://{target}") == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pi@board",
        "SSH://board",
        "ssh://",
        "ssh:board",
        "ssh://pi@",
        "ssh://@board",
        "ssh://board/home/pi",
        "ssh://board:",
        "ssh://board:0",
        "ssh://board:65536",
        "ssh://board:２２",
        "ssh://::1",
        "ssh://[::1",
        "ssh://pi:secret@board",
        "adb:",
        "adbx",
    ],
)
def test_what_is_no_target(text):
    with pytest.raises(InputError, match="--on") as refused:
        parse(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("prefix", ["ssh://{}", "ssh://{}@board", "ssh://[{}]", "adb:{}"])
@pytest.mark.parametrize(
    "name",
    [
        "-oProxyCommand=touch x",
        "-x",
        "a b",
        "a;b",
        "a'b",
        'a"b',
        "$(a)",
        "`a`",
        "a\nb",
        "a&b",
        "a|b",
    ],
)
def test_names_that_mean_something_to_ssh_or_a_shell(prefix, name):
    with pytest.raises(InputError) as refused:
        parse(prefix.format(name))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["%2doProxyCommand=x", "a%20b", "a%0ab", "%24(a)", "a%00b"])
def test_names_that_hide_it(name):
    with pytest.raises(InputError, match="could mean something else"):
        parse(f"ssh://{name}")


@pytest.mark.parametrize(
    "text", ["pi:secret@b", "pi:secret@b:22/home", "pi:se/cret@b", ":secret@b"]
)
def test_a_password_is_refused_and_not_repeated(text):
    with pytest.raises(InputError, match="holds a password") as refused:
        parse(f"ssh://{text}")
    assert "cret" not in str(refused.value)


def test_options_of_another_place_are_refused(run, tmp_path):
    file = tmp_path / "m.tflite"
    assert run("benchmark", file, "--offline").error.endswith(
        "--offline means nothing without --on: leave it out."
    )
    refused = run("benchmark", file, "--on", "adb", "--wheel", file).error
    assert "--wheel means nothing with --on adb" in refused
    refused = run("benchmark", file, "--on", "ssh://b", "--benchmark-model", file).error
    assert "--benchmark-model means nothing with --on ssh://b" in refused
    assert "--on is 'board'" in run("benchmark", file, "--on", "board").error
