"""One connection to a board through the system's `ssh`, which all commands share.

So the user's keys, agent, configuration, aliases and jump hosts count, and a password is asked for
once. Files travel on standard input: that takes no `scp` or sftp server on the board, and no name
of a file is ever part of a command.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from keras_bnn.deploy.refusals import why_refused
from keras_bnn.deploy.target import Ssh
from keras_bnn.errors import InputError

# What ssh itself ends with, and no command of ours.
_LOST = 255
_READY = b"keras-bnn is connected"
_CHUNK = 1 << 16
_OPTIONS = {
    # A board that is off drops packets without an answer, and one that is unplugged goes silent.
    "ConnectTimeout": "15",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    # What a user's configuration may have for logging in by hand.
    "ClearAllForwardings": "yes",
    "ForwardX11": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
}


class Connection:
    """What `connected` yields."""

    def __init__(self, target: Ssh, socket: Path):
        self.target = target
        self._socket = socket

    def run(self, command: str, stdin: Iterable[bytes]) -> subprocess.CompletedProcess[bytes]:
        """Runs a command of the board's login shell.

        Args:
            command: Constant: nothing that a user chose may be part of it.
            stdin: Its standard input, in parts.

        Raises:
            InputError: If the connection is lost.
        """
        # Without the shared connection ssh would make another one, and ask for a password again.
        options = {"ControlMaster": "no", "ProxyCommand": "false"}
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = self._start(options, command, stdout=output, stderr=errors)
            assert process.stdin
            # A command that has failed stops reading; its status and last words say more.
            with process, contextlib.suppress(BrokenPipeError), process.stdin:
                for part in stdin:
                    process.stdin.write(part)
            if process.returncode == _LOST:
                raise InputError(
                    f"The connection to {self.target} was lost. Check power and network, and run "
                    "this again: it goes on with what is whole there."
                )
            streams = [_content(stream) for stream in (output, errors)]
        return subprocess.CompletedProcess(command, process.returncode, *streams)

    def _start(
        self, options: dict[str, str], command: str, stdout: IO[bytes] | int, stderr: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        words = ["ssh", "-S", str(self._socket)]
        for name, value in {**_OPTIONS, **options}.items():
            words += ["-o", f"{name}={value}"]
        if self.target.user:
            words += ["-l", self.target.user]
        if self.target.port:
            words += ["-p", str(self.target.port)]
        try:
            words += ["--", self.target.host, command]
            return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr)
        except FileNotFoundError as error:
            raise InputError("There is no ssh here: install OpenSSH's client.") from error


@contextlib.contextmanager
def connected(target: Ssh) -> Iterator[Connection]:
    """Connects, and disconnects at the end, even if this process is killed.

    Raises:
        InputError: If there is no way to log in; the message says what to do.
    """
    if os.name == "nt":
        raise InputError("Windows' ssh shares no connections: run this in WSL.")
    # A socket's path has room for about a hundred bytes, so not where TMPDIR may be deep.
    with tempfile.TemporaryDirectory(prefix="keras-bnn-", dir="/tmp") as folder:
        connection = Connection(target, Path(folder, "ssh"))
        with tempfile.TemporaryFile() as errors:
            # `cat` ends with our end of its pipe, and the connection with it.
            options = {"ControlMaster": "yes", "ControlPersist": "no"}
            command = f"echo {_READY.decode()}; exec cat"
            master = connection._start(options, command, stdout=subprocess.PIPE, stderr=errors)
            assert master.stdin
            assert master.stdout
            try:
                # A login shell may print something first.
                if not any(line.strip() == _READY for line in master.stdout):
                    raise InputError(why_refused(target, _content(errors).decode(errors="replace")))
                yield connection
            finally:
                master.terminate()
                master.communicate()


def content_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, in parts."""
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            yield part


def _content(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read()
