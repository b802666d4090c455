"""An emulated board behind ssh: a real sshd on loopback, whose logins land in the emulated Pi.

Needs root and Debian's `openssh-server`. Each board is a copy-on-write view of the same ROOT, in a
mount namespace of its own, so nothing that happens there lasts, on the host or in ROOT.
"""

import contextlib
import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

ENTER = Path(__file__).parent / "enter"
SSHD = "/usr/sbin/sshd"


class Board:
    """What `running` yields.

    Attributes:
        home: Its user's folder, as this machine sees it.
        port: Of 127.0.0.1.
        path: The variable `PATH` of a process whose `ssh` knows the board as `emulated-pi`, and as
            `emulated-pi-by-jump`, which it reaches through itself.
        cut_after: Bytes that a client may send before it loses its connection; `None` never cuts.
    """

    def __init__(self, root: Path, folder: Path, namespace: int):
        self.home = Path(f"/proc/{namespace}/root", *root.parts[1:], "home/pi")
        self.cut_after: int | None = None
        self._folder = folder
        self._namespace = Path(f"/proc/{namespace}/ns")
        self._sessions: list[subprocess.Popen] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        # ssh reads the configuration of the user's account, whatever HOME is.
        programs = folder / "bin"
        programs.mkdir()
        (programs / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/config "$@"\n')
        (programs / "ssh").chmod(0o755)
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.know(folder / "host_key.pub")
        (folder / "config").write_text(
            "Host emulated-pi\n"
            f"  HostName 127.0.0.1\n  Port {self.port}\n  User root\n"
            "Host emulated-pi-by-jump\n"
            f"  HostName 127.0.0.1\n  Port {self.port}\n  User root\n  ProxyJump emulated-pi\n"
            f"Host *\n  IdentityFile {folder}/user_key\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {folder}/known_hosts\n  BatchMode yes\n"
        )

    def know(self, key: Path | None) -> None:
        """Makes a key the one that this machine expects of the board; `None` is none yet."""
        line = f"[127.0.0.1]:{self.port} {key.read_text()}" if key else ""
        (self._folder / "known_hosts").write_text(line)

    def trust(self, key: Path | None) -> None:
        """Lets the owner of a key log in, and nobody else."""
        (self._folder / "authorized_keys").write_text(key.read_text() if key else "")

    def serve(self) -> None:
        """Takes connections until `stop`."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                here, there = socket.socketpair()
                namespaces = [
                    f"--mount={self._namespace}/mnt",
                    f"--pid={self._namespace}/pid_for_children",
                ]
                command = ["nsenter", *namespaces, SSHD, "-i", "-e"]
                with there, (self._folder / "sshd.log").open("ab") as log:
                    configuration = ["-f", str(self._folder / "sshd_config")]
                    self._sessions.append(
                        subprocess.Popen(
                            [*command, *configuration], stdin=there, stdout=there, stderr=log
                        )
                    )
                self._sockets += [client, here]
                for source, sink, counted in ((client, here, True), (here, client, False)):
                    threading.Thread(target=self._pass_on, args=(source, sink, counted)).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                passed += len(data)
                if counted and self.cut_after is not None and passed > self.cut_after:
                    break
                sink.sendall(data)
        _shut([source, sink])

    def cut(self) -> None:
        """Ends all connections, and nothing of what runs on the board."""
        _shut(self._sockets)

    def stop(self) -> None:
        """Takes no more connections, and ends those that there are."""
        _shut([self._listener])
        self.cut()

    def wait(self) -> None:
        """Waits until nothing runs."""
        for session in self._sessions:
            session.wait()
        for end in (self._listener, *self._sockets):
            end.close()


def _shut(sockets: Iterable[socket.socket]) -> None:
    """Unlike closing, this wakes the threads that wait for them."""
    for end in sockets:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def running(
    root: Path, folder: Path, *, board: str = "pi4", size: str = "2g", changes: Iterable[str] = ()
) -> Iterator[Board]:
    """Runs a board while the block runs.

    Args:
        root: The emulated Pi's userland, as `build` made it; it stays as it is.
        folder: An empty one, for keys and configurations.
        board: What `enter` knows.
        size: Of its disk, as tmpfs takes it.
        changes: Shell commands that change the userland, which is their working directory.
    """
    # Where Debian's sshd wants to lock itself into, and its service makes.
    Path("/run/sshd").mkdir(exist_ok=True)
    root = root.absolute()
    _write_server_configuration(root, folder, board)
    steps = [
        "set -e",
        f"mkdir {folder}/disk && mount -t tmpfs -o size={size} tmpfs {folder}/disk",
        f"mkdir {folder}/disk/upper {folder}/disk/work",
        f"mount -t overlay overlay {root} "
        f"-o lowerdir={root},upperdir={folder}/disk/upper,workdir={folder}/disk/work",
        f"cd {root}",
        *changes,
        "cd /",
        "echo mounted",
        "exec cat",
    ]
    # Its first process is that of the namespace: nothing there outlives it.
    first = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(steps)]
    with subprocess.Popen(first, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"mounted\n"
        emulated = Board(root, folder, process.pid)
        thread = threading.Thread(target=emulated.serve)
        thread.start()
        try:
            yield emulated
        finally:
            emulated.stop()
            thread.join()
            process.kill()
            emulated.wait()


def _write_server_configuration(root: Path, folder: Path, board: str) -> None:
    for name in ("host_key", "user_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    (folder / "authorized_keys").write_text((folder / "user_key.pub").read_text())
    login = folder / "login"
    enter = shlex.join([str(ENTER), str(root), board])
    login.write_text(f'#!/bin/sh\nexec {enter} sh -c "$SSH_ORIGINAL_COMMAND"\n')
    login.chmod(0o755)
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host_key\nAuthorizedKeysFile {folder}/authorized_keys\n"
        f"ForceCommand {login}\nPidFile none\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
    )
