"""A phone that Android's `adb` reaches."""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from keras_bnn.errors import InputError

# For programs that adb starts: it can be written to, and what lies there can be executed.
_FOLDERS = "/data/local/tmp"
_DEBUGGING = "USB debugging, in the developer options,"
_REMEDIES = {
    "unauthorized": "confirm the connection on its screen",
    "offline": f"connect it again, or turn {_DEBUGGING} off and on",
    "no permissions": "let your user access USB devices (Debian: apt-get install "
    "android-sdk-platform-tools-common, and join the group plugdev)",
}


class Phone:
    """The phone of a serial, or the only one there is.

    Attributes:
        serial: As adb lists it.
        folder: There, of this object alone: others may be measuring at the same time.

    Raises:
        InputError: If there is no adb, no such phone, or it is not ready.
    """

    def __init__(self, serial: str | None = None):
        if not shutil.which("adb"):
            raise InputError(
                "adb is not installed: install Android's platform tools (Debian: apt-get install "
                "adb)."
            )
        states = _states()
        self.serial = _choose(serial, states)
        self.folder = f"{_FOLDERS}/keras_bnn_{secrets.token_hex(4)}"
        state = states[self.serial]
        if state != "device":
            remedy = next(
                (remedy for start, remedy in _REMEDIES.items() if state.startswith(start)),
                "let it start Android",
            )
            raise InputError(f"The phone {self.serial} is {state}: {remedy}.")

    def properties(self) -> dict[str, str]:
        """Android's own of this phone, such as `ro.product.model`."""
        listed = self.run(["getprop"]).stdout
        return dict(re.findall(r"^\[(.*?)\]: \[(.*?)\]\s*$", listed, re.MULTILINE))

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """Makes the folder, and removes it again."""
        self._succeed("making a folder", self.run(["mkdir", self.folder]))
        try:
            yield
        except BaseException:
            # That error tells more than one of a phone that is gone.
            with contextlib.suppress(InputError):
                self._remove()
            raise
        self._remove()

    def _remove(self) -> None:
        self._succeed("removing a folder", self.run(["rm", "-rf", self.folder]))

    def push(self, files: Mapping[str, Path]) -> dict[str, str]:
        """Copies files to these names in the folder; returns where each is."""
        targets = {name: f"{self.folder}/{name}" for name in files}
        for name, path in files.items():
            # A path from the root, so that none is taken for an option.
            self._succeed(f"copying {path}", self._adb("push", str(path.resolve()), targets[name]))
        self._succeed("making files usable", self.run(["chmod", "-R", "755", self.folder]))
        return targets

    def run(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command there; adb gives it to a shell, so every word is quoted."""
        ran = self._adb("shell", shlex.join(words))
        # What adb says, and its status where the connection ended before the command.
        if ran.returncode == 255 or re.search(r"^(adb|error): ", ran.stderr, re.MULTILINE):
            self._succeed(f"running {words[0]}", ran)
        return ran

    def _adb(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run("-s", self.serial, *arguments)

    def _succeed(self, what: str, ran: subprocess.CompletedProcess[str]) -> None:
        if not ran.returncode:
            return
        lines = [line.strip() for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if re.search("error|denied|No space", line)]
        reason = (errors or lines[-1:] or ["no reason given"])[0]
        remedy = "connect it again, and run this again"
        if "No space left" in reason:
            remedy = "free some of the phone's storage, and run this again"
        raise InputError(f"{what} failed on the phone {self.serial} ({reason}): {remedy}.")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["adb", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )


def _states() -> dict[str, str]:
    ran = _run("devices")
    if ran.returncode:
        lines = ran.stderr.strip().splitlines() or ["no reason given"]
        raise InputError(f"adb cannot list phones ({lines[-1]}): try `adb devices` yourself.")
    return dict(re.findall(r"^([^\t\n]+)\t(.+?)\s*$", ran.stdout, re.MULTILINE))


def _choose(serial: str | None, states: dict[str, str]) -> str:
    there = ", ".join(sorted(states))
    if serial is not None and serial in states:
        return serial
    if serial is None and len(states) == 1:
        return next(iter(states))
    if serial is None and states:
        raise InputError(
            f"adb finds several phones ({there}): name one, such as --on adb:{min(states)}."
        )
    missing = "no phone" if serial is None else f"no phone {serial}"
    others = f", but {there}" if there else ""
    over_network = serial and ":" in serial
    connect = f"connect to it (adb connect {serial})" if over_network else "connect it by USB"
    raise InputError(f"adb finds {missing}{others}: {connect}, with {_DEBUGGING} turned on.")
